"""This tests zips made to hurt: each is refused with its reason, or read by the rule that `zips` states."""

from __future__ import annotations

import io
import stat
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.archives.limits import ArchiveLimits, ExpansionBudget
from securechain_ingest.archives.zip_directory import read_directory
from securechain_ingest.archives.zips import ZipListing, open_zip
from securechain_ingest.errors import ArchiveRefused

_LIMITS = ArchiveLimits(max_members=1000, max_expanded_bytes=4_000_000, max_member_bytes=1_000_000)
_END_BYTES = 22


def _zip(*members: tuple[str | zipfile.ZipInfo, bytes], comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # zipfile warns about duplicate names
        for name, data in members:
            archive.writestr(name, data, zipfile.ZIP_DEFLATED)
        archive.comment = comment
    return buffer.getvalue()


def _open(raw: bytes, limits: ArchiveLimits = _LIMITS) -> ZipListing:
    return open_zip(io.BytesIO(raw), limits)


def _refusal(act: Callable[[], object]) -> str:
    with pytest.raises(ArchiveRefused) as refused:
        act()
    return refused.value.reason


def _patched(raw: bytes, offset: int, layout: str, *numbers: int) -> bytes:
    patched = bytearray(raw)
    struct.pack_into(layout, patched, offset % len(raw), *numbers)
    return bytes(patched)


def _patched_entry(raw: bytes, offset: int, layout: str, number: int) -> bytes:
    """Change the first entry of the directory, at `offset` inside it."""
    return _patched(raw, raw.index(b"PK\x01\x02") + offset, layout, number)


def test_a_member_that_expands_beyond_the_limit_is_refused_without_expanding_it() -> None:
    bomb = _zip(("bomb", bytes(50_000_000)))
    lying = _patched_entry(bomb, 24, "<L", 1000)
    tracemalloc.start()
    assert _refusal(lambda: _open(bomb).read("bomb")) == "member_too_large"
    assert _refusal(lambda: _open(lying).read("bomb")) == "member_too_large"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_members_count_together_against_the_expanded_bytes() -> None:
    archive = _open(_zip(*((f"part{number}", bytes(900_000)) for number in range(5))))
    for number in range(4):
        assert len(archive.read(f"part{number}")) == 900_000
    assert _refusal(lambda: archive.read("part4")) == "member_too_large"


def test_a_member_that_is_not_as_its_directory_says_is_refused() -> None:
    raw = _zip(("a", b"contents"))
    assert _refusal(lambda: _open(_patched_entry(raw, 24, "<L", 7)).read("a")) == "damaged"
    assert _refusal(lambda: _open(_patched_entry(raw, 16, "<L", 7)).read("a")) == "damaged"
    assert _refusal(lambda: _open(_patched_entry(raw, 46, "<B", ord("b"))).read("b")) == "damaged"
    assert _refusal(lambda: _open(_patched(raw, 0, "<L", 0)).read("a")) == "damaged"
    assert _refusal(lambda: _open(_patched(raw, 31, "<Q", 0xFFFFFFFFFFFFFFFF)).read("a")) == "damaged"


def test_a_million_announced_members_are_refused_before_the_directory_is_read() -> None:
    small = _zip(("a", b""))
    assert _refusal(lambda: _open(_patched(small, -14, "<2H", 60_000, 60_000))) == "too_many_members"
    zip64 = b"PK\x06\x06" + struct.pack("<Q2H2L4Q", 44, 45, 45, 0, 0, 10**6, 10**6, 0, 0)
    locator = b"PK\x06\x07" + struct.pack("<LQL", 0, 0, 1)
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    assert _refusal(lambda: _open(zip64 + locator + end)) == "too_many_members"


def test_more_members_than_announced_are_refused() -> None:
    raw = _zip(("a", b""), ("b", b""))
    assert _refusal(lambda: _open(_patched(raw, -14, "<2H", 1, 1))) == "damaged"


def test_a_directory_beyond_its_limit_is_refused() -> None:
    size = 20 * 1024 * 1024
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 1, 1, size, 0, 0)
    assert _refusal(lambda: _open(bytes(size) + end)) == "directory_too_large"


def test_members_that_share_bytes_are_refused() -> None:
    raw = _zip(("kernel", bytes(1000)), ("quoted", bytes(1000)))
    second = raw.rindex(b"PK\x01\x02")
    assert _refusal(lambda: _open(_patched(raw, second + 42, "<L", 3))) == "overlapping_members"
    directory = raw.index(b"PK\x01\x02")
    assert _refusal(lambda: _open(_patched(raw, second + 42, "<L", directory))) == "overlapping_members"


def test_a_second_member_of_a_name_is_listed_once_and_read_only_if_it_is_the_same() -> None:
    same = _open(_zip(("a", b"one"), ("a", b"one")))
    assert same.names() == ("a",)
    assert same.read("a") == b"one"
    different = _open(_zip(("a", b"one"), ("a", b"two")))
    assert different.names() == ("a",)
    assert _refusal(lambda: different.read("a")) == "duplicate_names"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_no_files_and_are_not_read(kind: int) -> None:
    link = zipfile.ZipInfo("link")
    link.create_system = 3
    link.external_attr = (kind | 0o777) << 16
    archive = _open(_zip((link, b"/etc/passwd"), ("file", b"")))
    assert archive.names() == ("file",)
    assert _refusal(lambda: archive.read("link")) == "not_a_file"


@pytest.mark.parametrize("name", ["../up", "a/../../up", "/etc/passwd", "C:\\Windows\\win.ini", "..\\up", "\\root"])
def test_names_that_point_outside_are_left_out(name: str) -> None:
    archive = _open(_zip((name, b"x"), ("./inside", b"x"), ("dir\\file", b"x")))
    assert archive.names() == ("inside", "dir/file")


