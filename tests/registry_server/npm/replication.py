"""This is npm's replication service as it is since May 2025: a root document, changes and names, all from the
history.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import orjson

from tests.registry_server.history import HistoryEvent, RegistryHistory, What
from tests.registry_server.resources import IncomingRequest, Resource, Site, json_document, missing

MOST_ROWS = 10_000
STEP = 4
"""Sequence numbers are sparse."""
EPOCH = 100_000_000
"""Numbers begin that much lower after each reset."""

PARAMETERS = {"/_changes": {"since", "limit"}, "/_all_docs": {"limit", "startkey"}}


def sequence(history: RegistryHistory, number: int) -> int:
    """Return the sequence number of an event."""
    return max(0, 3 - history.epoch) * EPOCH + STEP * number


def revision(history: RegistryHistory, name: str) -> str:
    """Return how often the document was changed; a package that the history does not know has one change."""
    number = max(1, len(history.by_name.get(name, ())))
    return f"{number}-{hashlib.md5(f'{name} {number}'.encode(), usedforsecurity=False).hexdigest()}"


def replication(history: RegistryHistory) -> Site:
    """Return the site; its documents are written at their first request."""

    @cache
    def changes() -> list[dict[str, Any]]:
        return list(_changes(history))

    @cache
    def names() -> list[str]:
        return sorted(history.versions)

    def find(request: IncomingRequest) -> Resource:
        if request.path == "/":
            newest = sequence(history, history.events[-1].number if history.events else 0)
            return json_document(
                {"db_name": "registry", "engine": "npm-replicate", "doc_count": len(names()), "update_seq": newest}
            )
        known = PARAMETERS.get(request.path)
        if known is None:
            return missing("a document that the replication service no longer has")
        given = parse_qs(request.target.partition("?")[2])
        limit = int(given.get("limit", ["1000"])[0])
        if set(given) - known or limit > MOST_ROWS:
            return Resource(b'{"error":"bad_request"}', "application/json", 400, defect="a parameter that is gone")
        if request.path == "/_changes":
            since = int(given.get("since", ["0"])[0])
            rows = [row for row in changes() if row["seq"] > since][:limit]
            return json_document({"results": rows, "last_seq": rows[-1]["seq"] if rows else since})
        first = orjson.loads(given["startkey"][0]) if "startkey" in given else ""
        return json_document(_names(history, names, first, limit))

    return find


def _changes(history: RegistryHistory) -> Iterator[dict[str, Any]]:
    """Yield each package once, at its newest change."""
    newest: dict[str, HistoryEvent] = {}
    for event in history.events:
        newest.pop(event.name, None)
        newest[event.name] = event
    for name, event in newest.items():
        row = {"seq": sequence(history, event.number), "id": name, "changes": [{"rev": revision(history, name)}]}
        yield {**row, "deleted": True} if event.what is What.REMOVED and event.version is None else row


def _names(history: RegistryHistory, names: Callable[[], list[str]], first: str, limit: int) -> dict[str, Any]:
    begin = bisect_left(names(), first)
    found = names()[begin : begin + limit]
    rows = [{"id": name, "key": name, "value": {"rev": revision(history, name)}} for name in found]
    return {"total_rows": len(names()), "offset": 0, "rows": rows}
