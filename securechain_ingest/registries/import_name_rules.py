"""What holds for the import names of every ecosystem."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

# The clients put names into regular expressions unescaped (contract, section 1.5).
_CLEAN: Final = re.compile(r"[\w./:@-]+", re.ASCII)


def clean(names: Iterable[str]) -> list[str]:
    """Sorted and unique, without names that hold other characters than ASCII letters, digits and `_ . / : @ -`.

    Such a name is left out, not trimmed: what remained would be another name.
    """
    return sorted({name for name in names if _CLEAN.fullmatch(name)})
