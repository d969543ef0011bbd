"""This module reads the OSV bucket: which advisories have changed, single advisories, and all advisories of an
ecosystem (registries.md, section 8).

An answer of a child process holds at most _BATCH_BYTES, or one record of at most MAX_RECORD_BYTES.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast
from urllib.parse import quote

import anyio.to_thread
import orjson

from securechain_ingest.errors import Malformed

if TYPE_CHECKING:
    from securechain_ingest.archives.pool import ParserPool
    from securechain_ingest.http.client import HttpClient

Record: TypeAlias = dict[str, Any]

Batch: TypeAlias = list[tuple[str, Record | str]]
"""It has ids, each with its record or with a sentence that says why the record cannot be read."""

WITHOUT_ECOSYSTEM: Final = "[EMPTY]"
"""Records that lose their ecosystem go to this folder. Most of them are withdrawn."""

EVERYWHERE: Final = "*"
"""This stands for all folders. Their list has some 100 MB."""

MAX_SENTENCES: Final = 10

BATCH_RECORDS: Final = 500

MAX_RECORD_BYTES: Final = 4 * 1024 * 1024
"""This is more than ten times the size of the largest record in the supported ecosystems."""

_BATCH_BYTES: Final = 2 * 1024 * 1024
_ZIP_BYTES: Final = 4 * 1024 * 1024 * 1024
_MAX_MEMBERS: Final = 2_000_000
_MAX_EXPANDED_BYTES: Final = 32 * 1024 * 1024 * 1024
_PARSE_TIMEOUT_S: Final = 600.0
_MAX_ID_LENGTH: Final = 255
_MAX_DEPTH: Final = 90
"""This is a little less than MongoDB allows."""

_MEMBER_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError)
"""Reading a member raises these errors if it is damaged, encrypted or packed in an unknown way."""


@dataclass(frozen=True, slots=True)
class Modified:
    """It says what has changed in one ecosystem."""

    ids: tuple[str, ...]
    """The ids are in the order of the changes, with the newest change first."""
    newest: str
    """This is the time of the newest change of all. It is empty if there is none."""
    validator: str | None
    unreadable: tuple[str, ...] = ()
    """It has a sentence for each line that is not a time and an id. If there are many such lines, it has the first
    ones."""


class OsvBucket:
    """It reads the bucket. Every method raises UpstreamError, ArchiveRefused or ParserLost."""

    def __init__(self, http: HttpClient, pool: ParserPool, folder: Path) -> None:
        """`folder` holds an archive while the archive is read."""
        self._http = http
        self._pool = pool
        self._folder = folder

    async def modified(self, ecosystem: str, since: str, validator: str | None) -> Modified | None:
        """Return the records that changed at `since` (ISO 8601) or later. It is None if nothing has changed since the
        validator.

        For EVERYWHERE these are the records without an ecosystem, and they come from the list of all records.
        """
        prefix, path = "", f"{_folder(ecosystem)}/modified_id.csv"
        if ecosystem == EVERYWHERE:
            prefix, path = f"{WITHOUT_ECOSYSTEM}/", "modified_id.csv"
        url = self._http.url("osv", path)
        response = await self._http.get(url, validator=validator)
        if response.not_modified:
            return None
        ids, newest, unreadable = await self._pool.parse_document(parse_modified, response.body, since, prefix, url)
        return Modified(ids, newest, response.validator, unreadable)

    async def record(self, ecosystem: str, identifier: str) -> Record:
        """Return one advisory. It raises Malformed if the answer is no advisory or another advisory."""
        url = self._http.url("osv", f"{_folder(ecosystem)}/{quote(identifier, safe='')}.json")
        return await self._pool.parse_document(parse_record, (await self._http.get(url)).body, identifier, url)

    @asynccontextmanager
    async def everything(self, ecosystem: str) -> AsyncIterator[AsyncIterator[Batch]]:
        """Yield all advisories of an ecosystem in batches, each with its id. If an advisory cannot be read, a sentence
        that says why stands in its place."""
        url = self._http.url("osv", f"{_folder(ecosystem)}/all.zip")
        with NamedTemporaryFile(dir=self._folder, suffix=".zip") as copy:
            await self._http.download(url, cast(io.BufferedRandom, copy.file), limit_bytes=_ZIP_BYTES)
            await anyio.to_thread.run_sync(copy.flush)
            yield self._batches(Path(copy.name), url)

    async def _batches(self, file: Path, url: str) -> AsyncIterator[Batch]:
        read = partial(self._pool.run, read_batch, file, url, timeout_s=_PARSE_TIMEOUT_S)
        start = 0
        while batch := await read(start):
            yield batch
            start += len(batch)


def _folder(ecosystem: str) -> str:
    return quote(ecosystem, safe="[]")


_STARTS_WITH_A_YEAR = re.compile(rb"[0-9]{4}-[^,]*,.*\n").fullmatch


def parse_modified(body: bytes, since: str, prefix: str, url: str) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """Return the ids (after `prefix`) that changed at `since` or later, the newest time, and what is wrong with other
    lines.

    It raises Malformed for a text without a single good line, and for a text that is cut off.
    """
    ids: dict[str, None] = {}
    newest: tuple[datetime, str] | None = None
    limit = moment(since) if since else None
    unreadable: list[str] = []
    is_read = False
    within = f",{prefix}".encode()
    for line in io.BytesIO(body):
        if within not in line and _STARTS_WITH_A_YEAR(line):
            # Nearly all lines of the list of all records are like this one: good, but not wanted.
            is_read = True
            continue
        text = line.decode("utf-8", "replace").strip()
        changed, comma, identifier = text.partition(",")
        try:
            at = moment(changed)
        except ValueError:
            comma = ""
        if not comma or not identifier or "," in identifier or len(identifier) > _MAX_ID_LENGTH + len(prefix):
            if text and len(unreadable) < MAX_SENTENCES:
                unreadable.append(f"{url} has a line that is no time and id: {text[:80]!r}")
            if text and not line.endswith(b"\n"):
                raise Malformed(f"{url} is cut off: it ends in {text[:80]!r}", url=url)
            continue
        is_read = True
        if not identifier.startswith(prefix):
            continue
        newest = max(newest or (at, changed), (at, changed))
        if limit is not None and at < limit:
            break
        ids[identifier.removeprefix(prefix)] = None
    if unreadable and not is_read:
        raise Malformed(unreadable[0], url=url)
    return tuple(ids), newest[1] if newest else "", tuple(unreadable)


def parse_record(body: bytes, identifier: str, url: str) -> Record:
    """Return an advisory that has the mandatory fields and that id. It raises Malformed for any other text, and for one
    that is beyond a limit."""
    if len(body) > MAX_RECORD_BYTES:
        raise Malformed(f"{url} has {len(body)} bytes, more than {MAX_RECORD_BYTES}", url=url)
    try:
        record = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"{url} is not JSON ({error})", url=url) from error
    if not isinstance(record, dict) or not all(_is_text(record.get(key)) for key in ("id", "modified")):
        raise Malformed(f"{url} is no advisory: it lacks id or modified", url=url)
    if body.count(b"[") + body.count(b"{") > _MAX_DEPTH and _is_deeper(record, _MAX_DEPTH):
        raise Malformed(f"{url} is nested more than {_MAX_DEPTH} deep", url=url)
    if record["id"] != identifier or len(identifier) > _MAX_ID_LENGTH or not identifier.isprintable():
        raise Malformed(f"{url} has another id: {record['id'][:80]!r}", url=url)
    return record


def _is_deeper(value: Any, depth: int) -> bool:
    """Return whether more than `depth` lists and objects are nested in each other."""
    level = [value]
    for _ in range(depth + 1):
        inner = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
        if not level:
            return False
    return True


def read_batch(file: Path, url: str, start: int) -> Batch:
    """Return the next records of an archive, at most BATCH_RECORDS. A sentence stands in place of a bad record.

    It raises Malformed for an archive that is damaged or beyond a limit.
    """
    try:
        archive, names = _opened(file, file.stat().st_ino)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise Malformed(f"{url} is damaged ({error})", url=url) from error
    if len(names) > _MAX_MEMBERS or sum(map(_expanded, archive.infolist())) > _MAX_EXPANDED_BYTES:
        raise Malformed(f"{url} has too many or too large members", url=url)
    batch: Batch = []
    size = 0
    for name in names[start : start + BATCH_RECORDS]:
        size += min(archive.getinfo(name).file_size, MAX_RECORD_BYTES)
        if batch and size > _BATCH_BYTES:
            break
        batch.append((_identifier(name), _member(archive, name, url)))
    return batch


@lru_cache(maxsize=1)
def _opened(file: Path, _inode: int) -> tuple[zipfile.ZipFile, list[str]]:
    """Open an archive. Its batches are read one after the other, so a process reads its long directory only once."""
    archive = zipfile.ZipFile(file)
    return archive, list(dict.fromkeys(name for name in archive.namelist() if name.endswith(".json")))


def _expanded(member: zipfile.ZipInfo) -> int:
    return member.file_size


def _identifier(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".json")


def _member(archive: zipfile.ZipFile, name: str, url: str) -> Record | str:
    try:
        with archive.open(name) as member:
            # What the directory says of its size need not be true.
            return parse_record(member.read(MAX_RECORD_BYTES + 1), _identifier(name), f"{name} in {url}")
    except Malformed as error:
        return str(error)
    except _MEMBER_ERRORS as error:
        return f"{name} in {url} cannot be unpacked ({error})"


def moment(text: str) -> datetime:
    """Return a time of the bucket's lists. A time without a zone is taken as UTC. It raises ValueError for any other
    text."""
    at = datetime.fromisoformat(text)
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(text) from error


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def chunks(ids: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield portions of at most BATCH_RECORDS ids."""
    for start in range(0, len(ids), BATCH_RECORDS):
        yield ids[start : start + BATCH_RECORDS]
