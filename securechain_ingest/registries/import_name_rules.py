"""What holds for the import names of every ecosystem."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from securechain_ingest.model import ImportNames

MAX_NAMES: Final = 5_000
"""Of one package: far above what people import from, far below what a generated package of icons has."""

# The clients put names into regular expressions unescaped (contract, section 1.5).
_CLEAN: Final = re.compile(r"[\w./:@-]+", re.ASCII)


def clean(names: Iterable[str]) -> list[str]:
    """Sorted and unique, without names that hold other characters than ASCII letters, digits and `_ . / : @ -`.

    Such a name is left out, not trimmed: what remained would be another name.
    """
    return sorted({name for name in names if _CLEAN.fullmatch(name)})


def import_names(names: Iterable[str], *, separator: str, limit: int = MAX_NAMES) -> ImportNames:
    """The clean names; of more than `limit` those nearest to the root (by `separator`), and an error that says so."""
    found = clean(names)
    if len(found) <= limit:
        return ImportNames(tuple(found))
    kept = sorted(found, key=lambda name: (name.count(separator), name))[:limit]
    return ImportNames(tuple(sorted(kept)), error=f"of {len(found)} names the {limit} nearest to the root are kept")
