"""This module has the rules for the import names of every ecosystem."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from securechain_ingest.bounds import MAX_IMPORT_NAME_CHARACTERS, MAX_IMPORT_NAMES_BYTES
from securechain_ingest.model import ImportNames

MAX_NAMES: Final = 5_000
"""One package may have this many: far more than people import from, far less than a generated package of icons has."""

# The clients put names into regular expressions unescaped (contract, section 1.5).
_CLEAN: Final = re.compile(r"[\w./:@-]+", re.ASCII)


def clean(names: Iterable[str]) -> list[str]:
    """Return the names sorted, each once. One with characters other than ASCII letters, digits and `_ . / : @ -` is
    left out.

    Such a name is not trimmed, because what remained would be another name.
    """
    return sorted({name for name in names if _CLEAN.fullmatch(name)})


def import_names(names: Iterable[str], *, separator: str, limit: int = MAX_NAMES) -> ImportNames:
    """Return the names that `clean` leaves, without those longer than 255 characters. Of more than `limit` names, or of
    more than 1 MiB together, those nearest to the root (by `separator`) are kept. An error says what is left out."""
    found = clean(names)
    short = [name for name in found if len(name) <= MAX_IMPORT_NAME_CHARACTERS]
    errors = []
    if len(short) < len(found):
        errors.append(
            f"{len(found) - len(short)} names longer than {MAX_IMPORT_NAME_CHARACTERS} characters are left out"
        )
    kept = short
    if len(short) > limit or sum(map(len, short)) > MAX_IMPORT_NAMES_BYTES:
        nearest = sorted(short, key=lambda name: (name.count(separator), name))[:limit]
        kept = sorted(_as_many_as_fit(nearest))
        errors.append(f"of {len(short)} names the {len(kept)} nearest to the root are kept")
    return ImportNames(tuple(kept), error="; ".join(errors) or None)


def _as_many_as_fit(names: Iterable[str]) -> Iterator[str]:
    room = MAX_IMPORT_NAMES_BYTES
    for name in names:
        room -= len(name)
        if room < 0:
            return
        yield name
