"""This module says how Rust's comments, literals and groups of brackets look, and where they end.

The format is in The Rust Reference, "Lexical structure". Most groups are passed in one match. One that holds raw
strings, comments in comments or very many brackets in each other is searched for its end step by step.
"""

from __future__ import annotations

import re
from typing import Final

CLOSING: Final = {"{": "}", "(": ")", "[": "]"}
"""A group that this bracket opens is closed by the other."""

LINE_COMMENT: Final = r"//[^\n]*+"
LINE_COMMENTS: Final = rf"{LINE_COMMENT}(?:\s*+{LINE_COMMENT})*+"
STRING: Final = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
CHARACTER: Final = r"'(?:[^'\\\n]|\\[^u]|\\x[0-9a-fA-F]{2}|\\u\{[^}']*\})'"
BLOCK_COMMENT: Final = r"/\*(?:[^*/]++|\*(?!/)|/(?!\*))*+\*/"
"""This is a comment without comments in it."""

# A raw string would need its own end.
_WITHOUT_BRACKETS: Final = rf"""(?<![r#]){STRING}|{CHARACTER}|'|{LINE_COMMENT}|{BLOCK_COMMENT}|/(?![/*])"""

_LEVELS: Final = 8
"""A group is passed in one match if it holds no more levels of brackets of its kind."""


def whole_group(opening: str, levels: int = _LEVELS) -> str:
    """Return a pattern for a group from its opening bracket to its closing one. Other brackets do not count."""
    closing = CLOSING[opening]
    inner = f"|{whole_group(opening, levels - 1)}" if levels else ""
    return rf"""\{opening}(?:[^\{opening}\{closing}"'/]++{inner}|{_WITHOUT_BRACKETS})*+\{closing}"""


_WHOLE_GROUP: Final = {opening: re.compile(whole_group(opening), re.DOTALL) for opening in CLOSING}
# What may stand in front of the bracket that closes a group, by its opening bracket: brackets of the same kind, and
# whatever can hold one that does not count. A single quote that no character follows is a lifetime's. Groups that hold
# nothing of all this are passed at once.
_INSIDE: Final = {
    opening: re.compile(
        rf"""{LINE_COMMENTS}|/\*|"|{CHARACTER}|[{re.escape(opening + closing)}]"""
        rf"""(?:(?<={re.escape(opening)})[^{re.escape(opening + closing)}"'/]*+{re.escape(closing)})?""",
        re.DOTALL,
    )
    for opening, closing in CLOSING.items()
}
_WHOLE_STRING: Final = re.compile(STRING, re.DOTALL)
_BLOCK_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")
_RAW_STRING_PREFIX: Final = re.compile(r"(?<![A-Za-z0-9_])[bc]?r$")


def after_group(source: str, opening: str, position: int, end: int) -> int:
    """Return where the group ends that was opened before `position`: behind its closing bracket, or at the end if there
    is none."""
    if (whole := _WHOLE_GROUP[opening].match(source, position - 1, end)) is not None:
        return whole.end()
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
            position = after_block_comment(source, position, end)
        elif text == '"':
            position = _after_string(source, match.start(), end)
    return end


def _after_string(source: str, quote: int, end: int) -> int:
    """Return where the string ends whose opening quote is at `quote`, whether it is raw or not."""
    if source[quote - 1] in "r#":
        after_prefix = quote
        while source[after_prefix - 1] == "#" and after_prefix > 1:
            after_prefix -= 1
        if _RAW_STRING_PREFIX.search(source, max(0, after_prefix - 3), after_prefix):
            return after_raw_string(source, "#" * (quote - after_prefix), quote + 1, end)
    whole = _WHOLE_STRING.match(source, quote, end)
    return end if whole is None else whole.end()


def after_block_comment(source: str, position: int, end: int) -> int:
    """Return where the comment ends that was opened before `position`. Comments may be nested."""
    depth = 1
    while depth and (match := _BLOCK_COMMENT_EDGE.search(source, position, end)) is not None:
        depth += 1 if match[0] == "/*" else -1
        position = match.end()
    return end if depth else position


def after_raw_string(source: str, hashes: str, position: int, end: int) -> int:
    """Return where the raw string ends that was opened before `position` with these hashes, and `end` if it does
    not."""
    found = source.find('"' + hashes, position, end)
    return end if found < 0 else found + 1 + len(hashes)
