"""This says which tests a mutant is shown to: those that run its line; of a constant or a script, those that run a
line which uses it.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reach:
    """This is what `tests.mutants.contexts` has written down."""

    seconds: Mapping[str, float]
    """These are the seconds by test, in the order in which the tests ran."""
    by_line: Mapping[str, Mapping[int, frozenset[str]]]
    """These are the tests that ran each line, by module and line; of one that ran only at import, none."""


@dataclass(slots=True)
class _Module:
    functions: list[tuple[int, int, int]] = field(default_factory=list)
    """These are the first line with its decorators, and the first and the last line of the body."""
    names: dict[int, str] = field(default_factory=dict)
    """This is what each line is a part of: a constant, a class, a function of the module."""

    def body(self, line: int) -> range:
        """Return the lines that run if this one matters: of a signature its function's, of what runs at import none."""
        for start, first, last in self.functions:
            if start <= line < first:
                return range(first, last + 1)
        inside = any(first <= line <= last for _, first, last in self.functions)
        return range(line, line + 1) if inside else range(0)


class Uses:
    """This is where the package's modules (text by path) use what other lines of them name."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._modules: dict[str, _Module] = {}
        self._uses: dict[str, set[tuple[str, int]]] = defaultdict(set)
        for path, source in sources.items():
            self._modules[path] = _read(source)
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                    self._uses[node.id].add((path, node.lineno))
                elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    self._uses[node.attr].add((path, node.lineno))

    def tests(self, path: str, line: int, tests: Reach) -> list[str]:
        """Return those that can tell whether the line has been changed, the quickest first."""
        found: set[str] = set()
        done: set[tuple[str, int]] = set()
        ahead = {(path, line)}
        while ahead:
            path, line = place = ahead.pop()
            done.add(place)
            ran = tests.by_line.get(path, {})
            module = self._modules[path]
            reached = {test for each in module.body(line) for test in ran.get(each, ())}
            # What runs only while modules are imported is seen by whoever uses what it makes.
            at_import = line in ran or not module.body(line)
            if not reached and at_import and line in module.names:
                ahead |= self._uses[module.names[line]] - done
            found |= reached
        return sorted(found, key=lambda test: tests.seconds[test])


def _read(source: str) -> _Module:
    module = _Module()
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            module.functions.append((_first(node), node.body[0].lineno, node.end_lineno or node.lineno))
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name), *_]) | ast.AnnAssign(target=ast.Name(id=name)):
                pass
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                pass
            case _:
                continue
        for line in range(_first(statement), (statement.end_lineno or statement.lineno) + 1):
            module.names[line] = name
    return module


def _first(statement: ast.stmt) -> int:
    """Return the line of its first decorator, if it has any."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(each.lineno for each in decorators)])
