"""This module finds the values of a script's expressions without running them.

What a script is told of its surroundings is what `requirements.ENVIRONMENT` says; its own folder is the top of the
archive.
"""

from __future__ import annotations

import ast
import operator
import posixpath
from collections.abc import Callable, Mapping
from typing import Any, Final

from securechain_ingest.registries.pypi.script_texts import filled, path_function, path_of, text_method, text_of
from securechain_ingest.registries.pypi.script_types import UNKNOWN, Find, Unknown, Value, strings

_FINDERS: Final = {"find_packages": False, "find_namespace_packages": True, "find": False}
_SURROUNDINGS: Final[Mapping[str, Value]] = {
    "__file__": "setup.py",
    "os.curdir": ".",
    "os.name": "posix",
    "os.sep": "/",
    "six.PY2": False,
    "six.PY3": True,
    "sys.platform": "linux",
    "sys.version": "3.11.9",
    "sys.version_info": [3, 11, 9, "final", 0],
    "sys.version_info.major": 3,
    "sys.version_info.minor": 11,
}
_CALLS: Final[Mapping[str, Value]] = {
    "os.getcwd": "",
    "platform.system": "Linux",
    "Path.cwd": "",
    "pathlib.Path.cwd": "",
}
_MODULES: Final = frozenset({"os", "path", "pathlib", "util"})
"""Functions of these modules take paths."""
_COMPARED: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], object]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, others: one in others,
    ast.NotIn: lambda one, others: one not in others,
}


