"""This module tells of advisories as people read them, with the packages of the graph that they touch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from securechain_ingest.advisories.names import affected_package, packages
from securechain_ingest.advisories.scores import MALWARE, score_of_group, scores
from securechain_ingest.advisories.store import AdvisoryStore
from securechain_ingest.advisories.upsert import WORD
from securechain_ingest.errors import InvalidName, NotFound
from securechain_ingest.graph.lookups import Lookups, TouchedPackage
from securechain_ingest.model import Ecosystem, PackageRef
from securechain_ingest.registries import BY_OSV
from securechain_ingest.reports.vulnerabilities import MALICIOUS, UNKNOWN, severity_word

_MOST_PAIRS: Final = 2_000


@dataclass(frozen=True, slots=True)
class AffectedElement:
    """This is one element of what an advisory says is affected."""

    package: str
    """This has OSV's word for the ecosystem, a colon, and the name."""
    ranges: tuple[str, ...]
    """This has each range in words, such as `from 0, fixed in 1.2`."""
    versions: int
    """So many versions are listed by name."""


@dataclass(frozen=True, slots=True)
class AdvisoryReport:
    """This is one advisory."""

    id: str
    aliases: tuple[str, ...]
    summary: str
    details: str
    severity: str
    """The severity is malware, critical, high, medium, low, none or unknown, or its author's own word."""
    score: float | None
    published: str
    modified: str
    withdrawn: str
    affected: tuple[AffectedElement, ...]
    references: tuple[str, ...]
    """These addresses begin with `https://` or `http://`."""
    touched: tuple[TouchedPackage, ...]
    """These packages are in the graph, and the advisory affects at least one of their versions there."""


async def newest_advisories(
    store: AdvisoryStore, lookups: Lookups, limit: int, before: str | None = None
) -> list[AdvisoryReport]:
    """Return the advisories that were modified last, before a time if it is given. Raise StoreError."""
    return await _reports(lookups, await store.newest(limit, before=before))


async def advisory_named(store: AdvisoryStore, lookups: Lookups, identifier: str) -> list[AdvisoryReport]:
    """Return the advisories that have an id, in any case, as their own or an alias. Raise NotFound and StoreError."""
    documents = await store.whole(identifier) or await store.whole(usual_id(identifier))
    if not documents:
        raise NotFound(f"there is no advisory {identifier}", url=identifier)
    return await _reports(lookups, documents)


def usual_id(identifier: str) -> str:
    """Return an id in the case that its database writes: capitals, but small letters behind GHSA-."""
    database, dash, rest = identifier.upper().partition("-")
    return f"{database}{dash}{rest.lower() if database == 'GHSA' else rest}"


def possible_packages(document: Mapping[str, Any]) -> Iterator[PackageRef]:
    """Yield the packages that an advisory is about, but for those that the graph cannot have."""
    for osv, name in packages(document):
        if (declaration := BY_OSV.get(osv)) is None:
            continue
        try:
            ref = declaration.identify(name)
        except InvalidName:
            continue
        yield ref


async def _reports(lookups: Lookups, documents: Sequence[Mapping[str, Any]]) -> list[AdvisoryReport]:
    touched: dict[str, list[TouchedPackage]] = {}
    for ecosystem, pairs in _pairs(documents).values():
        for identifier, found in (await lookups.touched(ecosystem, pairs)).items():
            touched.setdefault(identifier, []).extend(found)
    return [_report(document, touched.get(str(document.get("id")), ())) for document in documents]


def _pairs(documents: Collection[Mapping[str, Any]]) -> dict[str, tuple[Ecosystem, set[tuple[str, str]]]]:
    """Return by ecosystem the ids of the documents with the purls of the packages that they are about."""
    found: dict[str, tuple[Ecosystem, set[tuple[str, str]]]] = {}
    for document in documents:
        for ref in possible_packages(document):
            _, pairs = found.setdefault(ref.ecosystem.name, (ref.ecosystem, set()))
            if len(pairs) < _MOST_PAIRS:
                pairs.add((str(document["id"]), ref.purl))
    return found


def _report(document: Mapping[str, Any], touched: Collection[TouchedPackage]) -> AdvisoryReport:
    identifier = str(document.get("id"))
    elements = [each for each in _list(document.get("affected")) if isinstance(each, Mapping)]
    score = score_of_group([scores(document, elements)])
    if identifier.startswith(MALWARE):
        severity = MALICIOUS
    elif score is not None:
        severity = severity_word(score)
    else:
        severity = (_text(document.get(WORD)) or UNKNOWN).lower()
    details = _text(document.get("details"))
    return AdvisoryReport(
        id=identifier,
        aliases=tuple(each for each in _list(document.get("aliases")) if isinstance(each, str)),
        summary=_text(document.get("summary")) or details.strip().partition("\n")[0][:200],
        details=details,
        severity=severity,
        score=score,
        published=_text(document.get("published")),
        modified=_text(document.get("modified")),
        withdrawn=_text(document.get("withdrawn")),
        affected=tuple(found for each in elements if (found := _affected(each)) is not None),
        references=tuple(url for each in _list(document.get("references")) if (url := _address(each))),
        touched=tuple(sorted(touched, key=lambda each: each.purl)),
    )


def _affected(element: Mapping[str, Any]) -> AffectedElement | None:
    package = affected_package(element)
    if package is None:
        return None
    ranges = []
    for each in _list(element.get("ranges")):
        events = _list(each.get("events")) if isinstance(each, Mapping) else ()
        words = {"introduced": "from", "fixed": "fixed in", "last_affected": "up to", "limit": "before"}
        parts = [
            f"{words[word]} {value}"
            for event in events
            if isinstance(event, Mapping)
            for word, value in event.items()
            if word in words
        ]
        if parts:
            ranges.append(", ".join(parts))
    return AffectedElement(":".join(package), tuple(ranges), len(_list(element.get("versions"))))


def _address(reference: object) -> str:
    url = reference.get("url") if isinstance(reference, Mapping) else None
    return url if isinstance(url, str) and url.startswith(("https://", "http://")) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
