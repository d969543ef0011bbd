"""This makes every mutant of a module: what cosmic-ray's operators make of its Python, what is left without one of
its statements, and what changes of the Lua in its strings make of it.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.provider import OperatorProvider

from tests.mutants import lua

_IS_LUA: Final = re.compile(r"redis\.p?call\(|^local ", re.MULTILINE)
_LEFT_OUT: Final = re.compile(
    r"Variable(Replacer|Inserter)"  # They want to be told names.
    r"|ReplaceBinaryOperator_.*_(BitOr|BitAnd|BitXor|LShift|RShift|Pow)"  # These only fail.
    r"|ReplaceComparisonOperator_(?!Is_|IsNot_).*_(Is|IsNot)"
    r"|ReplaceComparisonOperator_(Is|IsNot)_(?!Is$|IsNot$).*"
)

Place = tuple[int, int]
"""This is a line, counted from 1, and a column in characters, counted from 0."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """This is one change of one module."""

    path: str
    start: Place
    what: str
    """This is the operator's name, or `lua` or `without`."""
    number: int
    """This says which of the operator's occurrences in the module it is."""

    @property
    def name(self) -> str:
        return f"{self.path}:{self.start[0]}:{self.start[1]}:{self.what}:{self.number}"

    def source(self, original: str) -> str | None:
        """Return the module's text with the change; None if it is no Python, or the same Python, then."""
        if self.what == "lua":
            changed: str | None = _changed(original, _lua_changes(original)[self.number])
        elif self.what == "without":
            changed = _changed(original, _removals(original)[self.number])
        else:
            changed = mutate_code(original, OperatorProvider()[self.what](), self.number)
        if changed is None:
            return None
        try:
            same = ast.dump(ast.parse(changed)) == ast.dump(ast.parse(original))
        except SyntaxError:
            return None
        return None if same else changed


def draw(sources: Mapping[str, str], seed: int, count: int) -> list[Mutant]:
    """Return so many mutants of modules (text by path), drawn by chance: first a place, then one of its changes."""
    chance = random.Random(seed)
    places: dict[tuple[str, Place], list[Mutant]] = {}
    for path in sorted(sources):
        for mutant in mutants_of(path, sources[path]):
            places.setdefault((path, mutant.start), []).append(mutant)
    order = sorted(places)
    chance.shuffle(order)
    drawn: list[Mutant] = []
    for place in order:
        if len(drawn) == count:
            break
        choices = places[place]
        chance.shuffle(choices)
        drawn += [each for each in choices if each.source(sources[place[0]]) is not None][:1]
    return drawn


def mutants_of(path: str, source: str) -> Iterator[Mutant]:
    """Yield all of one module.

    Left out is what no test of behaviour can tell: annotations, which parameters are named in calls, the arguments of
    decorators, log lines.
    """
    untold = _untold(source)
    lines = source.splitlines()
    nodes = list(ast_nodes(get_ast(source)))
    operators: Any = OperatorProvider()
    for name in sorted(name for name in operators if not _LEFT_OUT.fullmatch(name)):
        operator = operators[name]()
        occurrences = (start for node in nodes for start, _ in operator.mutation_positions(node))
        for number, start in enumerate(occurrences):
            is_signature = lines[start[0] - 1].startswith("*,", start[1])
            if not is_signature and not any(first <= start < last for first, last in untold):
                yield Mutant(path, start, name, number)
    for what, changes in (("without", _removals(source)), ("lua", _lua_changes(source))):
        for number, change in enumerate(changes):
            start = _place(source, change.start)
            if what == "lua" or not any(first <= start < last for first, last in untold):
                yield Mutant(path, start, what, number)


def _untold(source: str) -> Sequence[tuple[Place, Place]]:
    found: list[ast.expr | ast.stmt] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.arg(annotation=ast.expr() as annotation) | ast.AnnAssign(annotation=annotation):
                found.append(annotation)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found += [node.returns] if node.returns else []
            case ast.ClassDef():
                found += node.decorator_list
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="logger")))):
                found.append(node)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                found.append(node)
    lines = source.splitlines()
    return [_span(lines, node) for node in found]


@cache
def _removals(source: str) -> list[lua.TextChange]:
    """Return statements that only do something, each replaced by `pass`; those of a constructor would be missed at
    once.
    """
    tree = ast.parse(source)
    constructors = [
        range(node.lineno, (node.end_lineno or 0) + 1)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    ]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and any(node.lineno in lines for lines in constructors):
            continue
        match node:
            case (
                ast.Expr(value=ast.Call() | ast.Await())
                | ast.AugAssign()
                | ast.Delete()
                | ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_])
            ):
                found.append(lua.TextChange(*_offsets(source, node), "pass"))
    return sorted(found)


@cache
def _lua_changes(source: str) -> list[lua.TextChange]:
    found = []
    for statement in ast.parse(source).body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _IS_LUA.search(node.value):
                start, end = _offsets(source, node)
                quotes = 3 if source.startswith('"""', start) else 1
                start, end = start + quotes, end - quotes
                found += [
                    lua.TextChange(change.start + start, change.end + start, change.new)
                    for change in lua.changes(source[start:end])
                ]
    return found


def _changed(source: str, change: lua.TextChange) -> str:
    return source[: change.start] + change.new + source[change.end :]


def _span(lines: Sequence[str], node: ast.expr | ast.stmt) -> tuple[Place, Place]:
    def place(line: int, offset: int) -> Place:
        return line, len(lines[line - 1].encode()[:offset].decode())

    return place(node.lineno, node.col_offset), place(node.end_lineno or 0, node.end_col_offset or 0)


def _offsets(source: str, node: ast.expr | ast.stmt) -> tuple[int, int]:
    lines = source.splitlines(keepends=True)
    first, last = _span(lines, node)
    start, end = (sum(map(len, lines[: line - 1])) + column for line, column in (first, last))
    return start, end


def _place(source: str, offset: int) -> Place:
    before = source[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1)
