"""This module brings what a registry's document says of a licence into one form: an SPDX expression where it is one.

The rules of expressions are those of SPDX 2.2.2, annex D, as `packaging.licenses` reads them (PEP 639).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

MAX_LICENSE_LENGTH: Final = 200
"""A longer text is the licence itself, or a tale; its beginning is kept."""

_NOTHING: Final = frozenset({"", "unknown", "none", "n/a"})


def license_of(*candidates: object) -> str | None:
    """Return the licence that the first candidate names which names one. The result is None if none does.

    A candidate is whatever a document holds there: a text, an object with a `type` or a `name`, a list of them, or
    anything. Of a list whose entries are expressions the licence is a choice between all of them.
    """
    for candidate in candidates:
        names = list(dict.fromkeys(filter(None, map(_normal, _texts(candidate)))))
        if names:
            return names[0] if len(names) == 1 else _choice(names)
    return None


def _texts(candidate: object) -> Iterator[str]:
    entries = candidate if isinstance(candidate, list | tuple) else [candidate]
    for entry in entries[:20]:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, Mapping):
            named: Any = entry.get("type") or entry.get("name")
            if isinstance(named, str):
                yield named


def _normal(text: str) -> str:
    line = " ".join(text.split())[: MAX_LICENSE_LENGTH + 1]
    if line.lower() in _NOTHING:
        return ""
    # Cargo once joined a choice so, and still reads it.
    return _expression(line) or _expression(line.replace("/", " OR ")) or _shortened(line)


def _expression(text: str) -> str:
    try:
        return str(canonicalize_license_expression(text))
    except (InvalidLicenseExpression, ValueError, RecursionError):
        return ""


def _choice(names: Iterable[str]) -> str:
    joined = " OR ".join(f"({name})" if " " in name else name for name in names)
    return _expression(joined) or _shortened(", ".join(names))


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_LICENSE_LENGTH else f"{text[: MAX_LICENSE_LENGTH - 1]}…"
