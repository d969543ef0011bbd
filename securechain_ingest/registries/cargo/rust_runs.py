"""This module recognises what most sources consist of in one match each: a run of whole declarations that begin alike,
and implementations, which hold no names.

The format is in The Rust Reference, "Items". What is not recognised here is read token by token, with the same result.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple

from securechain_ingest.registries.cargo.rust_lexemes import CHARACTER, LINE_COMMENTS, STRING, whole_group

_BODY: Final = whole_group("{", levels=6)
_PARENTHESES: Final = whole_group("(", levels=3)
_SQUARE_BRACKETS: Final = whole_group("[", levels=2)
# Neither `#` nor a brace stands here, nor a semicolon outside of brackets: so the text that one attempt has run over is
# not run over again from a later item.
_UP_TO_BODY: Final = (
    rf"""(?:[^;#{{}}()\[\]"'/]++|{_PARENTHESES}|{_SQUARE_BRACKETS}|(?<![r#]){STRING}|{CHARACTER}|'|/(?![/*]))*+"""
)
_BETWEEN: Final = rf"\s*+(?:{LINE_COMMENTS}\s*+)?+"
_ATTRIBUTES: Final = rf"(?:\#\s*+{_SQUARE_BRACKETS}{_BETWEEN})*+"
_VISIBILITY: Final = r"(?:pub\s*+\([\w\s:]*+\)\s*+|(?P<public>pub)\s++)?+"
_BEFORE_FUNCTIONS: Final = "unsafe|async|default|safe|auto|gen"
_QUALIFIERS: Final = (
    rf"(?:(?:{_BEFORE_FUNCTIONS}|const(?=\s++(?:{_BEFORE_FUNCTIONS}|fn|extern)\b)"
    r"""|extern(?:\s*+"[^"\\]*+")?+(?=\s++fn\b))\s++)*+"""
)
_KEYWORD: Final = r"(?P<keyword>(?P<value>const|static|type)|fn|struct|union|trait)\s++"
_HEAD: Final = rf"(?P<attributes>{_ATTRIBUTES}){_VISIBILITY}{_QUALIFIERS}{_KEYWORD}"
# What may follow the keyword besides a name is no name here, nor is what begins a literal.
_NAME: Final = r"""(?!(?:mut|ref|fn|unsafe|async|default|safe|auto|gen|extern)\b)[A-Za-z_]\w*+(?!["'])"""
# A value may have braces before its end.
_DECLARATION: Final = (
    rf"{_BETWEEN}(?P<head>{_HEAD})(?P<name>{_NAME}){_UP_TO_BODY}(?:;|(?(value)(?!)|(?P<body>{_BODY})))"
)
_DECLARATIONS: Final = rf"(?P<first>{_DECLARATION})(?:{_BETWEEN}(?P=head){_NAME}{_UP_TO_BODY}(?(body){_BODY}|;))*+"
_NAMES_IN_RUN: Final = _BETWEEN + re.sub(r"\(\?P<\w+>", "(?:", _HEAD) + rf"({_NAME}){_UP_TO_BODY}(?:;|{_BODY})"
_IMPLEMENTATIONS: Final = rf"(?:{_BETWEEN}{_ATTRIBUTES}(?:unsafe\s++)?+impl\b{_UP_TO_BODY}{_BODY})++"


@cache
def _compiled(expression: str) -> re.Pattern[str]:
    """Return the pattern. To compile these takes a tenth of a second, which a process that reads no Rust is spared."""
    return re.compile(expression, re.DOTALL)


class DeclarationRun(NamedTuple):
    """These are declarations that differ in their names, and in what gives no name."""

    attributes: str
    """Each of them has these."""
    is_public: bool
    keyword: str
    has_body: bool
    """Each of them ends with braces, or else each with a semicolon."""
    names: tuple[str, ...]
    end: int


def run_of_declarations(source: str, position: int, end: int, *, at_most_one: bool) -> DeclarationRun | None:
    """Return the run of declarations that begins here, perhaps behind comments."""
    found = _compiled(_DECLARATION if at_most_one else _DECLARATIONS).match(source, position, end)
    if found is None:
        return None
    is_one = at_most_one or found.end("first") == found.end()
    names = (found["name"],) if is_one else tuple(_compiled(_NAMES_IN_RUN).findall(source, position, found.end()))
    attributes, public, keyword, body = found.group("attributes", "public", "keyword", "body")
    return DeclarationRun(attributes, public is not None, keyword, body is not None, names, found.end())


def after_implementations(source: str, position: int, end: int) -> int | None:
    """Return where the implementations end that begin here, perhaps behind comments."""
    found = _compiled(_IMPLEMENTATIONS).match(source, position, end)
    return None if found is None else found.end()
