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
_ENDS_OF_TYPE: Final = frozenset({",", ";", "=", "{", "|", ":", "as", "where"})
_ENDS_OF_PATTERN: Final = frozenset({",", "=", "if", "in"})
_UP_TO_SEMICOLON: Final = frozenset({"use", "const", "static", "type", "extern"})


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
            matches = is_word(tree)
        case "lifetime":
            matches = tree.startswith("'") and not tree.endswith("'")
        case "block":
            matches = tree.startswith("{")
        case "literal":
            position += tree == "-"
            matches = is_literal(tree) or tree in ("-", "true", "false")
        case "item":
            return _item_end(given, position)
        case "ty" | "path":
            return _up_to(given, position, _ENDS_OF_TYPE)
        case "pat" | "pat_param":
            return _up_to(given, position, _ENDS_OF_PATTERN)
        case "expr" | "expr_2021" | "stmt" | "meta":
            return _up_to(given, position, _ENDS_OF_EXPRESSION)
        case _:
            return None
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
        elif sign == ">" and depth and not follows_dash:
            depth -= 1
        elif is_arrow or (not depth and sign in ends):
            return index if index > position else None
    return len(given)


def _item_end(given: Trees, position: int) -> int | None:
    """Return where the item's semicolon or body ends. Its attributes come first."""
    while _sign(given, position) == "#" and _sign(given, position + 1) == "[":
        position += 2
    needs_semicolon = False
    for index in range(position, len(given)):
        sign = _sign(given, index)
        needs_semicolon |= sign == "=" or (
            sign in _UP_TO_SEMICOLON and _sign(given, index + 1) not in ("fn", "{", "unsafe")
        )
        if sign == ";" or (sign == "{" and not needs_semicolon):
            return index + 1
        if sign == "extern" and is_literal(_sign(given, index + 1)):
            needs_semicolon = False
    return None
