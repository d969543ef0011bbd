"""Rust's tokens, one level at a time: what stands between a pair of brackets is one token until somebody looks inside.

Format: The Rust Reference, "Lexical structure" and "Macros" (token trees). Whoever looks for items never looks into the
bodies of functions, which are most of any source, so that these are only searched for their end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

CLOSING: Final = {"{": "}", "(": ")", "[": "]"}
"""The bracket that closes a group, by the one that opens it."""

_LINE_COMMENT = r"//[^\n]*+"
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_CHARACTER = r"'(?:[^'\\\n]|\\[^u]|\\x[0-9a-fA-F]{2}|\\u\{[^}']*\})'"
_KINDS: Final = rf"""(?P<comment>{_LINE_COMMENT}|/\*)
    |(?P<raw>[bc]?r(?P<hashes>\#*)")
    |(?P<literal>[bc]?{_STRING}|b?{_CHARACTER}|'\w*|\d\w*)
    |(?P<word>(?:r\#)?\w+|::)
    |(?P<open>[\[({{])
    |(?P<other>\S)"""
_TOKEN: Final = re.compile(rf"\s*+(?:{_KINDS})", re.VERBOSE | re.DOTALL)
_TOKEN_OR_REST: Final = re.compile(
    rf"""\s*+(?:(?P<rest>[:=-](?!:)[^;{{}}()\[\]"'/]*+;)|{_KINDS})""", re.VERBOSE | re.DOTALL
)
# What may stand in front of the bracket that closes a group, by its opening bracket: brackets of the same kind, and
# whatever can hold one that does not count. A single quote that no character follows is a lifetime's. Groups that hold
# nothing of all this are passed at once, which saves most of the time.
_INSIDE: Final = {
    opening: re.compile(
        rf"""{_LINE_COMMENT}|/\*|"|{_CHARACTER}|[{re.escape(opening + closing)}]"""
        rf"""(?:(?<={re.escape(opening)})[^{re.escape(opening + closing)}"'/]*+{re.escape(closing)})?""",
        re.DOTALL,
    )
    for opening, closing in CLOSING.items()
}
_WHOLE_STRING: Final = re.compile(_STRING, re.DOTALL)
# To a macro a comment that documents is an attribute.
_DOCUMENTATION: Final = re.compile(
    rf"""(?<!\w)[bc]?r(#*)".*?"\1|{_STRING}|{_CHARACTER}|(?P<doc>///(?!/)[^\n]*|/\*\*(?![*/]).*?\*/)|{_LINE_COMMENT}""",
    re.DOTALL,
)
_BLOCK_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")
_RAW_STRING_PREFIX: Final = re.compile(r"(?<![A-Za-z0-9_])[bc]?r$")


class Token(NamedTuple):
    """A word, `::`, a literal, a single other character, or a whole group, whose `text` is its opening bracket."""

    text: str
    start: int
    end: int
    is_literal: bool = False


def tokens(source: str, start: int, end: int, *, without_rests: bool = False) -> list[Token]:
    """The tokens of `source[start:end]` on their own level, comments left out; of broken code whatever there is.

    `without_rests` leaves a semicolon alone of a plain type or value in front of it, of which constants have many.
    """
    found: list[Token] = []
    pattern = _TOKEN_OR_REST if without_rests else _TOKEN
    position = start
    while (match := pattern.match(source, position, end)) is not None:
        kind, position = match.lastgroup, match.end()
        if kind == "comment":
            if match["comment"] == "/*":
                position = _after_block_comment(source, position, end)
        elif kind == "open":
            position = _after_group(source, match["open"], position, end)
            found.append(Token(match["open"], match.start("open"), position))
        elif kind == "raw":
            position = _after_raw_string(source, match["hashes"], position, end)
            found.append(Token(source[match.start("raw") : position], match.start("raw"), position, is_literal=True))
        elif kind == "rest":
            found.append(Token(";", position - 1, position))
        else:
            text = match[kind or ""]
            found.append(Token(text, position - len(text), position, kind == "literal"))
    return found


def with_documentation_as_attributes(source: str) -> str:
    """The source as macros see it."""
    if "///" not in source and "/**" not in source:
        return source
    return _DOCUMENTATION.sub(lambda match: '#[doc=""]' if match["doc"] else match[0], source)


def between_commas(parts: Iterable[Token]) -> Iterator[list[Token]]:
    """What stands between the commas of one level, where anything does."""
    part: list[Token] = []
    for token in parts:
        if token.text != ",":
            part.append(token)
        elif part:
            yield part
            part = []
    if part:
        yield part


def is_word(text: str) -> bool:
    """Whether a token is an identifier or a keyword."""
    return text[:1].isidentifier() and '"' not in text


def string_value(literal: str) -> str | None:
    """The text of a string literal without escapes; None for other literals."""
    body = literal.lstrip("r").strip("#")
    return body[1:-1] if len(body) > 1 and body.startswith('"') and "\\" not in body else None


def _after_group(source: str, opening: str, position: int, end: int) -> int:
    """Behind the bracket that closes the group opened before `position`, or the end if none does."""
    inside = _INSIDE[opening]
    depth = 1
    while (match := inside.search(source, position, end)) is not None:
        text, position = match[0], match.end()
        if text == opening:
            depth += 1
        elif text == CLOSING[opening]:
            depth -= 1
            if not depth:
                return position
        elif text == "/*":
            position = _after_block_comment(source, position, end)
        elif text == '"':
            position = _after_string(source, match.start(), end)
    return end


def _after_string(source: str, quote: int, end: int) -> int:
    """Behind the string whose opening quote stands at `quote`, raw or not."""
    if source[quote - 1] in "r#":
        after_prefix = quote
        while source[after_prefix - 1] == "#" and after_prefix > 1:
            after_prefix -= 1
        if _RAW_STRING_PREFIX.search(source, max(0, after_prefix - 3), after_prefix):
            return _after_raw_string(source, "#" * (quote - after_prefix), quote + 1, end)
    whole = _WHOLE_STRING.match(source, quote, end)
    return quote + 1 if whole is None else whole.end()


def _after_block_comment(source: str, position: int, end: int) -> int:
    """Behind a comment that was opened before `position`; they nest."""
    depth = 1
    while depth and (match := _BLOCK_COMMENT_EDGE.search(source, position, end)) is not None:
        depth += 1 if match[0] == "/*" else -1
        position = match.end()
    return end if depth else position


def _after_raw_string(source: str, hashes: str, position: int, end: int) -> int:
    found = source.find('"' + hashes, position, end)
    return end if found < 0 else found + 1 + len(hashes)
