"""PyPI's list of all projects with their serials has both the names and the changes (registries.md, section 2).

Every event gives its project the next serial of one journal. So a project has changed exactly if its serial is above
the one up to which all is known, however long nobody has looked. What is gone is no longer in the list, which only a
comparison of all names shows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson
from lxml import etree

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.errors import CursorLost, Malformed
from securechain_ingest.http.client import HttpClient, Response
from securechain_ingest.registries.feed import PAGE_NAMES, Change, ChangesPage, Listed, ListingPage, paged
from securechain_ingest.registries.kit.json_documents import load_object
from securechain_ingest.registries.kit.lines import Lines
from securechain_ingest.registries.kit.xml_documents import rss_items

_SIMPLE_JSON: Final = "application/vnd.pypi.simple.v1+json"
_PARSE_TIMEOUT_S: Final = 120.0


class PyPIFeed:
    """This implements `Feed`; a cursor is the list's serial, and its ETag if all of the list has been given."""

    def __init__(self, http: HttpClient, pool: ParserPool, folder: Path) -> None:
        """This feed keeps nothing in the folder."""
        self._http = http
        self._pool = pool
        self._url = http.url("pypi", "simple/")

    async def head(self) -> str:
        """Return the cursor with the list's serial."""
        response = await self._list()
        return _cursor(await self._pool.parse_document(parse_serial, response.body, self._url), response.validator)

    async def listing(self, position: str) -> AsyncIterator[ListingPage]:
        """Yield every project with its serial, in one request; it always begins from the beginning."""
        response = await self._list()
        for page in await self._pool.parse_document(
            parse_listing, response.body, self._url, timeout_s=_PARSE_TIMEOUT_S
        ):
            yield page

    async def changes(self, cursor: str) -> AsyncIterator[ChangesPage]:
        """Yield the projects with higher serials, in their order; see `Feed.changes`."""
        since, validator = _read_cursor(cursor)
        if since is None:
            raise CursorLost(f"{cursor[:100]!r} is no cursor of {self._url}", url=self._url)
        response = await self._list(validator)
        if response.not_modified:
            return
        serial, found = await self._pool.parse_document(
            parse_changes, response.body, since, self._url, timeout_s=_PARSE_TIMEOUT_S
        )
        if serial < since:
            raise CursorLost(f"{self._url} is at serial {serial}, which is before the cursor {since}", url=self._url)
        changes = iter(found)
        while page := tuple(Change(name, str(number), False) for name, number in islice(changes, PAGE_NAMES)):
            yield ChangesPage(page, _cursor(int(page[-1].at_least or since), None))
        # Last the list as a whole: its own serial may belong to a project that is gone.
        yield ChangesPage((), _cursor(serial, response.validator))

    async def hints(self, seen: str) -> ChangesPage | None:
        """Return the projects in the registry's feed of its hundred newest releases; see `HintingFeed.hints`."""
        url = self._http.url("pypi", "rss/updates.xml")
        validator, known = _read_seen(seen)
        response = await self._http.get(url, validator=validator)
        if response.not_modified:
            return None
        releases = await self._pool.parse_document(parse_newest, response.body, url)
        names = dict.fromkeys(name for name, version in releases if (name, version) not in known)
        if not names:
            return None
        cursor = orjson.dumps([response.validator, releases]).decode()
        return ChangesPage(tuple(Change(name, None, False) for name in names), cursor)

    async def _list(self, validator: str | None = None) -> Response:
        return await self._http.get(self._url, accept=_SIMPLE_JSON, validator=validator)


def parse_newest(body: bytes, url: str) -> list[tuple[str, str]]:
    """Return the project and the version of each item of the feed of newest releases. It raises Malformed."""
    return list(Lines(url).read(rss_items(body, url), _release))


def _release(item: etree._Element) -> tuple[str, str]:
    """The item's title is like `requests 2.32.0`. ValueError is raised for another one."""
    name, space, version = (item.findtext("title") or "").strip().partition(" ")
    if not name or not space or " " in version:
        raise ValueError("its title is not a project and a version")
    return name, version


def parse_serial(body: bytes, url: str) -> int:
    """Return the serial of the whole list. Malformed is raised for a document that is not such a list."""
    return _serial(_document(body, url), url)


def parse_listing(body: bytes, url: str) -> list[ListingPage]:
    """Return all projects with their serials, in pages. Malformed is raised for a document that is not such a list."""
    entries = (Listed(name, str(serial)) for name, serial in _projects(_document(body, url), url))
    return list(paged(entries))


def parse_changes(body: bytes, since: int, url: str) -> tuple[int, list[tuple[str, int]]]:
    """Return the list's serial, and the projects above `since` with theirs, ascending. It raises Malformed."""
    document = _document(body, url)
    serial = _serial(document, url)
    # Above the list's own serial a project cannot be: such a one is given when the list has come that far.
    found = [(name, number) for name, number in _projects(document, url) if since < number <= serial]
    return serial, sorted(found, key=lambda project: project[1])


def _document(body: bytes, url: str) -> dict[str, Any]:
    document = load_object(body, url)
    if not isinstance(document.get("projects"), list):
        raise Malformed(f"{url} is no list of projects", url=url)
    return document


def _serial(document: dict[str, Any], url: str) -> int:
    meta = document.get("meta")
    serial = meta.get("_last-serial") if isinstance(meta, dict) else None
    if not isinstance(serial, int) or isinstance(serial, bool) or serial < 0:
        raise Malformed(f"{url} does not tell its _last-serial", url=url)
    return serial


def _projects(document: dict[str, Any], url: str) -> Iterator[tuple[str, int]]:
    """Yield the name and serial of each project; an entry that cannot be read is reported and left out."""
    return Lines(url).read(document["projects"], _project)


def _project(project: Any) -> tuple[str, int]:
    """This raises ValueError, TypeError or KeyError for an entry that is not a project."""
    name, serial = project["name"], project["_last-serial"]
    if type(name) is not str or type(serial) is not int:
        raise ValueError("its name is no text or its serial no number")
    return name, serial


def _read_seen(seen: str) -> tuple[str | None, frozenset[tuple[str, str]]]:
    """Return the ETag and the releases of what was seen, and nothing for a text that is none of ours."""
    try:
        match orjson.loads(seen or "null"):
            case [str(validator) | (None as validator), list(releases)]:
                return validator, frozenset((str(name), str(version)) for name, version in releases)
    except ValueError:
        pass
    return None, frozenset()


def _cursor(serial: int, validator: str | None) -> str:
    return orjson.dumps([serial, validator]).decode()


def _read_cursor(cursor: str) -> tuple[int | None, str | None]:
    """Return the serial and the ETag; the serial is None if the text is not a cursor of this feed."""
    try:
        match orjson.loads(cursor):
            case [int(serial), str(validator) | (None as validator)] if serial >= 0:
                return serial, validator
    except orjson.JSONDecodeError:
        pass
    return None, None
