"""npm's replication service gives the changes by sequence number, and every name (registries.md, section 3).

Since May 2025 it is not a CouchDB any more: it answers 400 to parameters from that time (`include_docs`, `feed`,
`since=now`, …) and to a limit above 10,000.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import orjson

from securechain_ingest.errors import CursorLost, Malformed
from securechain_ingest.registries.feed import Change, ChangesPage, Listed, ListingPage, pack
from securechain_ingest.registries.kit.documents import read_document
from securechain_ingest.registries.kit.json_documents import as_table, as_text, load_object
from securechain_ingest.registries.kit.lines import Lines

if TYPE_CHECKING:
    from securechain_ingest.archives.pool import ParserPool
    from securechain_ingest.http.client import HttpClient

LIMIT: Final = 10_000
"""The service gives at most this many rows in one page."""

_JSON: Final = "application/json"
_MAX_STATE_BYTES: Final = 1024 * 1024
"""This is in bytes; what the service says of itself takes half a kilobyte."""

_OVERLAP: Final = 100
"""So many sequence numbers are read again after the head was taken: writers do not take strict turns."""


class NpmFeed:
    """This implements `Feed`; a cursor is the sequence number up to which all is known."""

    def __init__(self, http: HttpClient, pool: ParserPool, folder: Path) -> None:
        """This feed keeps nothing in the folder."""
        self._http = http
        self._pool = pool

    async def head(self) -> str:
        """Return the service's newest sequence number, less a few."""
        return str(max(0, await self._newest() - _OVERLAP))

    async def listing(self, position: str) -> AsyncIterator[ListingPage]:
        """Yield every package by name with its revision; a position is the last name of a page."""
        while True:
            start = f"&startkey={quote(orjson.dumps(position), safe='')}" if position else ""
            url = self._http.url("npm_replicate", f"_all_docs?limit={LIMIT}{start}")
            page, rows = await read_document(self._http, self._pool, url, parse_names, position, accept=_JSON)
            if page.names:
                yield page
            if rows < LIMIT:
                return
            if page.position == position:
                raise Malformed(f"{url} does not go on behind its first name", url=url)
            position = page.position

    async def changes(self, cursor: str) -> AsyncIterator[ChangesPage]:
        """Yield each changed package once, at its newest change; see `Feed.changes`."""
        since, newest = _number(cursor), await self._newest()
        url = self._http.url("npm_replicate", "")
        if since is None or newest < since:
            raise CursorLost(f"{url} has come to {newest}, which is before the cursor {cursor}", url=url)
        while since < newest:
            url = self._http.url("npm_replicate", f"_changes?since={since}&limit={LIMIT}")
            page, rows = await read_document(self._http, self._pool, url, parse_changes, since, accept=_JSON)
            if not rows:
                # A cursor of another numbering gets no rows and no error.
                raise CursorLost(f"{url} tells no changes although the service has come to {newest}", url=url)
            yield page
            if rows < LIMIT:
                return
            since = int(page.cursor)

    async def _newest(self) -> int:
        url = self._http.url("npm_replicate", "")
        state = await read_document(
            self._http, self._pool, url, load_object, accept=_JSON, limit_bytes=_MAX_STATE_BYTES
        )
        if (number := _number(state.get("update_seq"))) is None:
            raise Malformed(f"{url} does not tell its update_seq", url=url)
        return number


def parse_changes(body: bytes, since: int, url: str) -> tuple[ChangesPage, int]:
    """Return a page of `_changes` and how many rows it had. Malformed is raised for anything else."""
    document = load_object(body, url)
    found: dict[str, Change] = {}
    last = since
    for number, change in Lines(url).read(_rows(document, "results", url), _change):
        last = max(last, number)
        if not change.name.startswith("_"):
            found.pop(change.name, None)
            found[change.name] = change
    last_seq = _number(document.get("last_seq"))
    rows = len(document["results"])
    if last_seq is None or last_seq < last or (rows and last_seq == since):
        raise Malformed(f"{url} has no last_seq that its rows agree with", url=url)
    return ChangesPage(tuple(found.values()), str(last_seq)), rows


def parse_names(body: bytes, behind: str, url: str) -> tuple[ListingPage, int]:
    """Return a page of `_all_docs`, without the row that it repeats first, and how many rows it had. It raises
    Malformed."""
    rows = _rows(load_object(body, url), "rows", url)
    listed = list(Lines(url).read(rows, _listed))
    entries = [entry for entry in listed if entry.name != behind and not entry.name.startswith("_")]
    return ListingPage(pack(entries), len(entries), listed[-1].name if listed else behind), len(rows)


def _change(row: Any) -> tuple[int, Change]:
    """Return a row's number and what the row says. It raises ValueError."""
    name, number = row["id"], _number(row.get("seq"))
    if not isinstance(name, str) or number is None:
        raise ValueError("it has no package or no number")
    return number, Change(name, _revision(row), row.get("deleted") is True)


def _listed(row: Any) -> Listed:
    """This raises TypeError or KeyError for a row that names no package."""
    name, value = row["id"], row.get("value")
    if not isinstance(name, str):
        raise TypeError("it has no package")
    return Listed(name, as_text(as_table(value).get("rev")))


def revision_number(revision: str | None) -> int | None:
    """Return the 12 of `12-abc`, which counts the document's changes. The result is None if the text is not a
    revision."""
    number, dash, _ = (revision or "").partition("-")
    return _number(number) if dash else None


def _revision(row: dict[str, Any]) -> str | None:
    """Return the last revision in the row's list, which counts."""
    changes = row.get("changes")
    return as_text(as_table(changes[-1]).get("rev")) if isinstance(changes, list) and changes else None


def _rows(document: dict[str, Any], key: str, url: str) -> list[Any]:
    rows = document.get(key)
    if not isinstance(rows, list):
        raise Malformed(f"{url} has no list of {key}", url=url)
    return rows


def _number(value: object) -> int | None:
    """Return a whole number from 0, written as JSON or as text; CouchDB sometimes wrote `12-opaque`, of which the 12
    counts."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if value >= 0 else None
    if isinstance(value, str):
        digits = value.partition("-")[0]
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None
    return None
