"""This module says where the fragments of a macro's arguments end (`$name:ty` and its like).

The rules are in The Rust Reference, "Macros by example", "Metavariables" and "Follow-set ambiguity restrictions". A
fragment is recognised by what may follow it, and is not parsed: that is enough for macros that make items, whose
arguments are names, types and whole items.
"""

from __future__ import annotations

from typing import Final

from securechain_ingest.registries.cargo.rust_lexemes import CLOSING
from securechain_ingest.registries.cargo.rust_tokens import is_literal, is_word
from securechain_ingest.registries.cargo.token_trees import Trees

_ENDS_OF_EXPRESSION: Final = frozenset({",", ";"})
_ENDS_OF_TYPE: Final = frozenset({",", ";", "=", "{", "|", ":", "as", "where", ">"})
_ENDS_OF_PATTERN: Final = frozenset({",", "=", "if", "in"})
_ENDS: Final = {
    "ty": _ENDS_OF_TYPE,
    "path": _ENDS_OF_TYPE,
    "pat": _ENDS_OF_PATTERN,
    "pat_param": _ENDS_OF_PATTERN | {"|"},
    "expr": _ENDS_OF_EXPRESSION,
    "expr_2021": _ENDS_OF_EXPRESSION,
    "stmt": _ENDS_OF_EXPRESSION,
    "meta": _ENDS_OF_EXPRESSION,
}
_BEFORE_TYPES: Final = frozenset({"mut", "const", "dyn", "impl"})
"""A type goes on behind these words; behind another a bracket is no part of it."""
_UP_TO_SEMICOLON: Final = frozenset({"use", "static", "type"})
_BEFORE_FUNCTIONS: Final = frozenset({"fn", "unsafe", "async", "extern"})
_BEFORE_KEYWORDS: Final = frozenset({"pub", "(", "unsafe", "async", "default", "safe", "auto"})


def fragment_end(fragment: str, given: Trees, position: int) -> int | None:
    """Return where a fragment ends that begins at `position`. The result is None if no fragment begins there."""
    if fragment == "vis":
        is_restricted = _sign(given, position) == "pub" and _sign(given, position + 1) == "("
        return position + (2 if is_restricted else _sign(given, position) == "pub")
    if position >= len(given):
        return None
    tree = given[position]
    match fragment:
        case "tt":
            matches = True
        case "ident":
            matches = is_word(tree) and tree != "_"
        case "lifetime":
            matches = tree.startswith("'") and not tree.endswith("'")
        case "block":
            matches = tree.startswith("{")
        case "literal":
            position += tree == "-"
            matches = is_literal(tree) or tree in ("-", "true", "false")
        case "item":
            return _item_end(given, position)
        case _:
            ends = _ENDS.get(fragment)
            return None if ends is None else _up_to(given, position, ends)
    return position + 1 if matches else None


def _sign(given: Trees, position: int) -> str:
    """Return a token's text, or a group's opening bracket. Behind the end the result is empty."""
    tree = given[position] if position < len(given) else ""
    return tree if tree[:1] not in CLOSING else tree[0]


def _up_to(given: Trees, position: int, ends: frozenset[str]) -> int | None:
    """The first of these, or an arrow `=>`, stands here, outside of angle brackets; the result is None if it comes
    at once."""
    depth = 0
    for index in range(position, len(given)):
        sign = _sign(given, index)
        follows_dash = index > position and given[index - 1] in "-="
        is_arrow = sign == "=" and _sign(given, index + 1) == ">"
        if sign == "<" and ends is _ENDS_OF_TYPE:
            depth += 1
        elif sign == ">" and (depth or follows_dash):
            depth -= not follows_dash
        elif is_arrow or (not depth and sign in ends):
            return index if index > position else None
        elif sign == "[" and not depth and ends is _ENDS_OF_TYPE and _follows_type(given, position, index):
            return index
    return len(given)


def _follows_type(given: Trees, position: int, index: int) -> bool:
    """Return whether a type that began at `position` may end before a square bracket; else it is that of a slice."""
    if index == position:
        return False
    before = given[index - 1]
    if before == ">":
        return given[index - 2] != "-"
    return before[0] in CLOSING or (is_word(before) and before not in _BEFORE_TYPES)


def _item_end(given: Trees, position: int) -> int | None:
    """Return where the item's semicolon or body ends. Its attributes come first."""
    while _sign(given, position) == "#" and _sign(given, position + 1) == "[":
        position += 2
    needs_semicolon = _needs_semicolon(given, position)
    depth = 0
    for index in range(position, len(given)):
        sign = _sign(given, index)
        if sign == "<":
            depth += 1
        elif sign == ">" and given[index - 1] != "-":
            depth -= 1
        elif sign == ";" or (sign == "{" and not needs_semicolon and depth <= 0):
            return index + 1
    return None


def _needs_semicolon(given: Trees, position: int) -> bool:
    """Return whether the item that begins here may have braces before its end."""
    for index in range(position, len(given)):
        sign = _sign(given, index)
        match sign:
            case "const":
                return _sign(given, index + 1) not in _BEFORE_FUNCTIONS
            case "extern":
                return _sign(given, index + 1) == "crate"
            case _ if sign not in _BEFORE_KEYWORDS:
                return sign in _UP_TO_SEMICOLON
    return False
