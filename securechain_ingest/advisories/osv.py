"""The OSV bucket: which advisories have changed, single ones, and all of an ecosystem (registries.md, section 8)."""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final, TypeAlias, cast
from urllib.parse import quote

import anyio.to_thread
import orjson

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.errors import Malformed
from securechain_ingest.http.client import HttpClient

Record: TypeAlias = dict[str, Any]

WITHOUT_ECOSYSTEM: Final = "[EMPTY]"
"""Where records go that lose their ecosystem, most of them withdrawn."""

BATCH_RECORDS: Final = 500

_ZIP_BYTES: Final = 4 * 1024 * 1024 * 1024
_PARSE_TIMEOUT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Modified:
    """What has changed in one ecosystem."""

    ids: tuple[str, ...]
    """Newest change first."""
    newest: str
    """The time of the newest change of all; empty if there is none."""
    validator: str | None


class OsvBucket:
    """Reads; every method raises UpstreamError, or ParserLost."""

    def __init__(self, http: HttpClient, pool: ParserPool, folder: Path) -> None:
        """The folder takes an archive while it is read."""
        self._http = http
        self._pool = pool
        self._folder = folder

    async def modified(self, ecosystem: str, since: str, validator: str | None) -> Modified | None:
        """The records changed at `since` (ISO 8601) or later; None if nothing has changed since the validator.

        Of WITHOUT_ECOSYSTEM those that lost theirs.
        """
        prefix = f"{WITHOUT_ECOSYSTEM}/" if ecosystem == WITHOUT_ECOSYSTEM else ""
        # The list of one ecosystem has bare ids; only the list of all tells who has none.
        url = self._http.url("osv", "modified_id.csv" if prefix else f"{quote(ecosystem)}/modified_id.csv")
        response = await self._http.get(url, validator=validator)
        if response.not_modified:
            return None
        ids, newest = await self._pool.parse_document(parse_modified, response.body, since, prefix, url)
        return Modified(ids, newest, response.validator)

    async def record(self, ecosystem: str, identifier: str) -> Record:
        """One advisory. Raises Malformed for what is none."""
        url = self._http.url("osv", f"{quote(ecosystem, safe='[]')}/{quote(identifier)}.json")
        return parse_record((await self._http.get(url)).body, url)

    @asynccontextmanager
    async def everything(self, ecosystem: str) -> AsyncIterator[AsyncIterator[list[Record | str]]]:
        """All advisories of an ecosystem in batches; in place of one that cannot be read a sentence that says why."""
        url = self._http.url("osv", f"{quote(ecosystem)}/all.zip")
        with NamedTemporaryFile(dir=self._folder, suffix=".zip") as copy:
            await self._http.download(url, cast(io.BufferedRandom, copy.file), limit_bytes=_ZIP_BYTES)
            await anyio.to_thread.run_sync(copy.flush)
            yield self._batches(Path(copy.name), url)

    async def _batches(self, file: Path, url: str) -> AsyncIterator[list[Record | str]]:
        read = partial(self._pool.run, read_batch, file, url, timeout_s=_PARSE_TIMEOUT_S)
        start = 0
        while batch := await read(start):
            yield batch
            start += len(batch)


def parse_modified(body: bytes, since: str, prefix: str, url: str) -> tuple[tuple[str, ...], str]:
    """The ids (behind `prefix`) changed at `since` or later, and the newest time. Raises Malformed."""
    ids: list[str] = []
    newest = ""
    limit = _moment(since, url) if since else None
    for row in csv.reader(io.StringIO(body.decode("utf-8", "replace"))):
        if len(row) != 2 or not row[1]:
            raise Malformed(f"{url} has a line that is no time and id: {','.join(row)[:80]!r}", url=url)
        changed, identifier = row
        if not identifier.startswith(prefix):
            continue
        newest = max(newest, changed, key=partial(_moment_or_first, url=url))
        if limit is not None and _moment(changed, url) < limit:
            break
        ids.append(identifier.removeprefix(prefix))
    return tuple(dict.fromkeys(ids)), newest


def parse_record(body: bytes, url: str) -> Record:
    """An advisory that has what every one must have. Raises Malformed."""
    try:
        record = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"{url} is not JSON ({error})", url=url) from error
    if not isinstance(record, dict) or not all(isinstance(record.get(key), str) for key in ("id", "modified")):
        raise Malformed(f"{url} is no advisory: it lacks id or modified", url=url)
    return record


def read_batch(file: Path, url: str, start: int) -> list[Record | str]:
    """The next BATCH_RECORDS of an archive, a sentence in place of a bad one. Raises Malformed for a damaged one."""
    try:
        archive, names = _opened(file, file.stat().st_ino)
        return [_member(archive, name, url) for name in names[start : start + BATCH_RECORDS]]
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise Malformed(f"{url} is damaged ({error})", url=url) from error


@lru_cache(maxsize=1)
def _opened(file: Path, _inode: int) -> tuple[zipfile.ZipFile, list[str]]:
    """The batches of one archive are read one after the other: its long directory is read once a process."""
    archive = zipfile.ZipFile(file)
    return archive, [name for name in archive.namelist() if name.endswith(".json")]


def _member(archive: zipfile.ZipFile, name: str, url: str) -> Record | str:
    try:
        return parse_record(archive.read(name), f"{name} in {url}")
    except Malformed as error:
        return str(error)


def _moment(text: str, url: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Malformed(f"{url} has a line whose time is {text[:40]!r}", url=url) from error


def _moment_or_first(text: str, url: str) -> tuple[bool, datetime | None]:
    return (True, _moment(text, url)) if text else (False, None)


def chunks(ids: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Portions of at most BATCH_RECORDS."""
    for start in range(0, len(ids), BATCH_RECORDS):
        yield ids[start : start + BATCH_RECORDS]
