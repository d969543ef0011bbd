"""Documents that never change are kept on disk: bounded, shared by processes, and none that is damaged is believed."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import Callable
from pathlib import Path

import anyio.to_thread
import pytest
from structlog.testing import capture_logs

from securechain_ingest.registries.kit import kept_documents
from securechain_ingest.registries.kit.kept_documents import KeptDocument, KeptDocuments

URL = "http://registry.made/a/1.0/a-1.0.pom"
DOCUMENT = KeptDocument(b"<project>\n<version>1.0</version>\n</project>" * 20, "Mon, 05 May 2025 10:00:00 GMT")
LIMIT_BYTES = 16 * 1024 * 1024


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def on_disk(folder: Path) -> int:
    return sum(max(path.stat().st_blocks * 512, path.stat().st_size) for path in files(folder))


def grow_older(folder: Path) -> None:
    """Let a second pass for all files: the clock of a file system may be too coarse for a test."""
    for path in files(folder):
        os.utime(path, ns=(0, path.stat().st_mtime_ns - 10**9))


def leave_half_written(folder: Path) -> None:
    """Leave what a process that was killed long ago while it wrote has left."""
    for shard in folder.iterdir():
        (shard / "half-written").write_bytes(bytes(50_000))
        os.utime(shard / "half-written", (0, 0))


@pytest.fixture
def kept(tmp_path: Path) -> KeptDocuments:
    return KeptDocuments(tmp_path, LIMIT_BYTES)


@pytest.mark.parametrize("document", [DOCUMENT, KeptDocument(b"", None), KeptDocument(bytes(range(256)), "never")])
async def test_a_document_is_there_for_every_process_that_shares_the_folder(
    kept: KeptDocuments, tmp_path: Path, document: KeptDocument
) -> None:
    assert await kept.get(URL) is None
    await kept.put(URL, document)
    assert await kept.get(URL) == document
    assert await KeptDocuments(tmp_path, LIMIT_BYTES).get(URL) == document
    assert await kept.get(f"{URL}?") is None


async def test_the_same_document_may_be_kept_by_several_at_once(tmp_path: Path) -> None:
    sharing = [KeptDocuments(tmp_path, LIMIT_BYTES) for _ in range(8)]
    await asyncio.gather(*(each.put(URL, DOCUMENT) for each in sharing for _ in range(8)))
    assert len(files(tmp_path)) == 1
    assert await sharing[0].get(URL) == DOCUMENT


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _of_another_url(path: Path) -> None:
    path.write_bytes(gzip.compress(b'["http://registry.made/b.pom",null]\n' + DOCUMENT.body))


def _of_another_release(path: Path) -> None:
    path.write_bytes(gzip.compress(b'{"url":1}\n'))


def _no_head(path: Path) -> None:
    path.write_bytes(gzip.compress(DOCUMENT.body))


def _bomb(path: Path) -> None:
    path.write_bytes(gzip.compress(b'["' + URL.encode() + b'",null]\n' + bytes(100_000)))


@pytest.mark.parametrize("damage", [_cut, _flipped, _emptied, _of_another_url, _of_another_release, _no_head, _bomb])
async def test_a_damaged_file_is_thrown_away(
    kept: KeptDocuments, tmp_path: Path, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_documents, "MAX_BYTES", 2000)
    monkeypatch.setattr(kept_documents, "_HEAD_BYTES", 1000)
    await kept.put(URL, DOCUMENT)
    [path] = files(tmp_path)
    damage(path)
    with capture_logs() as lines:
        assert await kept.get(URL) is None
    assert files(tmp_path) == []
    assert [line["event"] for line in lines] == ["kept_document_damaged"]
    await kept.put(URL, DOCUMENT)
    assert await kept.get(URL) == DOCUMENT


async def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    limit_bytes = 16 * 40_000
    kept = KeptDocuments(tmp_path, limit_bytes)
    urls = [f"{URL}?{number}" for number in range(400)]
    for url in urls:
        await kept.put(url, DOCUMENT)
        assert await kept.get(urls[0]) == DOCUMENT, "it is used all the time"
        assert on_disk(tmp_path) <= limit_bytes
        grow_older(tmp_path)
    assert await kept.get(urls[-1]) == DOCUMENT
    assert await kept.get(urls[1]) is None


async def test_several_processes_keep_the_bound_together(tmp_path: Path) -> None:
    limit_bytes = 16 * 80_000
    sharing = [KeptDocuments(tmp_path, limit_bytes) for _ in range(3)]
    for number in range(600):
        await sharing[number % 3].put(f"{URL}?{number}", DOCUMENT)
    assert on_disk(tmp_path) <= limit_bytes * 1.2


async def test_a_folder_that_is_full_from_before_is_made_smaller(tmp_path: Path) -> None:
    kept = KeptDocuments(tmp_path, LIMIT_BYTES)
    for number in range(100):
        await kept.put(f"{URL}?{number}", DOCUMENT)
    leave_half_written(tmp_path)
    smaller = KeptDocuments(tmp_path, 16 * 20_000)
    for number in range(100, 200):
        await smaller.put(f"{URL}?{number}", DOCUMENT)
    assert on_disk(tmp_path) <= 16 * 20_000
    assert "half-written" not in {path.name for path in files(tmp_path)}


async def test_a_document_beyond_the_limits_is_not_kept(
    kept: KeptDocuments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_documents, "MAX_BYTES", 10)
    await kept.put(URL, DOCUMENT)
    assert files(tmp_path) == []


async def test_a_disk_that_takes_nothing_costs_no_more_than_a_line(tmp_path: Path) -> None:
    occupied = tmp_path / "documents"
    occupied.write_text("no folder")
    kept = KeptDocuments(occupied, LIMIT_BYTES)
    with capture_logs() as lines:
        for number in range(3):
            await kept.put(f"{URL}?{number}", DOCUMENT)
            assert await kept.get(f"{URL}?{number}") is None
    assert [line["event"] for line in lines] == ["documents_not_kept"]
    assert str(occupied) in lines[0]["folder"]


async def test_whoever_is_cancelled_has_its_document_kept_all_the_same(kept: KeptDocuments) -> None:
    putting = asyncio.create_task(kept.put(URL, DOCUMENT))
    await asyncio.sleep(0)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    # What is asked for later is answered later, too.
    assert await kept.get(URL) == DOCUMENT


async def test_many_documents_at_once_are_written_and_read_by_few_visits_to_a_thread(
    kept: KeptDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = [f"{URL}?{number}" for number in range(100)]
    visits: list[object] = []
    run_sync = anyio.to_thread.run_sync

    async def counted(work: Callable[[], object]) -> object:
        visits.append(work)
        return await run_sync(work)

    monkeypatch.setattr(anyio.to_thread, "run_sync", counted)
    await asyncio.gather(*(kept.put(url, DOCUMENT) for url in urls))
    assert await asyncio.gather(*map(kept.get, urls)) == [DOCUMENT] * 100
    assert len(visits) == 4