@pytest.mark.parametrize("name", ["a//b/c", "a/./b/c", "a\\.\\b\\\\c"])
def test_a_name_counts_as_what_it_unpacks_to(name: str) -> None:
    archive = _open(_zip((name, b"x"), ("d//", b""), ("d/./e//", b"")))
    assert archive.names() == ("a/b/c",)
    assert archive.read("a/b/c") == b"x"


def test_encryption_and_unknown_compression_are_refused_when_read() -> None:
    raw = _zip(("a", b"contents"))
    encrypted = _open(_patched_entry(raw, 8, "<H", 1))
    assert encrypted.names() == ("a",)
    assert _refusal(lambda: encrypted.read("a")) == "encrypted"
    assert _refusal(lambda: _open(_patched_entry(raw, 10, "<H", 99)).read("a")) == "unsupported_compression"
    assert _refusal(lambda: _open(_patched_entry(raw, 8, "<H", 0x2001))) == "encrypted"


def test_zip64_records_are_read() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("a", "w", force_zip64=True) as member:
        member.write(b"contents")
    raw = buffer.getvalue()
    entry = raw.index(b"PK\x01\x02")
    extra = struct.pack("<2H3Q", 1, 24, 8, 8, 0)
    directory = bytearray(raw[entry : raw.index(b"PK\x05\x06")] + extra)
    struct.pack_into("<2L", directory, 20, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<H", directory, 30, len(extra))
    struct.pack_into("<L", directory, 42, 0xFFFFFFFF)
    zip64 = b"PK\x06\x06" + struct.pack("<Q2H2L4Q", 44, 45, 45, 0, 0, 1, 1, len(directory), entry)
    locator = b"PK\x06\x07" + struct.pack("<LQL", 0, entry + len(directory), 1)
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    assert _open(raw[:entry] + directory + zip64 + locator + end).read("a") == b"contents"
    without_extra = bytes(directory).replace(struct.pack("<2H", 1, 24), struct.pack("<2H", 9, 24))
    assert _refusal(lambda: _open(raw[:entry] + without_extra + zip64 + locator + end)) == "damaged"
    astray = b"PK\x06\x07" + struct.pack("<LQL", 0, 2**60, 1)
    assert _refusal(lambda: _open(raw[:entry] + directory + zip64 + astray + end)) == "damaged"


def _with_a_program_in_front(raw: bytes) -> bytes:
    """Return the archive with offsets that count what is in front."""
    buffer = io.BytesIO(b"%PDF-1.4\n")
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a") as archive, zipfile.ZipFile(io.BytesIO(raw)) as other:
        for name in other.namelist():
            archive.writestr(name, other.read(name))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("padded", "reason"),
    [
        (lambda raw: b"#!/bin/sh\n" + raw, "polyglot"),
        (_with_a_program_in_front, "polyglot"),
        (lambda raw: raw + b"more", "trailing_data"),
        (lambda raw: raw + bytes(60_000), "trailing_data"),
        (lambda raw: raw + b"PK\x05\x06" + b"\xff" * 40, "trailing_data"),
        (lambda raw: b"#!/bin/sh\n" + raw + b"\n", "polyglot"),
    ],
)
def test_a_zip_behind_or_in_front_of_other_data_is_listed_and_not_read(
    padded: Callable[[bytes], bytes], reason: str
) -> None:
    archive = _open(padded(_zip(("a", b"contents"), ("b/c", b""))))

    assert archive.names() == ("a", "b/c")
    assert _refusal(lambda: archive.read("a")) == reason


def test_what_must_lie_exactly_where_it_says_is_refused_behind_other_data() -> None:
    raw = _zip(("a", b"contents"))

    assert _refusal(lambda: read_directory(io.BytesIO(b"#!/bin/sh\n" + raw), ExpansionBudget(_LIMITS))) == "polyglot"
    assert len(read_directory(io.BytesIO(raw), ExpansionBudget(_LIMITS))) == 1


def test_a_comment_may_look_like_an_end_record_without_being_taken_for_one() -> None:
    fake = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 9, 9, 9, 9, 99)
    assert _open(_zip(("a", b""), comment=b"signed " + fake + b" off")).names() == ("a",)
    assert _open(_zip(("a", b""), comment=b"x" * 65_535)).names() == ("a",)
    fitting = b"PK\x05\x06" + bytes(18)
    assert _refusal(lambda: _open(_zip(("a", b""), comment=fitting))) == "polyglot"


@pytest.mark.parametrize("kept", [0, 10, _END_BYTES, 60, -1, -30])
def test_a_cut_off_zip_is_refused(kept: int) -> None:
    assert _refusal(lambda: _open(_zip(("a", b"contents"))[:kept])) in {"not_a_zip", "trailing_data"}


def test_a_zip_that_lost_its_beginning_is_refused() -> None:
    assert _refusal(lambda: _open(_zip(("a", b"contents"))[20:])) == "truncated"


def test_an_empty_zip_has_no_members() -> None:
    assert _open(_zip()).members() == []


@given(
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 40),
)
def test_whatever_is_damaged_the_answer_is_a_listing_or_a_refusal(flips: list[tuple[int, int]], cut: int) -> None:
    raw = bytearray(_zip(("pkg/__init__.py", b"print()" * 20), ("pkg-1.dist-info/METADATA", b"Name: pkg"), ("d/", b"")))
    for position, value in flips:
        raw[position % len(raw)] = value
    try:
        archive = _open(bytes(raw[: len(raw) - cut]))
        for name in archive.names():
            assert len(archive.read(name)) <= _LIMITS.max_member_bytes
    except ArchiveRefused as refused:
        assert refused.reason  # noqa: PT017  # either outcome is right
