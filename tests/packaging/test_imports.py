"""This tests that imports never lead back to where they began, neither from module to module nor from room to room."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "securechain_ingest"


def modules() -> dict[str, Path]:
    """Return every module of the program by its dotted name."""
    found = {}
    for path in (ROOT / PACKAGE).rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Yield the modules that one imports, also within functions and for types alone. `from a import b` imports the
    module a.b if there is one, and otherwise a."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else str(node.module)


def itself(module: str) -> str:
    return module


def room_of(module: str) -> str:
    """Return the folder or the module beside the folders to which a module belongs."""
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("part_of", [itself, room_of])
def test_no_imports_lead_in_a_circle(part_of: Callable[[str], str]) -> None:
    known = modules()
    uses: dict[str, set[str]] = {}
    for module, path in known.items():
        uses.setdefault(part_of(module), set()).update(part_of(name) for name in imported(path, known))
    for part, used in uses.items():
        used.discard(part)
    try:
        order = list(TopologicalSorter(uses).static_order())
    except CycleError as error:
        pytest.fail(f"move what is in the wrong place: {' <- '.join(error.args[1])}")
    assert len(order) > 30
