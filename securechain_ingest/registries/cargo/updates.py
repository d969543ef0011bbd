"""The registry's RSS feed has new versions: those of the last hour, and at least a hundred (registries.md, section
5)."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from typing import NamedTuple

from lxml import etree

from securechain_ingest.errors import Malformed
from securechain_ingest.registries.kit.lines import Lines
from securechain_ingest.registries.kit.xml_documents import rss_items


class Update(NamedTuple):
    """One version was published; updates sort by time."""

    published: str
    """The time is in ISO 8601, in UTC to the second."""
    name: str
    version: str


def parse_updates(body: bytes, url: str) -> list[Update]:
    """Return the feed's items, oldest first. One that does not name its crate or date is left out. It raises
    Malformed."""
    return sorted(Lines(url).read(rss_items(body, url), partial(_update, url=url)))


def _update(item: etree._Element, url: str) -> Update:
    name, version = (_text(item, f"{{*}}{key}") for key in ("name", "version"))
    published = _text(item, "pubDate")
    try:
        moment = parsedate_to_datetime(published)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, TypeError) as error:
        raise Malformed(f"{url} has an item whose pubDate is {published[:60]!r}", url=url) from error
    if not name or not version:
        raise Malformed(f"{url} has an item that names no crate or no version", url=url)
    return Update(moment.strftime("%Y-%m-%dT%H:%M:%SZ"), name, version)


def _text(item: etree._Element, tag: str) -> str:
    return (item.findtext(tag) or "").strip()
