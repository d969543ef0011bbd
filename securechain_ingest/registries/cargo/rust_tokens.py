"""This module reads Rust's tokens one level at a time: a pair of brackets with all between them is one token until
somebody looks inside.

The format is in The Rust Reference, "Lexical structure" and "Macros" (token trees). Whoever looks for items never looks
into the bodies of functions, which are most of any source, so that these are only searched for their end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from securechain_ingest.registries.cargo.rust_lexemes import (
    BLOCK_COMMENT,
    CHARACTER,
    CLOSING,
    LINE_COMMENT,
    LINE_COMMENTS,
    STRING,
    after_block_comment,
    after_group,
    after_raw_string,
    whole_group,
)
from securechain_ingest.registries.cargo.rust_runs import DeclarationRun, after_implementations, run_of_declarations

MAX_TOKENS: Final = 400_000
"""One level may have so many, where brackets with all between them count as one; it is ten times what the largest
crates have."""

_KINDS: Final = rf"""(?P<comment>{LINE_COMMENTS}|/\*)
    |(?P<raw>[bc]?r(?P<hashes>\#*)")
    |(?P<literal>[bc]?{STRING}|b?{CHARACTER}|'\w*|\d\w*)
    |(?P<endless>[bc]?")
    |(?P<word>(?:r\#)?\w+|::)
    |(?P<open>[\[({{])
    |(?P<other>\S)"""
_TOKEN: Final = re.compile(rf"\s*+(?:{_KINDS})", re.VERBOSE | re.DOTALL)
# The same for texts with nothing that must be searched for its end; such beginnings stand alone in what is found.
_BEGINNINGS: Final = frozenset({*CLOSING, '"', 'b"', 'c"', "/*"})
_TEXT: Final = re.compile(
    rf"""(?:\s++|{LINE_COMMENT}|{BLOCK_COMMENT})*+([bc]?{STRING}|b?{CHARACTER}|'\w*|\d\w*|[bc]?"|(?:r\#)?\w+|::"""
    rf"""|{"|".join(map(whole_group, CLOSING))}|/\*|\S|\Z)""",
    re.DOTALL,
)
_RAW_STRING: Final = re.compile(r'r#*"')
_MOST_AT_ONCE: Final = 1_000_000
"""Longer texts, in characters, may have more tokens than are read."""

# Comments, and whatever else may hold the signs that begin one.
_AROUND_COMMENTS: Final = re.compile(
    rf"""(?P<raw>(?<!\w)[bc]?r(?P<hashes>\#*)")|{STRING}|{CHARACTER}|(?P<endless>")
    |(?P<line>{LINE_COMMENT})|(?P<block>/\*)""",
    re.VERBOSE | re.DOTALL,
)
# The comments that document what follows: neither `////` nor `/***` nor `/**/`.
_DOCUMENTING: Final = re.compile(r"///(?!/)|/\*\*(?![*/])")
_ESCAPE: Final = re.compile(r"\\(\n\s*+|.)", re.DOTALL)
_ESCAPED: Final = {"\\": "\\", '"': '"', "'": "'"}


class Token(NamedTuple):
    """A token is a word, `::`, a literal, a single other character, or a whole group, whose `text` is its opening
    bracket."""

    text: str
    start: int
    end: int
    is_literal: bool = False
    run: DeclarationRun | None = None
    """These are whole declarations; `text` is a brace if they end with bodies, and a semicolon otherwise."""


def tokens(source: str, start: int, end: int, *, in_items: bool = False) -> list[Token]:
    """Return the tokens of `source[start:end]` on their own level, without comments. Of broken code they are whatever
    there is.

    If there are MAX_TOKENS, nothing more is looked at, and a caller must say that they may not be all. A string without
    an end takes all that follows, as the compiler sees it.

    `in_items` is for a level of items, where a run of whole declarations is one token, and implementations are passed.
    """
    found: list[Token] = []
    position = start
    may_begin, is_begun = in_items, False
    # A NamedTuple's own making takes twice the time.
    new = tuple.__new__
    while len(found) < MAX_TOKENS:
        if may_begin:
            run = run_of_declarations(source, position, end, at_most_one=is_begun)
            if run is not None:
                position, is_begun = run.end, False
                found.append(new(Token, ("{" if run.has_body else ";", position - 1, position, False, run)))
                continue
            if (after := after_implementations(source, position, end)) is not None:
                position = after
                continue
        match = _TOKEN.match(source, position, end)
        if match is None:
            break
        kind, position = match.lastgroup, match.end()
        if kind == "comment":
            if match["comment"] == "/*":
                position = after_block_comment(source, position, end)
        elif kind == "open":
            opening = match["open"]
            position = after_group(source, opening, position, end)
            # Behind a brace some item may go on.
            may_begin = is_begun = in_items and opening == "{"
            found.append(new(Token, (opening, match.start("open"), position, False, None)))
        elif kind == "raw":
            may_begin = False
            position = after_raw_string(source, match["hashes"], position, end)
            found.append(Token(source[match.start("raw") : position], match.start("raw"), position, is_literal=True))
        elif kind == "endless":
            return found
        else:
            text = match[kind or ""]
            may_begin, is_begun = in_items and text == ";", False
            found.append(new(Token, (text, position - len(text), position, kind == "literal", None)))
    return found


def texts_of_tokens(source: str) -> list[str]:
    """Return the tokens of a whole text, each group as one, with its brackets and all between them."""
    if len(source) <= _MOST_AT_ONCE and not _RAW_STRING.search(source):
        found = _TEXT.findall(source)
        if _BEGINNINGS.isdisjoint(found):
            while found and not found[-1]:
                del found[-1]
            return found
    return [source[token.start : token.end] for token in tokens(source, 0, len(source))]


def with_documentation_as_attributes(source: str) -> str:
    """Return the source as macros see it: to them a comment that documents is an attribute."""
    if "///" not in source and "/**" not in source:
        return source
    parts: list[str] = []
    kept_up_to = position = 0
    while (match := _AROUND_COMMENTS.search(source, position)) is not None:
        position = match.end()
        match match.lastgroup:
            case "hashes" | "raw":
                position = after_raw_string(source, match["hashes"], position, len(source))
            case "endless":
                break
            case "block":
                position = after_block_comment(source, position, len(source))
        if match["line"] or match["block"]:
            is_documenting = _DOCUMENTING.match(source, match.start())
            parts += source[kept_up_to : match.start()], '#[doc=""]' if is_documenting else " "
            kept_up_to = position
    return "".join((*parts, source[kept_up_to:]))


def between_commas(parts: Iterable[Token]) -> Iterator[list[Token]]:
    """Yield what stands between the commas of one level, where anything does."""
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
    """Return whether the token is an identifier or a keyword."""
    return text[:1].isidentifier() and '"' not in text


def is_literal(text: str) -> bool:
    """Return whether the token is a literal or a lifetime."""
    return text[:1].isdecimal() or '"' in text or "'" in text


def string_value(literal: str) -> str | None:
    """Return the text of a string literal. The result is None for other literals, and for escapes that no path
    needs."""
    if literal.startswith("r"):
        return literal.strip("r#")[1:-1] if literal.endswith(('"', "#")) else None
    body = literal[1:-1] if len(literal) > 1 and literal[0] == literal[-1] == '"' else None
    return body if body is None or "\\" not in body else _unescaped(body)


def _unescaped(body: str) -> str | None:
    parts = _ESCAPE.split(body)
    values = [_ESCAPED.get(escape) for escape in parts[1::2]]
    if None in values:
        return None
    parts[1::2] = [value or "" for value in values]
    return "".join(parts)
