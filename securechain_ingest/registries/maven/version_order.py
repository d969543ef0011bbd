"""This module has Maven's own order of versions of today, by which the ranges of advisories and of parents are read.

It is described at maven.apache.org, "POM Reference", section "Version Order Specification", and `ComparableVersion` of
apache/maven's main branch decides what that leaves open (for example apache/maven#8808, #8891, #7714). It differs from
`versions`, the order of the serial numbers, which is that of the graph's clients: here `4.0.0.Beta3` is below
`4.0.0-RC2`, and `5.2.8.RELEASE` is `5.2.8`.

A version is a row of items. An item is a number; a word; a word with a number at its end (`rc1`); or a row of its own,
which begins at a hyphen, at a change between letters and digits, and in front of a last word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cmp_to_key, lru_cache
from itertools import zip_longest
from typing import Any, Final, TypeAlias

MAX_LENGTH: Final = 256
"""Maven takes no longer text as a version; this is in characters."""

Rank: TypeAlias = tuple[int, str]


@dataclass(frozen=True, slots=True)
class _Word:
    """This is a qualifier, and the number after it if there is one."""

    rank: Rank
    number: int | None


@dataclass(slots=True)
class _Items:
    items: list[_Item] = field(default_factory=list)


_Item: TypeAlias = int | _Word | _Items

_EARLY: Final = {"alpha": 0, "beta": 1, "milestone": 2, "rc": 3, "cr": 3, "snapshot": 4}
_RELEASED: Final = frozenset({"", "ga", "final", "release"})
_RELEASE: Final[Rank] = (5, "")
_SERVICE_PACK: Final[Rank] = (6, "")
_UNKNOWN: Final = 7
_ABBREVIATED: Final = {"a": "alpha", "b": "beta", "m": "milestone"}

_PART: Final = re.compile(r"[0-9]+|[^0-9.-]+|[.-]")


@lru_cache(maxsize=32_768)
def order_key(name: str) -> Any:
    """Return a key that sorts among the others of this function, and is equal for versions that Maven calls equal.

    It raises ValueError for a name that is longer than Maven takes.
    """
    if len(name) > MAX_LENGTH:
        msg = f"{name[:32]!r}… is longer than a version can be"
        raise ValueError(msg)
    return _Key(_parsed(name.lower()))


def _parsed(text: str) -> _Items:
    """Return the row of rows of a version in lower case."""
    whole = row = _Items()
    rows = [whole]

    def begin_row() -> _Items:
        rows.append(_Items())
        row.items.append(rows[-1])
        return rows[-1]

    word = digits = ""
    parts = _PART.findall(text)
    for index, part in enumerate(parts):
        following = parts[index + 1] if index + 1 < len(parts) else ""
        if part in ".-":
            if part == "-" and word and not digits and _is_number(following):
                # `rc-1` is `rc1`.
                continue
            row.items.append(_item(word, digits))
            word = digits = ""
            if part == "-":
                row = begin_row()
        elif _is_number(part):
            if word and row.items:
                row = begin_row()
            digits = part
        else:
            if digits:
                row.items.append(_item(word, digits))
                row = begin_row()
                digits = ""
            word = part
    if word or digits:
        if not digits and row.items:
            # A last word stands for the same behind a dot and behind a hyphen.
            row = begin_row()
        row.items.append(_item(word, digits))
    for each in reversed(rows):
        _normalise(each)
    return whole


def _is_number(part: str) -> bool:
    return part.isascii() and part.isdecimal()


def _item(word: str, digits: str) -> int | _Word:
    """If there is nothing between two separators, the item is a zero."""
    if not word:
        return int(digits or 0)
    if digits:
        word = _ABBREVIATED.get(word, word)
    if word in _RELEASED:
        rank = _RELEASE
    elif word == "sp":
        rank = _SERVICE_PACK
    elif word in _EARLY:
        rank = _EARLY[word], ""
    else:
        rank = _UNKNOWN, word
    return _Word(rank, int(digits) if digits else None)


def _normalise(row: _Items) -> None:
    """Zeros and empty rows are taken away from the end and from before words: `1.0-rc1` is `1-rc1`."""
    items = row.items
    for index in range(len(items) - 1, -1, -1):
        if _is_nothing(items[index]) and (index + 1 == len(items) or _begins_with_word(items[index + 1])):
            del items[index]
    if len(items) == 1 and isinstance(items[0], _Items):
        row.items = items[0].items


def _is_nothing(item: _Item) -> bool:
    return item == 0 if isinstance(item, int) else isinstance(item, _Items) and not item.items


def _begins_with_word(item: _Item) -> bool:
    """A word with a number begins only a row of its own; it always has one, except at the very beginning."""
    if isinstance(item, _Items):
        return isinstance(item.items[0], _Word)
    return isinstance(item, _Word) and item.number is None


def _against_nothing(item: _Item) -> int:
    """Say how an item compares to the end of the other version."""
    if isinstance(item, int):
        return int(item > 0)
    if isinstance(item, _Items):
        return next((sign for each in item.items if (sign := _against_nothing(each))), 0)
    return _sign(item.rank, _RELEASE) or (0 if item.number is None else int(item.number > 0))


def _compare(one: _Item | None, other: _Item | None) -> int:
    if one is None or other is None:
        return _against_nothing(one) if one is not None else -_against_nothing(other) if other is not None else 0
    if isinstance(one, int) or isinstance(other, int):
        if isinstance(one, int) and isinstance(other, int):
            return _sign(one, other)
        return 1 if isinstance(one, int) else -1
    if isinstance(one, _Items):
        return _compare_row(one, other)
    if isinstance(other, _Items):
        return -_compare_row(other, one)
    return _sign(one.rank, other.rank) or _compare_numbers(one, other)


def _compare_numbers(one: _Word, other: _Word) -> int:
    """Both words have one rank. A word alone is below one with a number, but a release is the same as `release0`."""
    if one.number is not None and other.number is not None:
        return _sign(one.number, other.number)
    if one.rank == _RELEASE:
        return _sign(one.number or 0, other.number or 0)
    return _sign(one.number is not None, other.number is not None)


def _compare_row(row: _Items, other: _Word | _Items) -> int:
    others = other.items if isinstance(other, _Items) else [other]
    pairs = zip_longest(row.items, others)
    return next((sign for one, two in pairs if (sign := _compare(one, two))), 0)


def _sign(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


_Key: Final = cmp_to_key(_compare)
