"""This module reads Rust's tokens one level at a time: a pair of brackets with all between them is one token until
somebody looks inside.

The format is in The Rust Reference, "Lexical structure" and "Macros" (token trees). Whoever looks for items never looks
into the bodies of functions, which are most of any source, so that these are only searched for their end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

MAX_TOKENS: Final = 400_000
"""One level may have so many, where brackets with all between them count as one; it is ten times what the largest
crates have."""

CLOSING: Final = {"{": "}", "(": ")", "[": "]"}
"""A group that this bracket opens is closed by the other."""

_LINE_COMMENT = r"//[^\n]*+"
_LINE_COMMENTS = rf"{_LINE_COMMENT}(?:\s*+{_LINE_COMMENT})*+"
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_CHARACTER = r"'(?:[^'\\\n]|\\[^u]|\\x[0-9a-fA-F]{2}|\\u\{[^}']*\})'"
_KINDS: Final = rf"""(?P<comment>{_LINE_COMMENTS}|/\*)
    |(?P<raw>[bc]?r(?P<hashes>\#*)")
    |(?P<literal>[bc]?{_STRING}|b?{_CHARACTER}|'\w*|\d\w*)
    |(?P<endless>[bc]?")
    |(?P<word>(?:r\#)?\w+|::)
    |(?P<open>[\[({{])
    |(?P<other>\S)"""
_TOKEN: Final = re.compile(rf"\s*+(?:{_KINDS})", re.VERBOSE | re.DOTALL)
# Neither `#` nor `{` stands in a plain declaration, nor a semicolon outside of brackets: so the text that one attempt
# has run over is not run over again from a later item.
_PLAIN: Final = r"""[^;#{}()\[\]"'/]++|/(?![/*])"""


def _plain_group(depth: int) -> str:
    """This matches `(...)` or `[...]` with so many levels of the same inside and nothing that could hide an end."""
    inner = f"|{_plain_group(depth - 1)}" if depth else ""
    return rf"(?:\((?:{_PLAIN}{inner})*+\)|\[(?:{_PLAIN}|;{inner})*+\])"


_GROUP: Final = _plain_group(2)
_KEYWORD: Final = r"(?P<public>pub\s++)?+(?P<keyword>const|static|type|fn)\s++"
# What may follow the keyword besides a name is no name here.
_NAME: Final = r"(?!(?:mut|ref|fn|unsafe|async|default|safe|auto|gen|extern)\b)[A-Za-z_]\w*+"
_VALUE_OR_TYPE: Final = rf"\s*+(?:[:=-](?!:)(?:{_PLAIN}|{_GROUP})*+)?+;"
# A whole declaration without braces, strings and comments.
_DECLARATION: Final = re.compile(
    rf"\s*+(?P<head>{_KEYWORD})(?P<name>{_NAME})\s*+(?P<parameters>{_GROUP})?+{_VALUE_OR_TYPE}"
)
# A run of those that begin alike, and each of it.
_DECLARATIONS: Final = re.compile(
    rf"{_DECLARATION.pattern}(?:\s*+(?:{_LINE_COMMENTS}\s*+)?+(?P=head){_NAME}\s*+{_GROUP}?+{_VALUE_OR_TYPE})*+"
)
_NAME_IN_RUN: Final = re.compile(
    rf"(?:{_LINE_COMMENTS}\s*+)?+(?:pub\s++)?+(?:const|static|type|fn)\s++({_NAME})\s*+{_GROUP}?+{_VALUE_OR_TYPE}"
)
# What may stand in front of the bracket that closes a group, by its opening bracket: brackets of the same kind, and
# whatever can hold one that does not count. A single quote that no character follows is a lifetime's. Groups that hold
# nothing of all this are passed at once, which saves most of the time.
_INSIDE: Final = {
    opening: re.compile(
        rf"""{_LINE_COMMENTS}|/\*|"|{_CHARACTER}|[{re.escape(opening + closing)}]"""
        rf"""(?:(?<={re.escape(opening)})[^{re.escape(opening + closing)}"'/]*+{re.escape(closing)})?""",
        re.DOTALL,
    )
    for opening, closing in CLOSING.items()
}
_WHOLE_STRING: Final = re.compile(_STRING, re.DOTALL)
# Comments, and whatever else may hold the signs that begin one.
_AROUND_COMMENTS: Final = re.compile(
    rf"""(?P<raw>(?<!\w)[bc]?r(?P<hashes>\#*)")|{_STRING}|{_CHARACTER}|(?P<endless>")
    |(?P<line>{_LINE_COMMENT})|(?P<block>/\*)""",
    re.VERBOSE | re.DOTALL,
)
# The comments that document what follows: neither `////` nor `/***` nor `/**/`.
_DOCUMENTING: Final = re.compile(r"///(?!/)|/\*\*(?![*/])")
_ESCAPE: Final = re.compile(r"\\(\n\s*+|.)", re.DOTALL)
_ESCAPED: Final = {"\\": "\\", '"': '"', "'": "'"}
_BLOCK_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")
_RAW_STRING_PREFIX: Final = re.compile(r"(?<![A-Za-z0-9_])[bc]?r$")


class Token(NamedTuple):
    """A token is a word, `::`, a literal, a single other character, or a whole group, whose `text` is its opening
    bracket."""

    text: str
    start: int
    end: int
    is_literal: bool = False
    declaration: re.Match[str] | None = None
    """This is a whole declaration with its `public`, `keyword`, `name` and `parameters`, or a run of declarations that
    begin alike, with those of the first; `text` is the last semicolon."""


def tokens(source: str, start: int, end: int, *, in_items: bool = False) -> list[Token]:
    """These are the tokens of `source[start:end]` on their own level, without comments; of broken code they are
    whatever there is.

    If there are MAX_TOKENS, nothing more is looked at, and a caller must say that they may not be all. A string without
    an end takes all that follows, as the compiler sees it.

    `in_items` is for a level of items, where a run of plain declarations is one token.
    """
    found: list[Token] = []
    position = start
    declaration = _DECLARATIONS if in_items else None
    # A NamedTuple's own making takes twice the time.
    new = tuple.__new__
    while len(found) < MAX_TOKENS:
        if declaration is not None and (match := declaration.match(source, position, end)) is not None:
            position, declaration = match.end(), _DECLARATIONS
            found.append(new(Token, (";", position - 1, position, False, match)))
            continue
        match = _TOKEN.match(source, position, end)
        if match is None:
            break
        kind, position = match.lastgroup, match.end()
        if kind == "comment":
            if match["comment"] == "/*":
                position = _after_block_comment(source, position, end)
        elif kind == "open":
            opening = match["open"]
            position = _after_group(source, opening, position, end)
            # An attribute belongs to the first declaration of a run only, and before a brace some item may go on.
            begins_item = in_items and (opening == "{" or (opening == "[" and _ends_with_hash(found)))
            declaration = _DECLARATION if begins_item else None
            found.append(new(Token, (opening, match.start("open"), position, False, None)))
        elif kind == "raw":
            declaration = None
            position = _after_raw_string(source, match["hashes"], position, end)
            found.append(Token(source[match.start("raw") : position], match.start("raw"), position, is_literal=True))
        elif kind == "endless":
            return found
        else:
            text = match[kind or ""]
            declaration = _DECLARATIONS if in_items and text == ";" else None
            found.append(new(Token, (text, position - len(text), position, kind == "literal", None)))
    return found


def declared_names(source: str, run: re.Match[str]) -> list[str]:
    """These are the names that a run of declarations gives, `run` being a token's `declaration`."""
    return _NAME_IN_RUN.findall(source, *run.span())


def with_documentation_as_attributes(source: str) -> str:
    """Macros see the source so: to them a comment that documents is an attribute."""
    if "///" not in source and "/**" not in source:
        return source
    parts: list[str] = []
    kept_up_to = position = 0
    while (match := _AROUND_COMMENTS.search(source, position)) is not None:
        position = match.end()
        match match.lastgroup:
            case "hashes" | "raw":
                position = _after_raw_string(source, match["hashes"], position, len(source))
            case "endless":
                break
            case "block":
                position = _after_block_comment(source, position, len(source))
        if match["line"] or match["block"]:
            is_documenting = _DOCUMENTING.match(source, match.start())
            parts += source[kept_up_to : match.start()], '#[doc=""]' if is_documenting else " "
            kept_up_to = position
    return "".join((*parts, source[kept_up_to:]))


def between_commas(parts: Iterable[Token]) -> Iterator[list[Token]]:
    """This yields what stands between the commas of one level, where anything does."""
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
    """The token is an identifier or a keyword."""
    return text[:1].isidentifier() and '"' not in text


def is_literal(text: str) -> bool:
    """The token is a literal, or a lifetime."""
    return text[:1].isdecimal() or '"' in text or "'" in text


def string_value(literal: str) -> str | None:
    """This is the text of a string literal; it is None for other literals and for escapes that no path needs."""
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


def _ends_with_hash(found: list[Token]) -> bool:
    """What follows in brackets is an attribute."""
    before = found[-1].text if found else ""
    return before == "#" or (before == "!" and len(found) > 1 and found[-2].text == "#")


def _after_group(source: str, opening: str, position: int, end: int) -> int:
    """The group opened before `position` ends here, after its closing bracket, or at the end if there is none."""
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
    """The string whose opening quote is at `quote`, raw or not, ends here."""
    if source[quote - 1] in "r#":
        after_prefix = quote
        while source[after_prefix - 1] == "#" and after_prefix > 1:
            after_prefix -= 1
        if _RAW_STRING_PREFIX.search(source, max(0, after_prefix - 3), after_prefix):
            return _after_raw_string(source, "#" * (quote - after_prefix), quote + 1, end)
    whole = _WHOLE_STRING.match(source, quote, end)
    return end if whole is None else whole.end()


def _after_block_comment(source: str, position: int, end: int) -> int:
    """The comment that was opened before `position` ends here; comments nest."""
    depth = 1
    while depth and (match := _BLOCK_COMMENT_EDGE.search(source, position, end)) is not None:
        depth += 1 if match[0] == "/*" else -1
        position = match.end()
    return end if depth else position


def _after_raw_string(source: str, hashes: str, position: int, end: int) -> int:
    found = source.find('"' + hashes, position, end)
    return end if found < 0 else found + 1 + len(hashes)
