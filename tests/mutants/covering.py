"""Which tests a mutant is shown to: those that run its line; of a constant or a script, those that run a line which
uses it.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reach:
    """What `tests.mutants.contexts` has written down."""

    seconds: Mapping[str, float]
    """By test, in the order in which they ran."""
    by_line: Mapping[str, Mapping[int, frozenset[str]]]
    """The tests that ran each line, by module and line."""


@dataclass(slots=True)
class _Module:
    functions: list[tuple[int, int, int]] = field(default_factory=list)
    """First line with its decorators, first and last line of the body."""
    names: dict[int, str] = field(default_factory=dict)
    """The name that each line outside of a function's body belongs to."""


class Uses:
    """Where the package's modules (text by path) use what other lines of them name."""

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
        """Those that can tell whether the line has been changed, the quickest first."""
        found: set[str] = set()
        done: set[tuple[str, int]] = set()
        ahead = {(path, line)}
        while ahead:
            path, line = place = ahead.pop()
            done.add(place)
            ran = tests.by_line.get(path, {})
            module = self._modules[path]
            name = module.names.get(line)
            body = next(((first, last) for start, first, last in module.functions if start <= line < first), None)
            if body is not None:
                found.update(*(ran.get(each, ()) for each in range(body[0], body[1] + 1)))
            elif name is None:
                found |= ran.get(line, frozenset())
            else:
                ahead |= self._uses[name] - done
        return sorted(found, key=lambda test: tests.seconds[test])


def _read(source: str) -> _Module:
    module = _Module()
    tree = ast.parse(source)
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            last = node.end_lineno or node.lineno
            module.functions.append((first, node.body[0].lineno, last))
            inside.update(range(first, last + 1))
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name), *_]) | ast.AnnAssign(target=ast.Name(id=name)):
                pass
            case ast.ClassDef(name=name):
                pass
            case _:
                continue
        decorators = statement.decorator_list if isinstance(statement, ast.ClassDef) else []
        first = min([statement.lineno, *(each.lineno for each in decorators)])
        for line in range(first, (statement.end_lineno or statement.lineno) + 1):
            if line not in inside:
                module.names[line] = name
    return module
