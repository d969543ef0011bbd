"""This module lists a package's vulnerabilities for an analyst: aliases are joined, the worst comes first, and each
has the versions that fix it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from securechain_ingest.advisories.matching import order_of, read_records, vulnerability_numbers
from securechain_ingest.advisories.records import Document, Record, is_about
from securechain_ingest.advisories.scores import MALWARE, score_of_group
from securechain_ingest.advisories.upsert import WORD
from securechain_ingest.model import PackageRef

MALICIOUS: Final = "malware"
UNKNOWN: Final = "unknown"

_WORDS: Final = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"), (0.0, "none"))
"""These are CVSS's qualitative severity ratings (specification of version 3.1, section 5), each after its lowest
score."""

_OTHER_WORDS: Final = {"moderate": "medium"}
_RANKS: Final = {word: rank for rank, (_, word) in enumerate(_WORDS)}


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """This is one vulnerability, however many records describe it."""

    ids: tuple[str, ...]
    """The ids of the records in the database come first, then their other aliases."""
    severity: str
    """The severity is malware, critical, high, medium, low, none or unknown."""
    score: float | None
    affected_versions: tuple[str, ...]
    """These are affected versions that are in the graph, oldest first."""
    fixed_in: tuple[str, ...]
    """These versions fix the vulnerability, lowest first. There are none if no record names one."""
    summary: str
    """The summary is one line; it is empty if no record has one."""

    @property
    def affected_range(self) -> str:
        """Return the first and the last affected version as `2.10 to 3.1.2`, or the only one.

        Not all versions between them need be affected.
        """
        first, last = self.affected_versions[0], self.affected_versions[-1]
        return first if first == last else f"{first} to {last}"

    @property
    def urgency(self) -> tuple[bool, float, int, str]:
        """Return a key that sorts the worst first: malware, then by score, then those that have only a word, then
        the unknown."""
        return (
            self.severity != MALICIOUS,
            -self.score if self.score is not None else 1.0,
            _RANKS.get(self.severity, len(_RANKS)),
            self.ids[0],
        )


def vulnerabilities(
    ref: PackageRef,
    affected: Mapping[str, Sequence[str]],
    documents: Collection[Document],
    texts: Mapping[str, Mapping[str, Any]],
    *,
    above: str | None = None,
) -> list[Vulnerability]:
    """Return the vulnerabilities of a package, the worst first.

    `affected` has for each advisory's id the versions in the graph that it affects; `documents` are all that may be
    about the package, since aliases connect records that affect other versions, too; `texts` comes from
    `AdvisoryStore.texts`. With `above` only versions that come after that one count as fixes.
    """
    records, _ = read_records(ref, tuple(documents), order_of(ref.ecosystem))
    numbers = vulnerability_numbers(records)
    groups: dict[int | str, list[Record]] = {}
    for record, number in zip(records, numbers, strict=True):
        groups.setdefault(number, []).append(record)
    by_id = {document.get("id"): document for document in documents}
    found = []
    for group in groups.values():
        telling = [record for record in group if record.id in affected]
        if telling:
            own = [by_id[record.id] for record in telling]
            found.append(_vulnerability(ref, telling, own, affected, texts, above))
    known = {record.id for record in records}
    # The graph names these advisories, and the database no longer has them.
    found += [_lost(identifier, affected[identifier]) for identifier in affected.keys() - known]
    return sorted(found, key=lambda each: each.urgency)


def severity_word(score: float) -> str:
    """Return CVSS's word for a base score from 0 to 10."""
    return next(word for lowest, word in _WORDS if score >= lowest)


def _vulnerability(
    ref: PackageRef,
    records: Sequence[Record],
    documents: Sequence[Document],
    affected: Mapping[str, Sequence[str]],
    texts: Mapping[str, Mapping[str, Any]],
    above: str | None,
) -> Vulnerability:
    own = sorted(record.id for record in records)
    names = sorted({name for record in records for name in record.names} - set(own))
    versions = dict.fromkeys(version for record in records for version in affected[record.id])
    score = score_of_group(record.scores for record in records)
    own_texts = [texts[identifier] for identifier in own if identifier in texts]
    return Vulnerability(
        ids=(*own, *names),
        severity=_severity(own, score, own_texts),
        score=score,
        affected_versions=tuple(_in_order(ref, versions)),
        fixed_in=tuple(_fixes(ref, documents, above)),
        summary=next((line for text in own_texts if (line := _line(text))), ""),
    )


def _lost(identifier: str, versions: Sequence[str]) -> Vulnerability:
    severity = MALICIOUS if identifier.startswith(MALWARE) else UNKNOWN
    return Vulnerability((identifier,), severity, None, tuple(versions), (), "")


def _severity(ids: Iterable[str], score: float | None, texts: Iterable[Mapping[str, Any]]) -> str:
    if any(identifier.startswith(MALWARE) for identifier in ids):
        return MALICIOUS
    if score is not None:
        return severity_word(score)
    for text in texts:
        word = str(text.get(WORD) or "").lower()
        if (word := _OTHER_WORDS.get(word, word)) in _RANKS:
            return word
    return UNKNOWN


def _in_order(ref: PackageRef, versions: Iterable[str]) -> list[str]:
    ranks = ref.ecosystem.rank(versions)
    return sorted(ranks, key=lambda name: (ranks[name], name))


def _fixes(ref: PackageRef, documents: Iterable[Document], above: str | None) -> list[str]:
    order = order_of(ref.ecosystem)
    ordered: list[tuple[Any, str]] = []
    for name in dict.fromkeys(_fixed_events(ref, documents)):
        try:
            if above is None or order(name) > order(above):
                ordered.append((order(name), name))
        except ValueError:
            continue  # A word that the ecosystem's scheme cannot order fixes nothing that anybody could compare.
    ordered.sort(key=lambda pair: pair[0])
    # Two spellings of one version are one fix. Not every scheme's key can be hashed, but all can be compared.
    return [next(same)[1] for _, same in groupby(ordered, key=lambda pair: pair[0])]


def _fixed_events(ref: PackageRef, documents: Iterable[Document]) -> Iterator[str]:
    for document in documents:
        for element in _list(document.get("affected")):
            if not is_about(element, ref, lambda _: None):
                continue
            for each in _list(element.get("ranges")):
                if isinstance(each, Mapping) and each.get("type") in ("SEMVER", "ECOSYSTEM"):
                    for event in _list(each.get("events")):
                        fixed = event.get("fixed") if isinstance(event, Mapping) else None
                        if isinstance(fixed, str) and fixed.strip():
                            yield fixed.strip()


def _line(text: Mapping[str, Any]) -> str:
    """Return the summary, or else the beginning of the details, as one line."""
    for field in ("summary", "details"):
        value = text.get(field)
        if isinstance(value, str) and (line := " ".join(value.split())):
            return line if len(line) <= 200 else f"{line[:199]}…"
    return ""


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
