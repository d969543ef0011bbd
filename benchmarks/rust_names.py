"""This measures how fast the names of recorded crates are read: token by token, as the product does it, and as another
revision did.

`python -m benchmarks.rust_names [REVISION]`. It needs the recorded crates beside the checkout (../shared/fixtures), and
git for a revision. Each figure is the least processor time of some runs in one process; every way must give the same
names.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import time
from contextlib import nullcontext
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
ARCHIVES = CHECKOUT.parent / "shared" / "fixtures" / "crates" / "archives"
RUNS = 3
SLOWEST = 6
"""So many crates have rows of their own."""


def main() -> None:
    # The child must not import the product's code before it knows from where.
    from benchmarks.harness import print_header, print_table, work_dir

    if not ARCHIVES.is_dir():
        sys.exit("the recorded crates (../shared/fixtures) are not beside this checkout")
    ways = {"token by token": measured(CHECKOUT, "skips_nothing"), "now": measured(CHECKOUT, "")}
    if len(sys.argv) > 1:
        with work_dir() as folder:
            unpack(sys.argv[1], folder)
            ways = {sys.argv[1]: measured(folder, ""), **ways}
    slowest = sorted(ways["now"], key=lambda crate: -ways["now"][crate][0])
    for crate in slowest:
        if len({way[crate][1] for way in ways.values()}) > 1:
            print(f"{crate} does not have the same names in every way")
    rows = [{"crate": crate, **{way: found[crate][0] for way, found in ways.items()}} for crate in slowest[:SLOWEST]]
    total = {way: sum(seconds for seconds, _ in found.values()) for way, found in ways.items()}
    print_header("Names of recorded crates", f"seconds of one processor, the least of {RUNS} runs")
    print_table([*rows, {"crate": f"all {len(slowest)}", **total}])


def measured(code: Path, how: str) -> dict[str, tuple[float, str]]:
    """Return the seconds and a digest of the names by crate, from a process of its own that runs the code in a
    folder.
    """
    command = [sys.executable, "-P", __file__, str(code), how]
    child = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, tuple[float, str]] = json.loads(child.stdout)
    return found


def unpack(revision: str, folder: Path) -> None:
    """This puts the product's code of a revision into a folder."""
    archive = ["git", "-C", str(CHECKOUT), "archive", revision, "securechain_ingest"]
    with tarfile.open(fileobj=io.BytesIO(subprocess.run(archive, capture_output=True, check=True).stdout)) as packed:
        packed.extractall(folder, filter="data")


def measure(code: str, how: str) -> None:
    """This runs in the child and prints what `measured` returns."""
    sys.path[:0] = [code, str(CHECKOUT)]
    from hashlib import sha256

    from securechain_ingest.archives.limits import ArchiveLimits
    from securechain_ingest.errors import ArchiveRefused
    from securechain_ingest.registries.cargo.client import Cargo

    if how:
        from tests.registries.cargo.token_by_token import token_by_token
    limits = ArchiveLimits(max_members=200_000, max_expanded_bytes=1024**3)
    found = {}
    with token_by_token() if how else nullcontext():
        for path in sorted(ARCHIVES.glob("*.crate")):
            times = []
            for _ in range(RUNS):
                started_at = time.process_time()
                try:
                    names = Cargo.archive_names(str(path), path.name, limits).names
                except ArchiveRefused as error:
                    names = (str(error),)
                times.append(time.process_time() - started_at)
            found[path.name] = min(times), sha256("\n".join(names).encode()).hexdigest()
    print(json.dumps(found))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(*sys.argv[1:])
    else:
        main()
