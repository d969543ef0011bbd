"""This tests what is fetched of a remote archive, over a source that keeps account; HTTP itself is tested with the
client.
"""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import MAX_RANGES, ArchiveReader, tail_window
from securechain_ingest.errors import ArchiveRefused, ParserLost, TooLarge, Unavailable
from securechain_ingest.settings import ArchiveSettings
from tests.archives import parsers
from tests.waiting import PATIENCE_S

_CHECKOUT = Path(__file__).resolve().parents[2]
_URL = "http://files.test/pkg-1-py3-none-any.whl"


@dataclass(frozen=True, slots=True)
class _Range:
    data: bytes
    first: int
    size: int


@dataclass(slots=True)
class _RangeSource:
    body: bytes
    honours_ranges: bool = True
    asked: list[tuple[int, int]] = field(default_factory=list)
    downloads: int = 0

    async def get_range(self, url: str, first: int, last: int) -> _Range | None:
        self.asked.append((first, last))
        return _Range(self.body[first : last + 1], first, len(self.body)) if self.honours_ranges else None

    async def download(self, url: str, file: BinaryIO, *, limit_bytes: int) -> int:
        self.downloads += 1
        if len(self.body) > limit_bytes:
            raise TooLarge(f"more than {limit_bytes} bytes", url=url)
        return file.write(self.body)

    @property
    def ranged_bytes(self) -> int:
        return sum(last - first + 1 for first, last in self.asked)


@pytest.fixture
async def pool(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ParserPool]:
    monkeypatch.chdir(_CHECKOUT)  # where children find tests.archives.parsers
    async with ParserPool(ArchiveSettings(processes=1, timeout_s=PATIENCE_S)) as pool:
        yield pool


