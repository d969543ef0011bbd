"""This module says which of its versions a user gets by default. That version's artifact is read for the import
names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

K = TypeVar("K")

Preference: TypeAlias = tuple[tuple[bool, ...], K | tuple[()], str]


def preference(name: str, version_key: Callable[[str], K], rank: Callable[[K], tuple[bool, ...]]) -> Preference[K]:
    """Return a sort key: of all versions of a package the one that a user gets by default has the greatest.

    `rank` says, the most important first, what a version has that makes users prefer it (it is offered, it is a
    release). Of versions of one rank the highest counts, then the text. A name that `version_key` refuses by ValueError
    comes behind all others.
    """
    try:
        key = version_key(name)
    except ValueError:
        return (), (), name
    return rank(key), key, name
