"""This module reads from the syntax tree of a setup.py what it hands to `setup()`: the script is never run.

Literals, names that literals were given to, sums of lists, `dict()`, `os.path.join` and setuptools' `find_packages` are
understood; the rest is unknown. Of a script in Python 2 only the call itself is read.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_SCRIPT_BYTES: Final = 128 * 1024
"""This is in bytes; of a larger script nothing is understood, because a syntax tree takes a hundred times its text."""

_CALL: Final = re.compile(r"\bsetup[ \t]*\(")
_FINDERS: Final = {"find_packages": False, "find_namespace_packages": True, "find": False}


@dataclass(frozen=True, slots=True)
class Find:
    """setuptools looks for packages below this folder."""

    where: str = ""
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    namespaces: bool = False
    """Folders without `__init__.py` are packages, too."""


class Unknown:
    """Only running the script would give this value."""


UNKNOWN: Final = Unknown()

Value: TypeAlias = "str | bool | int | float | list[Value] | dict[str, Value] | Find | Unknown | None"


def setup_arguments(script: bytes) -> dict[str, Value] | None:
    """These are the keyword arguments of `setup()`; the result is None if it is not called or nobody can read the
    script."""
    if len(script) > MAX_SCRIPT_BYTES:
        return None
    text = script.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    tree = _parsed(text) or _parsed(_call_alone(text))
    if tree is None:
        return None
    reader = _ScriptReader()
    try:
        reader.read(tree)
    except RecursionError:
        return None
    return reader.arguments


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _call_alone(text: str) -> str:
    """This is the text of the call of `setup`, up to the bracket that closes it."""
    begin = _CALL.search(text)
    if begin is None:
        return ""
    lines = io.StringIO(text[begin.start() :])
    depth, kept = 0, []
    try:
        for token in tokenize.generate_tokens(lines.readline):
            if token.type in (tokenize.COMMENT, tokenize.NL):
                continue
            kept.append(token.string)
            depth += (token.string in "([{") - (token.string in ")]}") if token.type == tokenize.OP else 0
            if depth == 0 and token.string == ")":
                break
    except (tokenize.TokenError, IndentationError):
        return ""
    return " ".join(kept)


class _ScriptReader:
    """This walks a script from top to bottom, into conditions and functions, and keeps what names stand for."""

    def __init__(self) -> None:
        self.arguments: dict[str, Value] | None = None
        self._names: dict[str, Value] = {}
        self._budget = MAX_SCRIPT_BYTES
        """So many values may still be made: a value that refers to itself twice, again and again, would grow without
        end."""

    def read(self, tree: ast.AST) -> None:
        for node in ast.iter_child_nodes(tree):
            match node:
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        self._assign(target, self._value(value))
                case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value):
                    self._names[name] = self._sum(self._names.get(name, UNKNOWN), self._value(value))
                case ast.Call(func=function) if _name_of(function) == "setup":
                    found = self._keywords(node)
                    if self.arguments is None or "name" in found:
                        self.arguments = found
            self.read(node)

    def _assign(self, target: ast.expr, value: Value) -> None:
        match target:
            case ast.Name(id=name):
                self._names[name] = value
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key))):
                table = self._names.get(name)
                if isinstance(table, dict):
                    table[key] = value

    def _value(self, node: ast.expr) -> Value:
        self._budget -= 1
        if self._budget < 0:
            return UNKNOWN
        match node:
            case ast.Constant(value=str() | bool() | int() | float() | None as value):
                return value
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                return self._list(items)
            case ast.Dict(keys=keys, values=values):
                return self._dict(keys, values)
            case ast.Name(id=name):
                return self._names.get(name, UNKNOWN)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._sum(self._value(left), self._value(right))
            case ast.Call(func=function):
                return self._call(node, _name_of(function))
        return UNKNOWN

    def _list(self, items: list[ast.expr]) -> Value:
        found: list[Value] = []
        for item in items:
            value = self._value(item.value if isinstance(item, ast.Starred) else item)
            if isinstance(item, ast.Starred):
                if not isinstance(value, list):
                    return UNKNOWN
                found += self._spent(value)
            else:
                found.append(value)
        return found

    def _dict(self, keys: list[ast.expr | None], values: list[ast.expr]) -> Value:
        found: dict[str, Value] = {}
        for key, value in zip(keys, values, strict=True):
            name, read = (self._value(key) if key is not None else None), self._value(value)
            if key is None:
                found.update(read if isinstance(read, dict) else {})
            elif isinstance(name, str):
                found[name] = read
        return found

    def _sum(self, left: Value, right: Value) -> Value:
        if isinstance(left, list) and isinstance(right, list):
            return [*self._spent(left), *self._spent(right)]
        if isinstance(left, str) and isinstance(right, str) and len(left) + len(right) < 1000:
            return left + right
        return UNKNOWN

    def _spent(self, values: list[Value]) -> list[Value]:
        self._budget -= len(values)
        return values if self._budget >= 0 else [UNKNOWN]

    def _call(self, call: ast.Call, name: str) -> Value:
        if name in _FINDERS:
            return [self._find(call, namespaces=_FINDERS[name] or _is_namespace_finder(call.func))]
        if name == "dict" and len(call.args) < 2:
            base = self._value(call.args[0]) if call.args else {}
            return {**base, **self._keywords(call)} if isinstance(base, dict) else UNKNOWN
        if name in ("list", "tuple", "sorted", "set") and len(call.args) == 1:
            return self._value(call.args[0])
        if name == "join":
            parts = [self._value(part) for part in call.args]
            if all(isinstance(part, str) for part in parts):
                return "/".join(map(str, parts))
        return UNKNOWN

    def _find(self, call: ast.Call, *, namespaces: bool) -> Value:
        given = {name: self._value(value) for name, value in zip(("where", "exclude", "include"), call.args)}  # noqa: B905
        given |= self._keywords(call)
        where, include, exclude = given.get("where", ""), given.get("include", ["*"]), given.get("exclude", [])
        if not isinstance(where, str) or not isinstance(include, list) or not isinstance(exclude, list):
            return UNKNOWN
        return Find(where, strings(include), strings(exclude), namespaces)

    def _keywords(self, call: ast.Call) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for keyword in call.keywords:
            value = self._value(keyword.value)
            if keyword.arg is not None:
                found[keyword.arg] = value
            elif isinstance(value, dict):
                found.update(value)
        return found


def strings(value: object) -> tuple[str, ...]:
    """The result has the texts in a list; it is empty for anything else."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _name_of(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _is_namespace_finder(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and "420" in _name_of(function.value)