def _wheel(payload_bytes: int, files: int = 1) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("FIRST", b"at the beginning")
        for number in range(files):
            archive.writestr(f"pkg/module{number}.py", bytes(payload_bytes // files))
        archive.writestr("pkg-1.dist-info/METADATA", b"Name: pkg")
    return buffer.getvalue()


def _reader(
    source: _RangeSource, pool: ParserPool, spool_dir: Path, max_artifact_bytes: int = 10_000_000
) -> ArchiveReader:
    return ArchiveReader(source, pool, spool_dir, max_artifact_bytes)


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.mark.parametrize("payload_bytes", [1_000_000, 1_500_000, 5_000_000])
async def test_the_names_of_a_large_wheel_move_at_most_a_twentieth_of_it(
    pool: ParserPool, tmp_path: Path, payload_bytes: int
) -> None:
    source = _RangeSource(_wheel(payload_bytes, files=150))
    size = len(source.body)
    reader = _reader(source, pool, tmp_path)
    names = await reader.parse_ranged(_URL, size, parsers.zip_names, window_bytes=tail_window(size))
    assert len(names) == 152
    assert len(source.asked) == 1
    assert source.ranged_bytes <= size / 20


async def test_a_small_wheel_is_read_by_one_request(pool: ParserPool, tmp_path: Path) -> None:
    source = _RangeSource(_wheel(10_000))
    size = len(source.body)
    parse = functools.partial(parsers.zip_member, "FIRST")
    assert await _reader(source, pool, tmp_path).parse_ranged(_URL, size, parse, window_bytes=tail_window(size))
    assert source.asked == [(0, size - 1)]


async def test_a_directory_longer_than_the_window_costs_one_more_range(pool: ParserPool, tmp_path: Path) -> None:
    source = _RangeSource(_wheel(100_000, files=100))
    size = len(source.body)
    names = await _reader(source, pool, tmp_path).parse_ranged(_URL, size, parsers.zip_names, window_bytes=1000)
    assert len(names) == 102
    assert len(source.asked) == 2
    assert source.asked[1][1] == source.asked[0][0] - 1
    assert source.downloads == 0


async def test_a_member_far_from_the_end_costs_one_range_of_its_size(pool: ParserPool, tmp_path: Path) -> None:
    source = _RangeSource(_wheel(1_000_000))
    parse = functools.partial(parsers.zip_member, "FIRST")
    contents = await _reader(source, pool, tmp_path).parse_ranged(_URL, len(source.body), parse, window_bytes=10_000)
    assert contents == b"at the beginning"
    assert len(source.asked) == 2
    assert source.ranged_bytes < 10_100


async def test_a_parser_that_wants_too_many_pieces_gets_the_whole(pool: ParserPool, tmp_path: Path) -> None:
    source = _RangeSource(bytes(1000))
    reader = _reader(source, pool, tmp_path)
    assert await reader.parse_ranged(_URL, 1000, parsers.every_byte_backwards, window_bytes=10) == 1000
    assert (len(source.asked), source.downloads) == (MAX_RANGES, 1)


async def test_a_small_archive_of_unknown_size_is_read_by_one_request(pool: ParserPool, tmp_path: Path) -> None:
    source = _RangeSource(_wheel(1000))
    assert "FIRST" in await _reader(source, pool, tmp_path).parse_ranged(
        _URL, None, parsers.zip_names, window_bytes=5000
    )
    assert (source.asked, source.downloads) == ([(0, 4999)], 0)


async def test_the_names_of_a_large_archive_of_unknown_size_cost_its_two_ends(pool: ParserPool, tmp_path: Path) -> None:
    source = _RangeSource(_wheel(1_000_000))
    size = len(source.body)
    assert "FIRST" in await _reader(source, pool, tmp_path).parse_ranged(
        _URL, None, parsers.zip_names, window_bytes=5000
    )
    assert (source.asked, source.downloads) == ([(0, 4999), (size - 5000, size - 1)], 0)


async def test_the_ends_of_an_archive_that_meet_are_not_fetched_twice(pool: ParserPool, tmp_path: Path) -> None:
    source = _RangeSource(_wheel(5000))
    size = len(source.body)
    assert "FIRST" in await _reader(source, pool, tmp_path).parse_ranged(
        _URL, None, parsers.zip_names, window_bytes=4000
    )
    assert source.asked == [(0, 3999), (4000, size - 1)]


async def test_without_ranges_or_the_right_size_the_whole_is_downloaded(pool: ParserPool, tmp_path: Path) -> None:
    whole = _wheel(1000)
    for source, size in (
        (_RangeSource(whole, honours_ranges=False), len(whole)),
        (_RangeSource(whole, honours_ranges=False), None),
        (_RangeSource(whole), len(whole) - 500),
    ):
        reader = _reader(source, pool, tmp_path)
        assert "FIRST" in await reader.parse_ranged(_URL, size, parsers.zip_names, window_bytes=500)
        assert source.downloads == 1


async def test_a_download_has_a_limit(pool: ParserPool, tmp_path: Path) -> None:
    reader = _reader(_RangeSource(_wheel(20_000)), pool, tmp_path, max_artifact_bytes=10_000)
    with pytest.raises(TooLarge, match="10000"):
        await reader.parse_whole(_URL, parsers.zip_names)
    with pytest.raises(TooLarge, match="5000"):
        await reader.parse_whole(_URL, parsers.zip_names, limit_bytes=5000)
    assert await reader.parse_whole(_URL, parsers.zip_names, limit_bytes=30_000)


async def test_a_refusal_or_a_lost_parser_is_told_and_leaves_nothing_behind(pool: ParserPool, tmp_path: Path) -> None:
    source = _RangeSource(b"<html>moved</html>" * 10)
    reader = _reader(source, pool, tmp_path)
    with pytest.raises(ArchiveRefused) as refused:
        await reader.parse_ranged(_URL, len(source.body), parsers.zip_names, window_bytes=100)
    assert refused.value.reason == "not_a_zip"
    with pytest.raises(ParserLost):
        await reader.parse_whole(_URL, parsers.die)
    assert _files(tmp_path) == []


@pytest.mark.parametrize("payload_bytes", [1_000, 900_000])
@pytest.mark.parametrize("honours_ranges", [True, False])
async def test_an_archive_that_is_not_what_its_registry_tells_of_cannot_be_read_now(
    pool: ParserPool, tmp_path: Path, payload_bytes: int, honours_ranges: bool
) -> None:
    body = _wheel(payload_bytes)
    reader, digest = _reader(_RangeSource(body, honours_ranges), pool, tmp_path), hashlib.sha256(body).hexdigest()

    assert "FIRST" in (await reader.parse_whole(_URL, parsers.zip_names, sha256=digest))
    assert "FIRST" in (await reader.parse_ranged(_URL, None, parsers.zip_names, window_bytes=65_536, sha256=digest))
    other = "0" * 64
    with pytest.raises(Unavailable, match=r"pkg-1-py3-none-any\.whl is not the archive"):
        await reader.parse_whole(_URL, parsers.zip_names, sha256=other)
    if payload_bytes < 65_536 or not honours_ranges:
        with pytest.raises(Unavailable):
            await reader.parse_ranged(_URL, None, parsers.zip_names, window_bytes=65_536, sha256=other)
    assert _files(tmp_path) == []
