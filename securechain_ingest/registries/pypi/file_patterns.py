"""Backends select files by patterns; this module says which files a list of patterns means.

There are three kinds: those of `.gitignore` (its manual page, "PATTERN FORMAT"), those of Python's `glob`, which begin
at the top of the project, and those of uv, which mean what they fit and no more. In the first two a pattern that means
a folder means all that lies below it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from typing import Final, TypeAlias

from securechain_ingest.registries.pypi.layout import normal_path

_MAX_PATTERNS: Final = 64
_MAX_PATTERN_LENGTH: Final = 200
_MAX_PARTS: Final = 16
"""A pattern beyond these bounds, which real ones keep far from, is passed over."""
_ANY_DEPTH: Final = "**"
_NO_PARTS: Final = frozenset({"", ".", ".."})

_Fits: TypeAlias = Callable[[str], object] | None
"""This tells whether a part of a path fits a part of a pattern; it is None for `**`."""


class FilePatterns:
    """These patterns mean the files that the last pattern that fits them does not take away."""

    def __init__(self, patterns: Iterable[tuple[bool, tuple[str, ...]]]) -> None:
        kept = [each for each in patterns if 0 < len(each[1]) <= _MAX_PARTS][-_MAX_PATTERNS:]
        # They are compiled here and not where they are tried: so many would not stay in the cache of fnmatch.
        self._patterns = [(means, tuple(map(_compiled, parts))) for means, parts in kept]

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def hold(self, path: str) -> bool:
        """Return whether the patterns mean the file with this path."""
        parts = tuple(path.split("/"))
        return next((means for means, pattern in reversed(self._patterns) if _fits(pattern, parts)), False)


def gitignore(patterns: Iterable[str]) -> FilePatterns:
    """Return patterns as `.gitignore` means them: one that has a slash before its end begins at the top, and others fit
    at any depth; `!` takes files away again."""
    return FilePatterns(_gitignored(text.rstrip()) for text in patterns if text.strip() and not text.startswith("#"))


def globs(patterns: Iterable[str], root: str = "") -> FilePatterns:
    """Return patterns that begin at `root`, which is the top of the project if it is empty."""
    found = (
        normal_path(f"{root}/{text.strip('/')}".lstrip("/")) for text in patterns if len(text) <= _MAX_PATTERN_LENGTH
    )
    return FilePatterns((True, _all_below(path.split("/"))) for path in found if path)


def whole_paths(patterns: Iterable[str]) -> FilePatterns:
    """Return patterns that are compared with paths as they are written: one with an empty part or a dot for a part fits
    none."""
    split = (tuple(text.split("/")) for text in patterns if len(text) <= _MAX_PATTERN_LENGTH)
    return FilePatterns((True, parts) for parts in split if _NO_PARTS.isdisjoint(parts))


def _gitignored(text: str) -> tuple[bool, tuple[str, ...]]:
    means = not text.startswith("!")
    text = text.removeprefix("!")
    parts = [part for part in text.split("/") if part] if len(text) <= _MAX_PATTERN_LENGTH else []
    if "/" not in text.removesuffix("/"):
        parts = [_ANY_DEPTH, *parts]
    # What is named as a folder is no file.
    return means, (*parts, "*", _ANY_DEPTH) if text.endswith("/") else _all_below(parts)


def _all_below(parts: list[str]) -> tuple[str, ...]:
    return tuple(parts) if parts[-1:] == [_ANY_DEPTH] else (*parts, _ANY_DEPTH)


def _compiled(part: str) -> _Fits:
    return None if part == _ANY_DEPTH else re.compile(translate(part)).match


def _fits(pattern: tuple[_Fits, ...], path: tuple[str, ...]) -> bool:
    """Each part of a pattern fits one part of a path, and `**` any number of them: of several `**` only the last that
    was passed need be tried anew."""
    position = at = 0
    retry = retry_at = -1
    while at < len(path):
        fits = pattern[position] if position < len(pattern) else _never
        if fits is None:
            retry, retry_at = position, at
            position += 1
        elif fits(path[at]):
            position, at = position + 1, at + 1
        elif retry >= 0:
            retry_at += 1
            position, at = retry + 1, retry_at
        else:
            return False
    return all(part is None for part in pattern[position:])


def _never(_part: str) -> bool:
    return False
