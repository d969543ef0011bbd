"""This module reads the catalog's documents: an index of pages, and pages of events (Microsoft Learn, "Catalog
resource").

Moments are compared as texts: they have seven digits after the point, one more than Python's times can have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import urljoin

from securechain_ingest.errors import Malformed
from securechain_ingest.registries.kit.json_documents import load_object
from securechain_ingest.registries.kit.lines import Lines

_STAMP: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?(?:Z|\+00:00)?", re.ASCII)
_LEAF: Final = re.compile(r"/data/(\d{4})\.(\d\d)\.(\d\d)\.(\d\d)\.(\d\d)\.(\d\d)/[^/]*$", re.ASCII)
_DELETE: Final = "PackageDelete"


class PageLink(NamedTuple):
    """This is what the index tells of a page. Links are sorted by time."""

    stamp: str
    """The newest commit in the page has this time."""
    url: str


@dataclass(frozen=True, slots=True)
class Index:
    stamp: str
    """The newest commit of all has this time."""
    pages: tuple[PageLink, ...]
    """The oldest page is the first."""


class Event(NamedTuple):
    """This happened to one version. Events sort by time, and deletions come before the other events of one commit."""

    stamp: str
    is_there: bool
    """It is False if the version was deleted."""
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class CatalogPage:
    stamp: str
    events: tuple[Event, ...]
    """The oldest event is the first."""


def normal_stamp(value: object) -> str | None:
    """Return a commit's time as `2024-11-13T10:18:14.1126201Z`, which sorts as text. The result is None for anything
    else."""
    match = _STAMP.fullmatch(value) if isinstance(value, str) else None
    return f"{match[1]}.{match[2] or '':0<7}Z" if match else None


def to_the_second(stamp: str) -> str:
    """Return a normal stamp cut to the second, which is what the addresses of the catalog's leaves have."""
    return f"{stamp[:19]}Z"


def leaf_stamp(address: object) -> str | None:
    """Return the second at which a leaf was written, which its address says. The result is None if it does not."""
    match = _LEAF.search(address) if isinstance(address, str) else None
    return "{}-{}-{}T{}:{}:{}Z".format(*match.groups()) if match else None


def parse_index(body: bytes, url: str) -> Index:
    """Return the catalog's index, with its pages from the oldest to the newest. It raises Malformed."""
    document = load_object(body, url)
    links = []
    for item in _items(document, url):
        if not isinstance(address := item.get("@id"), str):
            raise Malformed(f"{url} has a page without an address", url=url)
        links.append(PageLink(_stamp(item, url), urljoin(url, address)))
    return Index(_stamp(document, url), tuple(sorted(links)))


def parse_page(body: bytes, url: str) -> CatalogPage:
    """Return a page of the catalog, with its events from the oldest to the newest. It raises Malformed."""
    document = load_object(body, url)
    events = Lines(url).read(_items(document, url), partial(_event, url=url))
    return CatalogPage(_stamp(document, url), tuple(sorted(events)))


def _event(item: dict[str, Any], url: str) -> Event:
    """Read an item of a page. It raises Malformed."""
    name, version = item.get("nuget:id"), item.get("nuget:version")
    if not isinstance(name, str) or not name or not isinstance(version, str):
        raise Malformed(f"{url} has an item that names no package or no version", url=url)
    # What has another type than the two that are documented says at least that something happened.
    return Event(_stamp(item, url), not str(item.get("@type")).endswith(_DELETE), name, version)


def _items(document: dict[str, Any], url: str) -> list[dict[str, Any]]:
    items = document.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Malformed(f"{url} has no list of items", url=url)
    return items


def _stamp(entry: dict[str, Any], url: str) -> str:
    if (stamp := normal_stamp(entry.get("commitTimeStamp"))) is None:
        raise Malformed(f"{url} has something without a commitTimeStamp in UTC", url=url)
    return stamp
