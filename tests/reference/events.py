"""This finds every event that the code logs, with its levels, as the code says it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).resolve().parents[2] / "securechain_ingest"

_LEVELS: Final = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}


@cache
def events() -> dict[str, set[str]]:
    """Return the levels of each event."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for function in [tree, *ast.walk(tree)]:
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for event, levels in _logged(function):
                    found.setdefault(event, set()).update(levels)
    return found


def fields() -> Iterator[tuple[str, str]]:
    """Yield each event with the name of each field that it is given."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and any(_methods(node.func)):
                for event in _texts(node.args[0]):
                    yield from ((event, keyword.arg) for keyword in node.keywords if keyword.arg)


def _logged(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, set[str]]]:
    """Yield the events of one function: `logger.info("event")`, `tell("event")` or `_log("event")`, also where a
    variable holds one of two methods.
    """
    variables = {
        node.targets[0].id: set(_methods(node.value))
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and node.args:
            levels = _levels(node.func, variables)
            for event in _texts(node.args[0]) if levels else ():
                yield event, levels


def _levels(called: ast.expr, variables: Mapping[str, set[str]]) -> set[str]:
    if isinstance(called, ast.Name):
        return {"warning"} if called.id in {"tell", "_log"} else variables.get(called.id, set())
    return set(_methods(called))


def _methods(node: ast.expr) -> Iterator[str]:
    """Yield the levels of `logger.info`, or of `logger.warning if … else logger.error`."""
    if isinstance(node, ast.IfExp):
        yield from _methods(node.body)
        yield from _methods(node.orelse)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "logger":
        yield from [_LEVELS[node.attr]] if node.attr in _LEVELS else []


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
