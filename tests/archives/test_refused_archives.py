"""An archive that ran into a limit of ours is not parsed again; one whose parser died of anything else is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest
from redis.asyncio import Redis

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import ArchiveReader
from securechain_ingest.errors import ArchiveRefused, ParserLost
from securechain_ingest.http.client import Range
from securechain_ingest.settings import ArchiveSettings
from securechain_ingest.worker.refused_archives import RefusedArchives
from tests.archives.parsers import count_for_ever, damaged, die, fill_memory
from tests.waiting import PATIENCE_S

KEY = "q-refused-archives"
URL = "http://registry.test/a.whl"


@dataclass
class ArchiveServer:
    """This is a server of one archive; it counts how often it was asked."""

    requests: list[str] = field(default_factory=list)

    async def get_range(self, url: str, first: int, last: int) -> Range | None:
        self.requests.append(url)
        return None

    async def download(self, url: str, file: BinaryIO, *, limit_bytes: int) -> int:
        self.requests.append(url)
        return file.write(b"archive")


@pytest.fixture
async def pool() -> AsyncIterator[ParserPool]:
    async with ParserPool(
        ArchiveSettings(processes=1, cpu_s=1, timeout_s=PATIENCE_S, memory_bytes=512 * 1024**2)
    ) as pool:
        yield pool


@pytest.fixture
def served() -> ArchiveServer:
    return ArchiveServer()


@pytest.fixture
def reader(redis: Redis, pool: ParserPool, served: ArchiveServer, tmp_path: Path) -> ArchiveReader:
    return ArchiveReader(served, pool, tmp_path, 1000, RefusedArchives(redis, KEY, 60)).of("pypi 1")


async def test_an_archive_that_takes_too_much_memory_is_asked_for_once(
    reader: ArchiveReader, served: ArchiveServer
) -> None:
    for _ in range(3):
        with pytest.raises(ArchiveRefused, match="memory") as refused:
            await reader.parse_whole(URL, fill_memory, digest="sha256:1")
        assert refused.value.reason == "memory"
    assert len(served.requests) == 1
    with pytest.raises(ArchiveRefused):
        await reader.parse_ranged(URL, None, fill_memory, window_bytes=10, digest="sha256:1")
    assert len(served.requests) == 1


async def test_an_archive_that_takes_too_much_processor_time_is_asked_for_once(
    reader: ArchiveReader, served: ArchiveServer
) -> None:
    for _ in range(2):
        with pytest.raises(ArchiveRefused, match="processor time"):
            await reader.parse_ranged(URL, None, count_for_ever, window_bytes=10)
    assert len(served.requests) == 2  # In parts, which the server does not know, and whole.


@pytest.mark.parametrize("what", ["URL", "digest", "parser"])
async def test_another_archive_and_another_parser_have_their_own_try(
    reader: ArchiveReader, served: ArchiveServer, what: str
) -> None:
    with pytest.raises(ArchiveRefused):
        await reader.parse_whole(URL, fill_memory, digest="sha256:1")
    other = reader.of("pypi 2") if what == "parser" else reader
    url = f"{URL}?" if what == "URL" else URL
    assert await other.parse_whole(url, bool, digest="sha256:2" if what == "digest" else "sha256:1")
    assert len(served.requests) == 2


async def test_a_child_that_dies_of_anything_else_is_not_held_against_its_archive(
    reader: ArchiveReader, redis: Redis, served: ArchiveServer
) -> None:
    for _ in range(2):
        with pytest.raises(ParserLost, match="SIGABRT"):
            await reader.parse_whole(URL, die)
    assert len(served.requests) == 2
    assert not await redis.exists(KEY)


async def test_a_damaged_archive_is_not_remembered(reader: ArchiveReader, redis: Redis) -> None:
    with pytest.raises(ArchiveRefused):
        await reader.parse_whole(URL, damaged)
    assert not await redis.exists(KEY)


async def test_what_is_remembered_is_forgotten_after_its_time_and_bounded(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    refusals = RefusedArchives(redis, KEY, 60, clock=lambda: now[0])
    refused = ArchiveRefused("too slow", reason="cpu_time")
    await refusals.remember("a", refused)
    assert await refusals.recall("a") == "cpu_time"
    now[0] += 61
    assert await refusals.recall("a") is None
    monkeypatch.setattr("securechain_ingest.worker.refused_archives.MAX_REMEMBERED", 2)
    for number, archive in enumerate("bcd"):
        now[0] += number
        await refusals.remember(archive, refused)
    assert [await refusals.recall(archive) for archive in "abcd"] == [None, None, "cpu_time", "cpu_time"]
    assert await redis.zcard(KEY) == 2
