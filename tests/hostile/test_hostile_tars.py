"""This tests tars made to hurt: each is refused with its reason, or read by the rule that `tars` states."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable, Iterable
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.tars import iterate_tar
from securechain_ingest.errors import ArchiveRefused

_LIMITS = ArchiveLimits(max_members=1000, max_expanded_bytes=4_000_000, max_member_bytes=1_000_000)
_BLOCK = 512


def _info(
    name: str, kind: bytes = tarfile.REGTYPE, *, linkname: str = "", pax: dict[str, str] | None = None
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = linkname
    info.pax_headers = pax or {}
    return info


def _tar(*members: tuple[str | tarfile.TarInfo, bytes], layout: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=layout) as archive:
        for member, data in members:
            info = _info(member) if isinstance(member, str) else member
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _list(raw: bytes, limits: ArchiveLimits = _LIMITS) -> list[tuple[str, bool]]:
    return [(member.name, member.is_file) for member in iterate_tar(io.BytesIO(raw), limits)]


def _contents(raw: bytes) -> dict[str, bytes]:
    return {member.name: member.read() for member in iterate_tar(io.BytesIO(raw), _LIMITS) if member.is_file}


def _refusal(act: Callable[[], object]) -> str:
    with pytest.raises(ArchiveRefused) as refused:
        act()
    return refused.value.reason


def _with_field(raw: bytes, offset: int, value: bytes) -> bytes:
    """Change the first header and make its checksum right again."""
    header = bytearray(raw[:_BLOCK])
    header[offset : offset + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + raw[_BLOCK:]


class _Endless(io.RawIOBase):
    """This gives the same bytes for ever; it counts how much was read."""

    def __init__(self, head: bytes, again: bytes) -> None:
        super().__init__()
        self._pending = head
        self._again = again
        self.given = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = 1 if size is None or size < 0 else size
        while len(self._pending) < wanted:
            self._pending += self._again
        data, self._pending = self._pending[:wanted], self._pending[wanted:]
        self.given += len(data)
        return data


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_plain_gzip_bzip2_and_xz_are_read_alike(pack: Callable[[bytes], bytes]) -> None:
    raw = pack(_tar((_info("pkg", tarfile.DIRTYPE), b""), ("pkg/a.py", b"a" * 1000), ("pkg/b.py", b"")))
    assert _list(raw) == [("pkg", False), ("pkg/a.py", True), ("pkg/b.py", True)]
    assert _contents(raw) == {"pkg/a.py": b"a" * 1000, "pkg/b.py": b""}


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_what_expands_beyond_the_limit_is_refused_even_if_nobody_reads_it(pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(_tar(("bomb", bytes(5_000_000))))
    assert len(bomb) < 10_000
    assert _refusal(lambda: _list(bomb)) == "expanded_too_large"


def test_an_endless_gzip_is_refused_at_the_limit() -> None:
    member = gzip.compress(_tar(("a", bytes(100_000)))[: 197 * _BLOCK])
    stream = _Endless(member, member)
    assert _refusal(lambda: list(iterate_tar(cast(BinaryIO, stream), _LIMITS))) == "expanded_too_large"
    assert stream.given < 1_000_000


def test_a_claimed_size_is_no_reason_to_believe_it() -> None:
    claims = _with_field(_tar(("a", b"x")), 124, b"77777777777\0")
    assert _refusal(lambda: _list(claims)) == "truncated"
    assert _refusal(lambda: _contents(claims)) == "member_too_large"
    binary = _with_field(_tar(("a", b"x")), 124, b"\x80" + b"\x7f" * 11)
    assert _refusal(lambda: _list(binary)) == "truncated"
    assert _refusal(lambda: _list(_with_field(_tar(("a", b"x")), 124, b"\xff" * 12))) == "damaged"
    assert _refusal(lambda: _list(_with_field(_tar(("a", b"x")), 124, b"-0000000001\0"))) == "damaged"
    pax = _tar((_info("a", pax={"size": "99999999999"}), b"x"))
    assert _refusal(lambda: _list(pax)) == "truncated"


def test_too_many_members_are_refused() -> None:
    few = ArchiveLimits(max_members=3, max_expanded_bytes=10**6)
    assert len(_list(_tar(*((f"{number}", b"") for number in range(3))), few)) == 3
    assert _refusal(lambda: _list(_tar(*((f"{number}", b"") for number in range(4))), few)) == "too_many_members"


def test_extension_headers_count_as_members_and_have_a_limit() -> None:
    extension = _with_field(_tar((_info("x" * 300), b""), layout=tarfile.GNU_FORMAT), 156, b"K")[: 2 * _BLOCK]
    assert _refusal(lambda: _list(extension * 1001)) == "too_many_members"
    huge = _with_field(_tar(("a", b"x")), 156, b"L")
    assert _refusal(lambda: _list(_with_field(huge, 124, b"00010000000\0"))) == "damaged"
    assert _refusal(lambda: _list(extension[:_BLOCK])) == "truncated"


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused(kind: bytes) -> None:
    assert _refusal(lambda: _list(_tar((_info("dev", kind), b"")))) == "device"


def test_sparse_files_are_refused() -> None:
    assert _refusal(lambda: _list(_with_field(_tar(("a", b"x")), 156, b"S"))) == "sparse"
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "99999999999"}
    assert _refusal(lambda: _list(_tar((_info("a", pax=pax), b"x")))) == "sparse"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_are_listed_and_never_read(kind: bytes) -> None:
    raw = _tar((_info("link", kind, linkname="/etc/passwd"), b""), ("after", b"x"))
    assert _list(raw) == [("link", False), ("after", True)]
    assert _list(_with_field(raw, 124, b"00000001000\0")) == [("link", False), ("after", True)]
    assert _refusal(lambda: next(iterate_tar(io.BytesIO(raw), _LIMITS)).read()) == "not_a_file"


@pytest.mark.parametrize("name", ["../up", "a/../../up", "/etc/passwd", "..\\up", ".."])
def test_names_that_point_outside_are_left_out(name: str) -> None:
    raw = _tar((name, b"x" * 600), ("./inside", b"y"))
    assert _contents(raw) == {"inside": b"y"}


@pytest.mark.parametrize("name", ["a//b/c", "a/./b/c", "./a/.//b///c", "a/b/././c"])
def test_a_name_counts_as_what_it_unpacks_to(name: str) -> None:
    assert _contents(_tar((name, b"x"))) == {"a/b/c": b"x"}


@pytest.mark.parametrize("layout", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_foreign_names_are_read(layout: int) -> None:
    names = ["d/" * 120 + "long.py", "paquete/ñandú.py", "x" * 100]
    assert _contents(_tar(*((name, name.encode()) for name in names), layout=layout)) == {
        name: name.encode() for name in names
    }


def test_the_prefix_of_posix_names_is_read_and_gnu_times_are_not_taken_for_one() -> None:
    name = "d" * 90 + "/" + "e" * 90 + "/file.py"
    assert _list(_tar((name, b""), layout=tarfile.USTAR_FORMAT)) == [(name, True)]
    assert _list(_with_field(_tar(("a", b""), layout=tarfile.GNU_FORMAT), 345, b"14000000000\0")) == [("a", True)]


def test_names_that_are_not_utf8_become_printable() -> None:
    assert _list(_with_field(_tar(("abc", b"")), 0, b"\xe9t\xe9")) == [("\ufffdt\ufffd", True)]


def test_a_truncated_archive_is_refused() -> None:
    whole = _tar(("a", b"x" * 2000), ("b", b""))
    assert _refusal(lambda: _list(whole[: _BLOCK + 700])) == "truncated"
    assert _refusal(lambda: _list(whole[: 5 * _BLOCK + 100])) == "truncated"
    assert _refusal(lambda: _list(gzip.compress(_tar(("a", bytes(range(256)) * 900)))[:-200])) == "truncated"


@pytest.mark.parametrize(
    "raw",
    [b"", b"x", b"<html>not found</html>" * 50, b"\x1f\x8b", b"\x1f\x8bjunk" * 200, gzip.compress(b"hello", mtime=0)],
)
def test_what_is_no_archive_is_refused(raw: bytes) -> None:
    assert _refusal(lambda: _list(raw)) in {"not_a_tar", "damaged", "truncated"}


def test_a_tar_of_nothing_has_no_members() -> None:
    assert _list(_tar()) == []


def test_compress_of_old_is_refused_by_its_name() -> None:
    assert _refusal(lambda: _list(b"\x1f\x9d\x90rest")) == "unsupported_compression"


def test_what_tools_tolerate_at_the_end_is_tolerated() -> None:
    whole = _tar(("a", b"x"), ("b", b"y"))
    expected = [("a", True), ("b", True)]
    assert _list(whole[: 4 * _BLOCK]) == expected  # no end mark
    assert _list(whole[: 3 * _BLOCK + 1]) == expected  # nor padding
    assert _list(whole + b"garbage") == expected
    assert _list(gzip.compress(whole) + bytes(100)) == expected
    assert _list(gzip.compress(whole[: 4 * _BLOCK]) + b"garbage") == expected
    halves = [gzip.compress(whole[:700]), gzip.compress(whole[700:])]
    assert _list(b"".join(halves)) == expected


def test_a_caller_may_stop_before_what_is_damaged() -> None:
    whole = _tar(("package/package.json", b"{}"), ("b", b"y" * 5000))
    first = next(iterate_tar(io.BytesIO(whole[: 5 * _BLOCK]), _LIMITS))
    assert (first.name, first.read()) == ("package/package.json", b"{}")


@given(
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 4000),
    pack=st.sampled_from([bytes, gzip.compress]),
)
def test_whatever_is_damaged_the_answer_is_a_listing_or_a_refusal(
    flips: Iterable[tuple[int, int]], cut: int, pack: Callable[[bytes], bytes]
) -> None:
    raw = bytearray(pack(_tar(("pkg/a.py", b"a" * 700), (_info("ñ" * 120), b"b"), (_info("l", tarfile.SYMTYPE), b""))))
    for position, value in flips:
        raw[position % len(raw)] = value
    try:
        for member in iterate_tar(io.BytesIO(bytes(raw[: len(raw) - cut])), _LIMITS):
            if member.is_file:
                assert len(member.read()) == member.size
    except ArchiveRefused as refused:
        assert refused.reason  # noqa: PT017  # either outcome is right
