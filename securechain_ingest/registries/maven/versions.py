"""This module orders Maven's versions (maven.apache.org, "POM Reference", section "Version Order Specification").

A version is a row of numbers and words; what follows a hyphen, or a change between letters and digits, is nested. The
comparison that Maven 3 and the graph's clients (univers) make of these is not a total order: `1.0.rc` is below `1`,
which is below `1-1`, which is below `1.0.rc`. The key here gives one, and it is the same as theirs where theirs is
consistent.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

KeyPart: TypeAlias = tuple[int, int, int, str]
"""A part has its kind, the number (or the zeros before a word), the word's rank, and the word."""

MavenKey: TypeAlias = tuple[KeyPart, ...]

# The kinds in ascending order. Words before the end are those of pre-releases.
_EARLY_WORD: Final = 0
_NESTED_EARLY_WORD: Final = 1
_EARLY_WORD_AFTER_ZEROS: Final = 2
_END: Final = 3
_WORD: Final = 4
_NESTED_WORD: Final = 5
_NESTED_NUMBER: Final = 6
_WORD_AFTER_ZEROS: Final = 7
_NUMBER: Final = 8

_QUALIFIERS: Final = {"alpha": 0, "beta": 1, "milestone": 2, "rc": 3, "cr": 3, "snapshot": 4}
_RELEASED: Final = frozenset({"ga", "final"})
_SERVICE_PACK: Final = "sp"
_ABBREVIATED: Final = {"a": "alpha", "b": "beta", "m": "milestone"}
"""They are abbreviations only before a digit."""

_NOTHING: Final = frozenset({(_NUMBER, 0, 0, ""), (_NESTED_NUMBER, 0, 0, "")})

_PART: Final = re.compile(r"([.-]?)(?:([0-9]+)|([^0-9.-]+)|)")

# Users take these for "not released yet" though Maven's order does not know them, or not as they are joined: in
# `1.0_beta1` it sees the word `_beta`.
_PREVIEW: Final = re.compile(
    r"(?<![a-z])(?:alpha|beta|milestone|rc|cr|snapshot|pr|pre|prerelease|preview|ea|eap|dev|nightly|canary|experimental"
    r"|unstable)(?![a-z])"
)


def version_key(name: str) -> MavenKey:
    """Return a sortable key. It raises ValueError for a name that the clients of the graph cannot order either."""
    # As univers does: without blanks and a leading v.
    text = "".join(name.split()).lstrip("vV").lower()
    if not text or not (text.isascii() or all(character.isascii() or not character.isdigit() for character in text)):
        msg = f"{name!r} is no version"
        raise ValueError(msg)
    tokens: list[KeyPart] = []
    follows_number = True
    for match in _PART.finditer(text):
        if not match[0]:
            break
        separator, number, word = match.groups()
        is_nested = match.start() > 0 and (separator == "-" or (not separator and follows_number != bool(number)))
        if word:
            _append_word(tokens, word, is_nested=is_nested, before_digit=text[match.end() : match.end() + 1].isdigit())
        else:
            if is_nested:
                _drop_zeros(tokens)
            tokens.append((_NESTED_NUMBER if is_nested else _NUMBER, int(number or 0), 0, ""))
        follows_number = not word
    _drop_zeros(tokens)
    return (*tokens, (_END, 0, 0, ""))


def is_release(name: str) -> bool:
    """Return whether a version is neither a snapshot nor a preview of another. A name without an order is no
    release."""
    try:
        key = version_key(name)
    except ValueError:
        return False
    return all(kind >= _END for kind, *_ in key) and not _PREVIEW.search(name.lower())


def _append_word(tokens: list[KeyPart], word: str, *, is_nested: bool, before_digit: bool) -> None:
    if word in _RELEASED:
        return
    zeros = _drop_zeros(tokens)
    if before_digit:
        word = _ABBREVIATED.get(word, word)
    rank = _QUALIFIERS.get(word)
    if is_nested:
        kind, zeros = (_NESTED_WORD if rank is None else _NESTED_EARLY_WORD), 0
    elif zeros:
        kind = _WORD_AFTER_ZEROS if rank is None else _EARLY_WORD_AFTER_ZEROS
    else:
        kind = _WORD if rank is None else _EARLY_WORD
    if rank is not None or word == _SERVICE_PACK:
        word = ""
    tokens.append((kind, zeros, int(bool(word)) if rank is None else rank, word))


def _drop_zeros(tokens: list[KeyPart]) -> int:
    """Zeros are taken away from the end, where they say nothing (`1.0.0` is `1`); the result says how many they
    were."""
    count = 0
    while tokens and tokens[-1] in _NOTHING:
        tokens.pop()
        count += 1
    return count