class ScriptValues:
    """These are the values that names stand for; each value that is found takes one of the `budget`, beyond which all
    are unknown: a value that refers to itself twice, again and again, would grow without end."""

    def __init__(self, budget: int) -> None:
        self.names: dict[str, Value] = {}
        self.results: dict[str, Value] = {}
        """Functions without parameters return these."""
        self.aliases: dict[str, str] = {}
        """Functions were imported under these names."""
        self._budget = budget

    def of(self, node: ast.expr) -> Value:
        """Return the value of an expression."""
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
                return self.names[name] if name in self.names else _SURROUNDINGS.get(name, UNKNOWN)
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                truth = self.truth(node)
                return UNKNOWN if truth is None else truth
            case ast.IfExp(test=test, body=body, orelse=other):
                truth = self.truth(test)
                return UNKNOWN if truth is None else self.of(body if truth else other)
        return self._computed(node)

    def _computed(self, node: ast.expr) -> Value:
        match node:
            case ast.Attribute(value=base, attr=attribute):
                return self._attribute(base, attribute, dotted(node))
            case ast.Subscript(value=ast.Dict(keys=keys, values=values), slice=key):
                return self._chosen(keys, values, self.of(key))
            case ast.Subscript(value=base, slice=key):
                return self._item(self.of(base), key)
            case ast.BinOp(left=left, op=op, right=right):
                return self._operation(op, self.of(left), self.of(right))
            case ast.JoinedStr(values=parts):
                return text_of(map(self._formatted, parts))
            case ast.ListComp() | ast.GeneratorExp() | ast.SetComp():
                return self._comprehension(node.elt, node.generators)
            case ast.Call():
                return self._call(node)
        return UNKNOWN

    def truth(self, node: ast.expr) -> bool | None:
        """Return whether a condition holds. The result is None if only running the script would tell."""
        match node:
            case ast.BoolOp(op=op, values=values):
                decides = isinstance(op, ast.Or)
                truths = [self.truth(value) for value in values]
                return decides if decides in truths else None if None in truths else not decides
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                truth = self.truth(operand)
                return None if truth is None else not truth
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
                pair = (self.of(left), self.of(right))
                one, other = (self._spent(value) if isinstance(value, list) else value for value in pair)
                if not (_is_known(one) and _is_known(other)):
                    return None
                try:
                    return bool(_COMPARED[type(op)](one, other))
                except TypeError:
                    return None
            case ast.Compare():
                return None
        value = self.of(node)
        return bool(value) if _is_known(value) else None

    def keywords(self, call: ast.Call) -> dict[str, Value]:
        """Return the keyword arguments of a call."""
        found: dict[str, Value] = {}
        for keyword in call.keywords:
            value = self.of(keyword.value)
            if keyword.arg is not None:
                found[keyword.arg] = value
            elif isinstance(value, dict):
                found.update(value)
        return found

    def function(self, node: ast.expr) -> str:
        """Return a function's own name, without its module. The result is empty for what is not a name."""
        match node:
            case ast.Name(id=name):
                return self.aliases.get(name, name)
            case ast.Attribute(attr=name):
                return name
        return ""

    def change(self, name: str, method: str, call: ast.Call) -> None:
        """Change a list or a table as a call of a method does."""
        value, given = self.names.get(name), [self.of(argument) for argument in call.args]
        if isinstance(value, list):
            self._budget -= len(value)
            if method in ("append", "insert", "add"):
                value += given[-1:]
            elif method in ("extend", "update"):
                for more in given:
                    value += self._spent(more) if isinstance(more, list) else [UNKNOWN]
            elif method in ("remove", "discard") and given and isinstance(given[0], str) and given[0] in value:
                value.remove(given[0])
        elif isinstance(value, dict):
            if method == "update":
                value.update({key: item for table in given if isinstance(table, dict) for key, item in table.items()})
                value.update(self.keywords(call))
            elif method == "setdefault" and len(given) == 2 and isinstance(given[0], str):
                value.setdefault(given[0], given[1])
            elif method == "pop" and given and isinstance(given[0], str):
                value.pop(given[0], None)

    def sum(self, left: Value, right: Value) -> Value:
        """Return what `+` makes of two lists or two texts, and UNKNOWN for anything else."""
        if isinstance(left, list) and isinstance(right, list):
            return [*self._spent(left), *self._spent(right)]
        if isinstance(left, str) and isinstance(right, str):
            return text_of((left, right))
        return UNKNOWN

    def _spent(self, values: list[Value]) -> list[Value]:
        self._budget -= len(values)
        return list(values) if self._budget >= 0 else [UNKNOWN]

    def _list(self, items: list[ast.expr]) -> Value:
        found: list[Value] = []
        for item in items:
            value = self.of(item.value if isinstance(item, ast.Starred) else item)
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
            name, read = (self.of(key) if key is not None else None), self.of(value)
            if key is None:
                found.update(read if isinstance(read, dict) else {})
            elif isinstance(name, str):
                found[name] = read
        return found

    def _attribute(self, base: ast.expr, attribute: str, name: str) -> Value:
        if name in _SURROUNDINGS:
            value = _SURROUNDINGS[name]
            return list(value) if isinstance(value, list) else value
        if attribute == "parent" and isinstance(path := self.of(base), str):
            return posixpath.dirname(path)
        return UNKNOWN

    def _item(self, value: Value, key: ast.expr) -> Value:
        if isinstance(key, ast.Slice):
            low, high = (self.of(end) if end is not None else None for end in (key.lower, key.upper))
            if isinstance(value, list) and isinstance(low, int | None) and isinstance(high, int | None):
                return self._spent(value)[low:high] if key.step is None else UNKNOWN
            return UNKNOWN
        name = self.of(key)
        if isinstance(value, dict) and isinstance(name, str):
            return value.get(name, UNKNOWN)
        if isinstance(value, list | str) and type(name) is int and -len(value) <= name < len(value):
            return value[name]
        return UNKNOWN

    def _chosen(self, keys: list[ast.expr | None], values: list[ast.expr], key: Value) -> Value:
        """Return what a table that is written out has for a key, which need not be a text there."""
        for each, value in zip(keys, values, strict=True):
            if each is None or isinstance(name := self.of(each), Unknown):
                return UNKNOWN
            if _is_plain(key) and name == key:
                return self.of(value)
        return UNKNOWN

    def _operation(self, op: ast.operator, left: Value, right: Value) -> Value:
        if isinstance(op, ast.Add):
            return self.sum(left, right)
        if isinstance(op, ast.Div) and isinstance(left, str) and isinstance(right, str):
            return path_of([left, right])
        if isinstance(op, ast.Mod) and isinstance(left, str):
            return filled(left, right if isinstance(right, list) else [right], {})
        return UNKNOWN

    def _formatted(self, part: ast.expr) -> Value:
        if isinstance(part, ast.FormattedValue):
            return self.of(part.value) if part.format_spec is None and part.conversion < 0 else UNKNOWN
        return self.of(part)

    def _comprehension(self, wanted: ast.expr, generators: list[ast.comprehension]) -> Value:
        items, target = self.of(generators[0].iter), generators[0].target
        if not isinstance(items, list) or not isinstance(target, ast.Name) or len(generators) > 1:
            return UNKNOWN
        outer = self.names.get(target.id, UNKNOWN)
        found: list[Value] = []
        for item in items:
            self.names[target.id] = item
            truths = [self.truth(condition) for condition in generators[0].ifs]
            if isinstance(item, Find) and isinstance(wanted, ast.Name) and None in truths:
                found.append(item)  # most of what is found there stays
            elif None in truths:
                found.append(UNKNOWN)
            elif all(truths):
                found.append(self.of(wanted))
        self.names[target.id] = outer
        return found

    def _call(self, call: ast.Call) -> Value:
        name, full_name = self.function(call.func), dotted(call.func)
        if name in _FINDERS:
            return [self._find(call, namespaces=_FINDERS[name] or _is_namespace_finder(call.func))]
        if full_name in _CALLS:
            return _CALLS[full_name]
        if not call.args and not call.keywords and full_name in self.results:
            return self.results[full_name]
        if name == "dict" and len(call.args) < 2:
            base = self.of(call.args[0]) if call.args else {}
            return {**base, **self.keywords(call)} if isinstance(base, dict) else UNKNOWN
        given = [self.of(argument) for argument in call.args]
        if name in ("list", "tuple", "sorted", "set") and len(given) == 1:
            return self._spent(given[0]) if isinstance(given[0], list) else UNKNOWN
        if name == "join":
            return self._joined(call, given)
        if isinstance(call.func, ast.Name) or not _MODULES.isdisjoint(full_name.split(".")):
            return path_function(name, given)
        base = self.of(call.func.value) if isinstance(call.func, ast.Attribute) else UNKNOWN
        value = text_method(base, name, given, self.keywords(call)) if isinstance(base, str) else UNKNOWN
        return self._spent(value) if isinstance(value, list) else value

    def _joined(self, call: ast.Call, given: list[Value]) -> Value:
        """Return what `os.path.join(a, b)` or `".".join([a, b])` returns."""
        if isinstance(call.func, ast.Attribute) and len(given) == 1 and isinstance(given[0], list):
            between = self.of(call.func.value)
            parts = [part for item in given[0] for part in (between, item)]
            return text_of(parts[1:])
        return path_of(given)

    def _find(self, call: ast.Call, *, namespaces: bool) -> Value:
        given = {name: self.of(value) for name, value in zip(("where", "exclude", "include"), call.args)}  # noqa: B905
        given |= self.keywords(call)
        where, include, exclude = given.get("where", ""), given.get("include", ["*"]), given.get("exclude", [])
        if not isinstance(where, str) or not isinstance(include, list) or not isinstance(exclude, list):
            return UNKNOWN
        return Find(where, strings(include), strings(exclude), namespaces)


def dotted(node: ast.expr) -> str:
    """Return a name with the names before it, such as `os.path.join`. The result is empty for anything else."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=base, attr=name):
            around = dotted(base)
            return f"{around}.{name}" if around else ""
    return ""


def _is_known(value: Value) -> bool:
    """Return whether the value is plain, or a list of plain ones: comparing lists of lists of lists may take without
    end."""
    return all(map(_is_plain, value)) if isinstance(value, list) else _is_plain(value)


def _is_plain(value: Value) -> bool:
    return isinstance(value, str | bool | int | float | None)


def _is_namespace_finder(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and "420" in dotted(function.value)
