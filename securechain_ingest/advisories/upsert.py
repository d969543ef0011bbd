"""This module says what a new form of an advisory changes in its document, field by field (contract, section 3). Its
functions are pure.

Other programs put fields of their own into the documents, and scores into the entries of `severity`. Both stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from securechain_ingest.advisories.names import lookup_key, packages
from securechain_ingest.advisories.scores import vector_score

FIELDS: Final = frozenset(
    {
        "schema_version",
        "id",
        "modified",
        "published",
        "withdrawn",
        "aliases",
        "upstream",
        "related",
        "summary",
        "details",
        "severity",
        "affected",
        "references",
        "credits",
        "database_specific",
    }
)
"""These fields are OSV's own (schema 1.7). A field that a record no longer has is removed."""

FOREIGN: Final = frozenset({"_id", "cwes", "exploits", "affected_artefacts"})
"""These fields are never changed, whatever a record says."""

_OURS: Final = "securechain_"

ABSENT, REMOVED = f"{_OURS}absent", f"{_OURS}removed_at"
"""This program adds these two fields. The first says that the record was not among all records of its ecosystem when
those were last read. The second says since when the record is taken for withdrawn because of that."""

NAMES, WORD = f"{_OURS}names", f"{_OURS}severity"
"""This program adds these two fields. The first has the `lookup_key` of each affected package. The second has the
author's word for the severity (such as HIGH), if there is no vector that can be read."""

_MAX_WORD_LENGTH: Final = 64

Document = Mapping[str, Any]
Change = dict[str, dict[str, Any]]


def change(record: Document, held: Document) -> Change:
    """Return the update that gives the document `held` the content of the record. `held` is empty if there is no
    document.

    The update is empty ({}) if the document has this content already, even if another program has written it.
    """
    wanted = {name: value for name, value in record.items() if name not in FOREIGN and _can_be_a_field(name)}
    # Clients expect it in every document.
    wanted["details"] = next((text for text in (record.get("details"), record.get("summary")) if _is_text(text)), "")
    if "severity" in wanted:
        wanted["severity"] = _scored(record["severity"], held.get("severity"))
    if isinstance(wanted.get("affected"), list):
        wanted["affected"] = [_scored_element(element, held) for element in wanted["affected"]]
    wanted[NAMES] = sorted({lookup_key(name) for _, name in packages(record)})
    if (word := _severity_word(wanted)) is not None:
        wanted[WORD] = word
    gone = (FIELDS | {ABSENT, REMOVED, WORD}) & set(held) - set(wanted)
    if not gone and all(name in held and held[name] == value for name, value in wanted.items()):
        return {}
    return {"$set": wanted} | ({"$unset": dict.fromkeys(sorted(gone), "")} if gone else {})


def _can_be_a_field(name: str) -> bool:
    """Return whether the name can be a field: a database does not take it for a path or an operator, and this program
    does not use it for itself."""
    return name.isidentifier() and not name.startswith(_OURS)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _scored_element(element: Any, held: Document) -> Any:
    if not isinstance(element, Mapping) or "severity" not in element:
        return element
    entries = [
        entry
        for other in _list(held.get("affected"))
        if isinstance(other, Mapping) and other.get("package") == element.get("package")
        for entry in _list(other.get("severity"))
    ]
    return {**element, "severity": _scored(element["severity"], entries)}


def _scored(severity: Any, held: Any) -> Any:
    """Return the entries with a base score. It is the one that somebody has put there, or else the one of the
    vector."""
    if not isinstance(severity, list):
        return severity
    known = {
        key: entry["base_score"]
        for entry in _list(held)
        if (key := _vector(entry)) is not None and entry.get("base_score") is not None
    }
    return [_with_score(entry, known) for entry in severity]


def _with_score(entry: Any, known: Mapping[tuple[str, str], Any]) -> Any:
    key = _vector(entry)
    if key is None or "base_score" in entry:
        return entry
    score = known.get(key, vector_score(*key))
    return entry if score is None else {**entry, "base_score": score}


def _vector(entry: Any) -> tuple[str, str] | None:
    """Return the type and the vector of an entry of `severity`, or None."""
    if not isinstance(entry, Mapping):
        return None
    kind, vector = entry.get("type"), entry.get("score")
    return (kind, vector) if isinstance(kind, str) and isinstance(vector, str) else None


def _severity_word(document: Document) -> str | None:
    """Return the author's word for the severity. It is None if an entry has a score, which says more."""
    holders = [document, *(each for each in _list(document.get("affected")) if isinstance(each, Mapping))]
    for holder in holders:
        if any(isinstance(entry, Mapping) and "base_score" in entry for entry in _list(holder.get("severity"))):
            return None
    return next((word for holder in holders for word in _words(holder)), None)


def _words(holder: Document) -> Iterator[str]:
    """Yield the author's words for the severity. Databases put them where the schema leaves them room."""
    for key in ("database_specific", "ecosystem_specific"):
        specific = holder.get(key)
        word = specific.get("severity") if isinstance(specific, Mapping) else None
        if isinstance(word, str) and (word := word.strip()):
            yield word[:_MAX_WORD_LENGTH]


def _list(value: Any) -> list[Any] | tuple[Any, ...]:
    return value if isinstance(value, list | tuple) else ()
