"""This finds where a Lua text can be changed so that it says something else: its operators, constants and calls of
Redis.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"(?P<comment>--[^\n]*)"
    r"|(?P<string>'[^'\n]*'|\"[^\"\n]*\")"
    r"|(?P<word>[A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)*)"
    r"|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<operator>==|~=|<=|>=|\.\.|[-+*/%<>=#()\[\]{},;:])"
)
_OPERAND: Final = re.compile(r"(?!(?:and|or|not|return)$)[\w.]+|'.*'|[)\]]")
"""This is what an operator with two sides may stand behind; behind anything else a minus is a sign."""
_EFFECT: Final = re.compile(r"^[ \t]*(redis\.p?call\(.*\)|[\w.\[\]]+ = [^\n]+)$", re.MULTILINE)
"""This is a line that only calls Redis, or gives a variable or field a new value."""

_OPERATORS: Final = {
    "==": ("~=",),
    "~=": ("==",),
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "+": ("-",),
    "-": ("+",),
    "*": ("/",),
    "/": ("*",),
}
_WORDS: Final = {
    "and": "or",
    "or": "and",
    "not": "",
    "true": "false",
    "false": "true",
    "math.max": "math.min",
    "math.min": "math.max",
}
_COMMAND: Final = re.compile(r"[A-Z][A-Z ]+")


class TextChange(NamedTuple):
    """The text from `start` to `end` becomes `new`."""

    start: int
    end: int
    new: str


def changes(text: str) -> Iterator[TextChange]:
    """Yield every change of a Lua text, in its order.

    Names of Redis commands and of their options stay: without them a script only fails.
    """
    before = ""
    for token in _TOKEN.finditer(text):
        start, end = token.span()
        found = token.group()
        match token.lastgroup:
            case "comment":
                continue
            case "number":
                yield TextChange(start, end, f"({found} + 1)")
                yield TextChange(start, end, f"({found} - 1)")
            case "string" if not _COMMAND.fullmatch(found[1:-1]):
                yield TextChange(start, end, f"{found[0]}mutant{found[0]}")
            case "operator" if found != "-" or _OPERAND.fullmatch(before):
                yield from (TextChange(start, end, other) for other in _OPERATORS.get(found, ()))
            case "word" if found in _WORDS:
                yield TextChange(start, end, _WORDS[found])
        before = found
    yield from (TextChange(*line.span(1), "") for line in _EFFECT.finditer(text))
