"""What a new form of an advisory changes in its document, field by field (contract, section 3). Pure functions.

Other programs put fields of their own into the documents, and scores into the entries of `severity`: those stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

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
"""OSV's own (schema 1.7): one that a record no longer has is taken away."""

FOREIGN: Final = frozenset({"_id", "cwes", "exploits", "affected_artefacts"})
"""Never touched, whatever a record says."""

ABSENT, REMOVED = "securechain_absent", "securechain_removed_at"
"""Ours: the record was not among all of its ecosystem when those were last read; it is taken for withdrawn since."""

Document = Mapping[str, Any]
Change = dict[str, dict[str, Any]]


def change(record: Document, held: Document) -> Change:
    """The update that turns the document `held` (empty: there is none) into one of the record's content."""
    wanted = {name: value for name, value in record.items() if name not in FOREIGN}
    # Clients index it.
    wanted["details"] = record.get("details") or record.get("summary") or ""
    if "severity" in wanted:
        wanted["severity"] = _scored(record["severity"], held.get("severity"))
    if isinstance(wanted.get("affected"), list):
        wanted["affected"] = [_scored_element(element, held) for element in wanted["affected"]]
    gone = (FIELDS | {ABSENT, REMOVED}) & set(held) - set(wanted)
    return {"$set": wanted} | ({"$unset": dict.fromkeys(sorted(gone), "")} if gone else {})


def packages(document: Document) -> Iterator[tuple[str, str]]:
    """(ecosystem, name) of everything that a document says is affected; a repository's suffix is left out."""
    affected = document.get("affected")
    for element in affected if isinstance(affected, list) else ():
        package = element.get("package") if isinstance(element, Mapping) else None
        if isinstance(package, Mapping):
            ecosystem, name = package.get("ecosystem"), package.get("name")
            if isinstance(ecosystem, str) and isinstance(name, str):
                yield ecosystem.partition(":")[0], name


def _scored_element(element: Any, held: Document) -> Any:
    if not isinstance(element, Mapping) or "severity" not in element:
        return element
    held_affected = held.get("affected")
    entries = [
        entry
        for other in (held_affected if isinstance(held_affected, list) else ())
        if isinstance(other, Mapping) and other.get("package") == element.get("package")
        for entry in (other.get("severity") or ())
    ]
    return {**element, "severity": _scored(element["severity"], entries)}


def _scored(severity: Any, held: Any) -> Any:
    """The entries with a base score: the one that somebody has put there, else the vector's."""
    if not isinstance(severity, list):
        return severity
    known = {
        (entry.get("type"), entry.get("score")): entry["base_score"]
        for entry in (held if isinstance(held, list) else ())
        if isinstance(entry, Mapping) and "base_score" in entry
    }
    return [_with_score(entry, known) for entry in severity]


def _with_score(entry: Any, known: Mapping[Any, Any]) -> Any:
    if not isinstance(entry, Mapping) or "base_score" in entry:
        return entry
    score = known.get((entry.get("type"), entry.get("score")))
    if score is None and entry.get("type") == "CVSS_V3" and isinstance(entry.get("score"), str):
        score = vector_score(entry["score"])
    return entry if score is None else {**entry, "base_score": score}
