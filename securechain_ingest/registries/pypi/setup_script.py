"""This module reads from the syntax tree of a setup.py what it hands to `setup()`: the script is never run.

What is understood of its expressions, `script_values` says; of conditions on Python's version and the system only the
branch that is taken counts. Of a script in Python 2 only the call itself is read.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable
from typing import Final

from securechain_ingest.registries.pypi.script_types import UNKNOWN, Value
from securechain_ingest.registries.pypi.script_values import ScriptValues

MAX_SCRIPT_BYTES: Final = 128 * 1024
"""This is in bytes; of a larger script nothing is understood, because a syntax tree takes a hundred times its text."""

_CALL: Final = re.compile(r"\bsetup[ \t]*\(")


def setup_arguments(script: bytes) -> dict[str, Value] | None:
    """Return the keyword arguments of `setup()`. The result is None if it is not called or nobody can read the
    script.

    `ext_modules` has the names of all native modules that the script describes, wherever it does.
    """
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
    return None if reader.arguments is None else {**reader.arguments, "ext_modules": reader.natives}


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _call_alone(text: str) -> str:
    """Return the text of the call of `setup`, up to the bracket that closes it."""
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
    """This walks a script from top to bottom, into functions and into the branches that Python may take."""

    def __init__(self) -> None:
        self.arguments: dict[str, Value] | None = None
        self.natives: list[Value] = []
        self._values = ScriptValues(MAX_SCRIPT_BYTES)

    def read(self, tree: ast.AST) -> None:
        for node in ast.iter_child_nodes(tree):
            self._read_one(node)

    def _read_one(self, node: ast.AST) -> None:
        values = self._values
        match node:
            case ast.If(test=test, body=body, orelse=other) if (truth := values.truth(test)) is not None:
                self._read_all(body if truth else other)
                return
            case ast.Try(body=body, handlers=handlers, orelse=other, finalbody=final):
                # The script that works is the one that counts.
                self._read_all([*handlers, *body, *other, *final])
                return
            case ast.For(target=target):
                self._assign(target, UNKNOWN)
            case ast.ImportFrom(module=module, names=imported):
                for each in imported:
                    self._import(module, each)
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                self._assigned(node)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if name in values.names:
                values.change(name, method, node)
            case ast.Call():
                self._called(node)
        self.read(node)
        if isinstance(node, ast.FunctionDef) and not node.args.args and isinstance(last := node.body[-1], ast.Return):
            values.results[node.name] = values.of(last.value) if last.value is not None else None

    def _assigned(self, node: ast.stmt) -> None:
        values = self._values
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign(target, values.of(value))
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(target, values.of(value))
            case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value):
                values.names[name] = values.sum(values.names.get(name, UNKNOWN), values.of(value))

    def _called(self, call: ast.Call) -> None:
        values, name = self._values, self._values.function(call.func)
        if name == "setup":
            found = values.keywords(call)
            if self.arguments is None or "name" in found:
                self.arguments = found
        elif name.endswith("Extension"):
            named = [keyword.value for keyword in call.keywords if keyword.arg == "name"]
            self.natives += [values.of(each) for each in (*call.args[:1], *named)]

    def _read_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self._read_one(node)

    def _import(self, module: str | None, imported: ast.alias) -> None:
        name = imported.asname or imported.name
        if (value := self._values.of(ast.Attribute(ast.Name(module or ""), imported.name))) is not UNKNOWN:
            self._values.names[name] = value
        elif imported.asname:
            self._values.aliases[name] = imported.name

    def _assign(self, target: ast.expr, value: Value) -> None:
        match target:
            case ast.Name(id=name):
                self._values.names[name] = value
            case ast.Tuple(elts=targets):
                items = value if isinstance(value, list) and len(value) == len(targets) else [UNKNOWN] * len(targets)
                for each, item in zip(targets, items, strict=True):
                    self._assign(each, item)
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key))):
                table = self._values.names.get(name)
                if isinstance(table, dict):
                    table[key] = value
