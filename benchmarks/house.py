"""How the code is arranged, at two revisions: lines by room, class names that stand twice, who names an ecosystem.

`python -m benchmarks.house [REVISION ...]` (a142ae0, of the evening before the rooms were tidied, and HEAD)
"""

from __future__ import annotations

import argparse
import ast
import subprocess
from collections import Counter
from collections.abc import Mapping

from benchmarks.harness import print_table

PRODUCT = "securechain_ingest/"
SCHEDULE_ROOMS = (f"{PRODUCT}schedules/", f"{PRODUCT}runs/")
ECOSYSTEM = "nuget"
"""Whoever adds an ecosystem has to touch the files that name this one, beside its own folders."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.house")
    parser.add_argument("revisions", nargs="*", default=["a142ae0", "HEAD"])
    revisions = parser.parse_args().revisions
    trees = {revision: files_of(revision) for revision in revisions}
    rooms = {revision: lines_by_room(files) for revision, files in trees.items()}
    names = sorted({room for lines in rooms.values() for room in lines})
    print_table([{"room": room} | {revision: rooms[revision].get(room) for revision in revisions} for room in names])
    for revision, files in trees.items():
        print(f"{revision}: {sum(rooms[revision].values())} lines")
        product, tests = class_names(files, PRODUCT), class_names(files, "tests/")
        print(
            f"  class names that stand twice: {_repeated(product)} in the product, {_repeated(tests)} in tests;"
            f" {len(product.keys() & tests.keys())} stand once in each"
        )
        schedule = [text for path, text in files.items() if path.startswith(SCHEDULE_ROOMS)]
        lines, code = sum(len(text.splitlines()) for text in schedule), sum(map(code_lines, schedule))
        print(f"  schedules/ and runs/: {lines} lines, {code} of them without imports, comments and docstrings")
        naming = [path for path, text in files.items() if ECOSYSTEM in text.lower() and f"/{ECOSYSTEM}" not in path]
        shown = ", ".join(path for path in naming if path.startswith(PRODUCT))
        print(f"  name {ECOSYSTEM} outside of its folders: {shown}")


def files_of(revision: str) -> dict[str, str]:
    """Return the text of each Python file of the product and its tests at a revision."""
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", revision, PRODUCT, "tests/"], check=True, capture_output=True, text=True
    ).stdout
    return {path: _text(revision, path) for path in listed.splitlines() if path.endswith(".py")}


def _text(revision: str, path: str) -> str:
    return subprocess.run(["git", "show", f"{revision}:{path}"], check=True, capture_output=True, text=True).stdout


def lines_by_room(files: Mapping[str, str]) -> Counter[str]:
    """Return the number of lines of each folder of the product; the modules beside the folders are one room."""
    rooms: Counter[str] = Counter()
    for path, text in files.items():
        if path.startswith(PRODUCT):
            parts = path.split("/")
            rooms[f"{parts[1]}/" if len(parts) > 2 else "(beside)"] += len(text.splitlines())
    return rooms


def code_lines(text: str) -> int:
    """Return the number of lines of a module that are no import, comment, docstring or blank line."""
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant(value=str())):
                left_out.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and number not in left_out for number, line in lines
    )


def class_names(files: Mapping[str, str], folder: str) -> Counter[str]:
    """Return for how many classes below a folder each name stands."""
    return Counter(
        node.name
        for path, text in files.items()
        if path.startswith(folder)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
    )


def _repeated(names: Counter[str]) -> int:
    return sum(number > 1 for number in names.values())


if __name__ == "__main__":
    main()
