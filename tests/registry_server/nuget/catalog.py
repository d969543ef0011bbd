"""This is the catalog of a made NuGet registry, from the history: an index of pages, and pages of commits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.registry_server.history import BEGINNING, HistoryEvent, RegistryHistory, What
from tests.registry_server.resources import IncomingRequest, Resource, Site, json_document, missing

CATALOG = "/v3/catalog0"
FEW, MANY = 5, 550
"""A page has so many items; in a short catalog it has few, so that there are pages."""
SHORT = 500


def stamp(history: RegistryHistory, event: HistoryEvent) -> str:
    """Return the time of an event's commit: each epoch is a year before the last one."""
    return _commit_time(history, event.moment)


def newest_stamp(history: RegistryHistory, name: str, version: str | None = None) -> str | None:
    """Return the time of the last commit about a package, or about one of its versions; None if the history does not
    know it.
    """
    events = [event for event in history.by_name.get(name, ()) if version is None or event.version == version]
    return stamp(history, events[-1]) if events else None


def catalog(history: RegistryHistory, address: str) -> Site:
    """Return the site of the catalog's documents, which are written at the first request."""

    @cache
    def documents() -> dict[str, Resource]:
        return {path: json_document(document) for path, document in _documents(history, address)}

    def find(request: IncomingRequest) -> Resource:
        return documents().get(request.path) or missing()

    return find


def _documents(history: RegistryHistory, address: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Neither pages nor items are in their order, as in the real one."""
    items = list(_items(history))
    size = FEW if len(items) <= SHORT else MANY
    index = f"{address}{CATALOG}/index.json"
    links = []
    for number, start in enumerate(range(0, len(items), size)):
        held = items[start : start + size]
        path = f"{CATALOG}/page{number}.json"
        page = {
            "@id": f"{address}{path}",
            "@type": "CatalogPage",
            "commitTimeStamp": held[-1]["commitTimeStamp"],
            "count": len(held),
        }
        links.append(page)
        yield path, {**page, "parent": index, "items": held[::-1]}
    newest = items[-1]["commitTimeStamp"] if items else _commit_time(history, f"{BEGINNING:%Y-%m-%dT%H:%M:%SZ}")
    yield (
        f"{CATALOG}/index.json",
        {"@id": index, "commitTimeStamp": newest, "count": len(links), "items": links[::2] + links[1::2]},
    )


def _items(history: RegistryHistory) -> Iterator[dict[str, Any]]:
    """Yield the items, oldest first. A package is deleted version by version."""
    held: dict[str, list[str]] = {}
    for event in history.events:
        versions = held.setdefault(event.name, [])
        gone = event.what is What.REMOVED
        for version in list(versions) if event.version is None else [event.version]:
            folder = re.sub("[-T:]", ".", stamp(history, event)[:19])
            yield {
                "@id": f"{CATALOG}/data/{folder}/{event.name}.{version}.json".lower(),
                "@type": f"nuget:Package{'Delete' if gone else 'Details'}",
                "commitId": f"commit-{event.number}",
                "commitTimeStamp": stamp(history, event),
                "nuget:id": event.name,
                "nuget:version": version,
            }
            if gone and version in versions:
                versions.remove(version)
            elif not gone and version not in versions:
                versions.append(version)


def _commit_time(history: RegistryHistory, moment: str) -> str:
    return f"{int(moment[:4]) - history.epoch}{moment[4:].removesuffix('Z')}.0000000Z"
