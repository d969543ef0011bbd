"""This module finds patterns with stars by the texts that they match: it looks up their beginnings and ends and does
not try each."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

_FACTOR: Final = 16
"""Real packages need less than three steps for each file or pattern."""


class Work:
    """So many steps may be taken, in proportion to the size of what is worked on."""

    def __init__(self, size: int) -> None:
        self._left = _FACTOR * size

    @property
    def is_left(self) -> bool:
        return self._left > 0

    def spend(self) -> bool:
        """Take a step if one is left, and return whether one was."""
        self._left -= 1
        return self._left >= 0


class StarPatterns:
    """In each of these patterns every star stands for one and the same text."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Patterns without a star match nothing."""
        # By the text in front of the first star and the text behind the last one, each with its possible lengths.
        self._by_start: dict[str, dict[str, list[str]]] = {}
        for pattern in patterns:
            start, star, rest = pattern.partition("*")
            if star:
                by_end = self._by_start.setdefault(start, {})
                by_end.setdefault(rest.rpartition("*")[2], []).append(pattern)
        self._end_lengths = {start: sorted({len(end) for end in ends}) for start, ends in self._by_start.items()}
        self._start_lengths = sorted({len(start) for start in self._by_start})

    def matching(self, text: str, work: Work) -> Iterator[tuple[str, str]]:
        """Yield the patterns that a text matches and what their star stands for. Patterns with the longest beginning
        come first, then those with the longest end. It ends when no work is left; each pattern that might match takes a
        step."""
        for start_length in reversed(self._start_lengths[: bisect_right(self._start_lengths, len(text) - 1)]):
            start = text[:start_length]
            by_end = self._by_start.get(start)
            if by_end is None:
                continue
            lengths = self._end_lengths[start]
            for end_length in reversed(lengths[: bisect_right(lengths, len(text) - start_length - 1)]):
                for pattern in by_end.get(text[len(text) - end_length :], ()):
                    if not work.spend():
                        return
                    if star := _star(pattern, start_length, text):
                        yield pattern, star
                if not work.spend():
                    return


def _star(pattern: str, start_length: int, text: str) -> str | None:
    count = pattern.count("*")
    length, rest = divmod(len(text) - len(pattern) + count, count)
    if length <= 0 or rest:
        return None
    star = text[start_length : start_length + length]
    return star if count == 1 or pattern.replace("*", star) == text else None
