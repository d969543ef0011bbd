"""This module keeps the token trees that a crate's macros are called with and expand to.

A tree is the text of a token; for a group with all between its brackets it is the opening bracket and the number of
what stands inside: equal insides have one number. So a macro that passes on what it was given, however long, passes on
a number, and an inside of which no macro wants to know the tokens stays the text that it was in the source.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from securechain_ingest.registries.cargo.allowance import Allowance, TooMuch
from securechain_ingest.registries.cargo.rust_lexemes import CLOSING
from securechain_ingest.registries.cargo.rust_tokens import texts_of_tokens, with_documentation_as_attributes

Trees: TypeAlias = tuple[str, ...]

MAX_NESTING: Final = 256
"""What macros expand to may be nested so deep."""

_NUMBER_SIGN: Final = "\0"
"""In a text, this sign and a number stand for what is inside of a call's brackets. No source has it."""

_NUMBERED: Final = re.compile(rf"{_NUMBER_SIGN}(\d+)")


class TokenTrees:
    """These are the trees of one crate; what is made or written out is paid from its allowance."""

    def __init__(self, allowance: Allowance) -> None:
        self.allowance = allowance
        self._insides: list[str | Trees] = []
        self._numbers: dict[str | Trees, int] = {}
        self._trees: dict[str, Trees] = {}

    def of(self, text: str) -> Trees:
        """Return the trees of a text, or of what a number in its place stands for. There are no more than
        MAX_TOKENS."""
        if text.startswith(_NUMBER_SIGN):
            return self.inside(text[1:])
        text = with_documentation_as_attributes(text)
        return tuple(
            token if (opening := token[0]) not in CLOSING else opening + self._number_of(token[1:-1])
            for token in texts_of_tokens(text)
        )

    def inside(self, number: str) -> Trees:
        """Return the trees inside of a group with this number."""
        if number not in self._trees:
            found = self._insides[int(number)]
            self._trees[number] = found if isinstance(found, tuple) else self.of(found)
        return self._trees[number]

    def number(self, inside: Trees) -> str:
        """Return the number of a group's inside. It raises TooMuch where the allowance ends."""
        self.allowance.pay_characters(len(inside))
        return self._number_of(inside)

    def _number_of(self, inside: str | Trees) -> str:
        if isinstance(inside, str) and inside.startswith(_NUMBER_SIGN):
            return inside[1:]
        number = self._numbers.setdefault(inside, len(self._insides))
        if number == len(self._insides):
            self._insides.append(inside)
        return str(number)

    def text(self, trees: Trees) -> str:
        """Return the trees written out for whoever reads items, except for what is inside of calls.

        It raises TooMuch where the allowance ends.
        """
        parts: list[str] = []
        self._write(trees, parts, 0)
        return " ".join(parts)

    def _write(self, trees: Trees, parts: list[str], depth: int) -> None:
        if depth > MAX_NESTING:
            raise TooMuch
        self.allowance.pay_characters(sum(map(len, trees)))
        is_called = is_name = False
        for tree in trees:
            opening = tree[0]
            if opening not in CLOSING:
                parts.append(tree)
                is_called, is_name = is_name and tree == "!", tree[0].isidentifier()
                continue
            if is_called:
                parts.append(f"{opening}{_NUMBER_SIGN}{tree[1:]}{CLOSING[opening]}")
            else:
                parts.append(opening)
                self._write_inside(tree[1:], parts, depth)
                parts.append(CLOSING[opening])
            is_called = is_name = False

    def _write_inside(self, number: str, parts: list[str], depth: int) -> None:
        inside = self._insides[int(number)]
        if isinstance(inside, tuple):
            self._write(inside, parts, depth + 1)
        else:
            self.allowance.pay_characters(len(inside))
            # What follows it must not become a part of a comment at its end.
            parts.append(f"{inside}\n" if "//" in inside else inside)

    def opened(self, text: str) -> str:
        """Return the text for a reader of items that a number in place of a text stands for. Any other text is returned
        as it is."""
        return self.text(self.inside(text[1:])) if text.startswith(_NUMBER_SIGN) else text

    def written_out(self, text: str) -> str:
        """Return a text in which no number stands for anything. It raises TooMuch where the allowance ends."""
        for _ in range(MAX_NESTING):
            if _NUMBER_SIGN not in text:
                return text
            text = _NUMBERED.sub(lambda match: self.text(self.inside(match[1])), text)
        raise TooMuch
