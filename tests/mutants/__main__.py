"""This changes the rooms of the queue at random and tells which changes no test notices.

`python -m tests.mutants [--seed 1] [--count 200] [--only 'queue/*'] [--minutes 110]` (`make mutants`)

All happens in a copy of the tree in `.mutants`. A run that was interrupted, or whose minutes are over, goes on where it
was if it is started again with the same seed, count and tree. The report (and how each mutant fared, in
`.mutants/<run>/results.jsonl`) tells of every survivor what was changed.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from tests.mutants.covering import Reach, Uses
from tests.mutants.drawing import Mutant, draw

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = "securechain_ingest"
ROOMS: Final = (
    "queue/*.py",
    "worker/*.py",
    "http/pace.py",
    "http/priority.py",
    "http/budget.py",
    "progress.py",
    "cli/queue.py",
    "cli/pauses.py",
)
TESTS: Final = (
    "tests/queue",
    "tests/worker",
    "tests/removals/test_second_readings.py",
    "tests/archives/test_refused_archives.py",
    "tests/drivers/test_store_errors.py",
    "tests/http/test_pace.py",
    "tests/http/test_priority.py",
    "tests/http/test_budget.py",
    "tests/test_progress.py",
)
"""These are the rooms' own tests: all run in one process, since what a daemon of its own runs is not seen from
outside.
"""
PYTEST: Final = (sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--tb=line")

KILLED, SURVIVED, UNTESTED = "killed", "survived", "untested"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="the same seed draws the same mutants of the same tree")
    parser.add_argument("--count", type=int, default=200, help="how many mutants are drawn")
    parser.add_argument("--only", nargs="+", default=ROOMS, metavar="GLOB", help=f"modules of {PACKAGE}")
    parser.add_argument("--minutes", type=float, default=110, help="begin with no further mutant after so long")
    parser.add_argument(
        "--seconds",
        type=float,
        default=120,
        help="a mutant is shown to the quickest of its tests that take so long together; more than before shows"
        " survivors to the others, too",
    )
    options = parser.parse_args()
    stop_at = time.monotonic() + options.minutes * 60

    sources = {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted((ROOT / PACKAGE).rglob("*.py"))}
    chosen = {name: text for name, text in sources.items() if any(Path(name).match(each) for each in options.only)}
    drawn = draw(chosen, options.seed, options.count)
    work = ROOT / ".mutants" / _digest(options.seed, options.count, options.only)
    tree = work / "tree"
    _copy(tree)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
    tests = _tests_of_lines(tree, work / "tests.json")
    uses = Uses(sources)

    log = work / "results.jsonl"
    results = _read(log)
    for number, mutant in enumerate(drawn, start=1):
        names = uses.tests(mutant.path, mutant.start[0], tests)
        expected_s = list(accumulate(tests.seconds[name] for name in names))
        shown = names[: max(1, bisect_right(expected_s, options.seconds))]
        held = results.get(mutant.name)
        if held is not None and (held["fate"] != SURVIVED or held["tests"] >= len(shown)):
            continue
        if time.monotonic() > stop_at:
            print(f"{len(drawn) - number + 1} of {len(drawn)} are left; the same command goes on with them")
            return 3
        result = _try(tree, mutant, sources[mutant.path], shown, tests) | {"of": len(names)}
        print(f"{number}/{len(drawn)} {result['fate']:8} {result['seconds']:5.1f} s  {mutant.name}", flush=True)
        results[mutant.name] = result
        with log.open("a") as file:
            file.write(json.dumps({"mutant": mutant.name} | result) + "\n")
    _report(drawn, results, sources, options.seed)
    return 0


def _tracked() -> list[str]:
    answer = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [name for name in sorted(set(answer.stdout.splitlines())) if (ROOT / name).is_file()]


def _digest(*options: Any) -> str:
    """Name a run: another tree or other options make another one."""
    digest = hashlib.sha256(repr(options).encode())
    for name in _tracked():
        if name.endswith((".py", ".toml")):
            digest.update(name.encode() + (ROOT / name).read_bytes())
    return digest.hexdigest()[:12]


def _copy(tree: Path) -> None:
    """Copy the tree, also over what a run that was killed has left changed."""
    for name in _tracked():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name)


def _tests_of_lines(tree: Path, file: Path) -> Reach:
    """Run all tests unchanged once; they have to pass."""
    if not file.is_file():
        begun = time.monotonic()
        environment = _environment(tree) | {"TESTS_OF_LINES": str(file)}
        command = [*PYTEST, "-p", "tests.mutants.contexts", "-k", "not neo4j", *TESTS]
        ran = subprocess.run(command, cwd=tree, env=environment, check=False, capture_output=True, text=True)
        if ran.returncode != 0:
            file.unlink(missing_ok=True)
            raise SystemExit(f"the tests fail without a mutant:\n{ran.stdout[-3000:]}{ran.stderr[-3000:]}")
        print(f"{ran.stdout.strip().splitlines()[-1]}, unchanged; {time.monotonic() - begun:.0f} s", flush=True)
    held = json.loads(file.read_text())
    by_line = {
        path: {int(line): frozenset(names) for line, names in lines.items()} for path, lines in held["by_line"].items()
    }
    return Reach(held["seconds"], by_line)


def _environment(tree: Path) -> dict[str, str]:
    return dict(os.environ) | {"PYTHONPATH": str(tree)}


def _try(tree: Path, mutant: Mutant, original: str, names: Sequence[str], tests: Reach) -> dict[str, Any]:
    """Run the tests that reach the mutant until one of them fails. One that hangs has failed, too."""
    if not names:
        return {"fate": UNTESTED, "seconds": 0.0, "tests": 0, "by": ""}
    expected_s = [tests.seconds[name] for name in names]
    chosen = tree.parent / "chosen.txt"
    chosen.write_text("\n".join(names))
    module = tree / mutant.path
    begun = time.monotonic()
    _write(module, mutant.source(original) or "")
    try:
        hangs_after_s = max(10.0, 4 * max(expected_s))
        command = [*PYTEST, "-x", "--timeout", f"{hangs_after_s:.0f}", f"@{chosen}"]
        code, output = _run(command, tree, 60 + 5 * sum(expected_s))
    finally:
        _write(module, original)
    failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    by = failed[0] if failed else ("" if code == 0 else output.strip()[-300:])
    fate = SURVIVED if code == 0 else KILLED
    return {"fate": fate, "seconds": round(time.monotonic() - begun, 1), "tests": len(names), "by": by}


def _write(module: Path, text: str) -> None:
    """Write the text, and take away its compiled form, which is told from another text's by no more than size and
    second.
    """
    module.write_text(text)
    for compiled in (module.parent / "__pycache__").glob(f"{module.stem}.*.pyc"):
        compiled.unlink()


def _run(command: list[str], tree: Path, limit_s: float) -> tuple[int, str]:
    """Return the exit code and the output; a process that is too slow is killed with all its children."""
    with subprocess.Popen(
        command,
        cwd=tree,
        env=_environment(tree),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return -1, f"{output}\nhung for {limit_s:.0f} s"
        except SystemExit:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, output


def _read(log: Path) -> dict[str, dict[str, Any]]:
    if not log.is_file():
        return {}
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    return {row.pop("mutant"): row for row in rows}


def _report(
    drawn: Sequence[Mutant], results: Mapping[str, Mapping[str, Any]], sources: Mapping[str, str], seed: int
) -> None:
    counts = Counter((mutant.path, results[mutant.name]["fate"]) for mutant in drawn)
    print(f"\n{len(drawn)} mutants, seed {seed}\n\n| module | mutants | killed | survived | untested |")
    print("|---|--:|--:|--:|--:|")
    for path in sorted({mutant.path for mutant in drawn}):
        row = [counts[path, fate] for fate in (KILLED, SURVIVED, UNTESTED)]
        print(f"| {path.removeprefix(PACKAGE + '/')} | {sum(row)} | {' | '.join(map(str, row))} |")
    for mutant in drawn:
        result = results[mutant.name]
        if result["fate"] == KILLED:
            continue
        print(f"\n{result['fate']} {mutant.name} ({result['tests']} of {result['of']} tests)")
        changed = mutant.source(sources[mutant.path]) or ""
        lines = difflib.unified_diff(sources[mutant.path].splitlines(), changed.splitlines(), lineterm="", n=1)
        print("\n".join(list(lines)[2:]))


if __name__ == "__main__":
    sys.exit(main())
