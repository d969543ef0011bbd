"""This module orders gem versions as Gem::Version does (RubyGems' documentation of that class).

A version is a row of its numbers and words, read as if zeros without end followed. Numbers compare by value, words by
their ASCII text, and a word comes before any number: a version with a word in it is a pre-release of what stands before
the word.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

GemKey: TypeAlias = tuple[tuple[int, int, int, str], ...]

VERSION_PATTERN: Final = r"[0-9]+(?:\.[0-9A-Za-z]+)*(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
MAX_VERSION_LENGTH: Final = 1024

_VERSION: Final = re.compile(VERSION_PATTERN)
_SEGMENT: Final = re.compile(r"[0-9]+|[A-Za-z]+")
_WORD: Final = re.compile(r"[A-Za-z]")
_THE_REST_IS_ZERO: Final = (0, 0, 0, "")


def is_version(name: str) -> bool:
    """Return whether Gem::Version accepts the name."""
    return len(name) <= MAX_VERSION_LENGTH and _VERSION.fullmatch(name) is not None


def version_key(name: str) -> GemKey:
    """Return a sortable key. It raises ValueError for a name that Gem::Version does not accept either."""
    if not is_version(name):
        raise ValueError(f"{name[:100]!r} is no gem version")
    key: list[tuple[int, int, int, str]] = []
    zeros = 0
    has_word = False
    for segment in _segments(name):
        if segment.isdigit():
            if number := int(segment):
                # The more zeros come first, the nearer it is to nothing but zeros.
                key.append((1, -zeros, number, ""))
                zeros = 0
            else:
                zeros += 1
        else:
            # 1.0.a is 1.a: zeros in front of the first word do not count.
            key.append((-1, zeros if has_word else 0, 0, segment))
            zeros = 0
            has_word = True
    return (*key, _THE_REST_IS_ZERO)


def is_prerelease(name: str) -> bool:
    """Return whether RubyGems takes the version for a pre-release: it has a letter or a dash."""
    return _WORD.search(name) is not None or "-" in name


def next_series(name: str) -> str:
    """Return where `~> name` ends: `2` for `1.4`, `1.5` for `1.4.2`, `2` for `1.4.beta`."""
    numbers: list[int] = []
    for segment in _segments(name):
        if not segment.isdigit():
            break
        numbers.append(int(segment))
    kept = numbers[:-1] or numbers
    return ".".join(map(str, [*kept[:-1], kept[-1] + 1]))


def _segments(name: str) -> list[str]:
    return _SEGMENT.findall(name.replace("-", ".pre."))
