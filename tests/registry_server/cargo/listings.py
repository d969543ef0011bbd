"""This is the feed of new versions and the database dump of a made crates registry, from the history alone."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from xml.sax.saxutils import escape

from tests.registry_server.history import RegistryHistory, What
from tests.registry_server.resources import Resource, archive, document, missing
from tests.registry_server.tars import tar_gz

FEED = "/rss/updates.xml"
DUMP = "/db-dump"
ITEMS = 100
NAMESPACE = "urn:made:crates"

CRATES = ("created_at", "description", "homepage", "id", "name", "readme", "repository", "updated_at")
VERSIONS = ("checksum", "crate_id", "crate_size", "created_at", "features", "id", "license", "num", "yanked")


class Listings:
    """Each file is written at its first request."""

    def __init__(self, history: RegistryHistory) -> None:
        self.feed = cache(lambda: _feed(history))
        self._files = cache(lambda: _dump(history))
        self.zip = cache(lambda: archive(_zip(self._files()), "application/zip"))
        self.tar = cache(lambda: archive(tar_gz(self._files()), "application/gzip"))

    def find(self, path: str) -> Resource:
        """Return what lies there."""
        kinds = {FEED: self.feed, f"{DUMP}.zip": self.zip, f"{DUMP}.tar.gz": self.tar}
        return kinds[path]() if path in kinds else missing()


def _feed(history: RegistryHistory) -> Resource:
    """Return the feed, newest first; after a reset it begins a year earlier."""
    published = [event for event in history.remembered if event.what is What.PUBLISHED and event.version is not None]
    items = "".join(
        f"<item><title>New crate version published: {escape(event.name)} v{escape(event.version or '')}</title>"
        f"<pubDate>{_date(event.moment, history.epoch)}</pubDate>"
        f"<crates:name>{escape(event.name)}</crates:name><crates:version>{escape(event.version or '')}</crates:version>"
        "</item>"
        for event in reversed(published[-ITEMS:])
    )
    return document(
        f'<?xml version="1.0" encoding="UTF-8"?><rss version="2.0" xmlns:crates="{NAMESPACE}"><channel>'
        f"<title>Updates</title>{items}</channel></rss>".encode(),
        "application/rss+xml",
    )


def _date(moment: str, epoch: int) -> str:
    date = datetime.fromisoformat(moment)
    return format_datetime(date.replace(year=date.year - epoch).astimezone(UTC))


def _dump(history: RegistryHistory) -> dict[str, bytes]:
    """Return the tables, in no order that helps."""
    crates: list[list[object]] = []
    versions: list[list[object]] = []
    for number, (name, numbers) in enumerate(sorted(history.versions.items(), reverse=True), 1):
        crates.append(
            ["2015-01-01", f'Made,\n"for" {name}', "", number, name, "# Read, me\n" * 3, "", "2026-08-01 02:00:00"]
        )
        for version, is_yanked in numbers.items():
            yanked = "t" if is_yanked else "f"
            versions.append(
                ["0" * 64, number, 1234, "2026-08-01", '{"a": ["b"]}', len(versions), "MIT", version, yanked]
            )
    versions.sort(key=lambda row: str(row[7]))
    return {
        "2026-08-01-020027/metadata.json": json.dumps({"timestamp": "2026-08-01T02:00:27Z"}).encode(),
        "2026-08-01-020027/data/versions.csv": _table(VERSIONS, versions),
        "2026-08-01-020027/data/crates.csv": _table(CRATES, crates),
        "2026-08-01-020027/data/junk.csv": b"id\n1\n",
    }


def _table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def _zip(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return packed.getvalue()
