"""This tests archives in archives: what one may have is the sum over all that lie in it."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.tars import iterate_plain_tar, iterate_tar
from securechain_ingest.archives.zips import open_zip
from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.registries.maven.import_names import read_jar
from securechain_ingest.registries.rubygems.import_names import read_gem

_LIMITS = ArchiveLimits(max_members=1000, max_expanded_bytes=4_000_000, max_member_bytes=1_000_000)
_GEMSPEC = gzip.compress(b"--- !ruby/object:Gem::Specification\nname: a\n")


def _zip(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _tar(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _refusal(act: Callable[[], object]) -> str:
    with pytest.raises(ArchiveRefused) as refused:
        act()
    return refused.value.reason


def _files(count: int, data: bytes = b"") -> dict[str, bytes]:
    return {f"a/C{number}.class": data for number in range(count)}


def test_members_of_all_inner_zips_count_together() -> None:
    limits = replace(_LIMITS, max_members=29)
    listing = open_zip(io.BytesIO(_zip({f"{number}.jar": _zip(_files(9)) for number in range(3)})), limits)
    assert len(listing.inner("0.jar").names()) == 9
    assert len(listing.inner("1.jar").names()) == 9
    assert _refusal(lambda: listing.inner("2.jar")) == "too_many_members"


def test_what_comes_out_of_all_inner_zips_counts_together() -> None:
    jars = {f"{number}.jar": _zip({"a": bytes(900_000)}) for number in range(5)}
    listing = open_zip(io.BytesIO(_zip(jars)), _LIMITS)
    for number in range(4):
        assert len(listing.inner(f"{number}.jar").read("a")) == 900_000
    assert _refusal(lambda: listing.inner("4.jar").read("a")) == "member_too_large"


def test_a_zip_in_a_zip_in_a_zip_has_what_is_left() -> None:
    raw = _zip({"a": bytes(900_000)})
    for _ in range(3):
        raw = _zip({"inner": raw, "a": bytes(900_000)})
    listing = open_zip(io.BytesIO(raw), _LIMITS)
    for _ in range(3):
        listing.read("a")
        listing = listing.inner("inner")
    listing.read("a")
    assert _refusal(lambda: listing.read("a")) == "member_too_large"


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_members_of_all_inner_tars_count_together(pack: Callable[[bytes], bytes]) -> None:
    limits = replace(_LIMITS, max_members=25)
    raw = _tar({f"{number}.tar": pack(_tar(_files(9))) for number in range(3)})
    for iterate in (iterate_tar, iterate_plain_tar):
        seen: list[str] = []

        def read(iterate: Callable[..., object] = iterate, seen: list[str] = seen) -> None:
            for member in iterate(io.BytesIO(raw), limits):  # type: ignore[attr-defined]
                seen.extend(inner.name for inner in member.inner())

        assert _refusal(read) == "too_many_members"
        assert len(seen) == 22


def test_what_comes_out_of_all_inner_tars_counts_together() -> None:
    inner = gzip.compress(_tar({"a": bytes(1_500_000)}))
    raw = _tar({f"{number}.tar.gz": inner for number in range(3)})
    read = []

    def read_all() -> None:
        for member in iterate_tar(io.BytesIO(raw), _LIMITS):
            list(member.inner())
            read.append(member.name)

    assert _refusal(read_all) == "expanded_too_large"
    assert read == ["0.tar.gz", "1.tar.gz"]


def test_an_aar_of_many_jars_has_as_many_members_as_one_archive() -> None:
    jars = {f"libs/{number}.jar": _zip(_files(300)) for number in range(4)}
    aar = io.BytesIO(_zip({"AndroidManifest.xml": b"", **jars}))
    assert read_jar(aar, replace(_LIMITS, max_members=2000), ()).names == ("a",)
    assert _refusal(lambda: read_jar(aar, _LIMITS, ())) == "too_many_members"


def test_of_a_gem_whose_data_come_in_many_pieces_the_first_counts_and_no_other_is_expanded() -> None:
    data = gzip.compress(_tar({"lib/a.rb": bytes(900_000)}))
    bomb = gzip.compress(_tar({"lib/b.rb": bytes(9_000_000)}))
    pieces = [("metadata.gz", _GEMSPEC), ("data.tar.gz", data), *[("data.tar.gz", bomb)] * 6]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in pieces:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    assert read_gem(buffer, _LIMITS, "a").names == ("a",)
