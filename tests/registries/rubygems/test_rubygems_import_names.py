"""This tests what can be required of a gem."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.sparse import MissingBytes, SparseFile
from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.registries.kit.import_name_rules import MAX_NAMES
from securechain_ingest.registries.rubygems.client import RubyGems
from securechain_ingest.registries.rubygems.import_names import (
    MAX_METADATA_BYTES,
    MAX_PATH_LENGTH,
    WINDOW_BYTES,
    read_gem,
)
from tests.registry_server.rubygems import Gem, Version, gem_file
from tests.registry_server.rubygems.archives import tar
from tests.registry_server.rubygems.gems import Layout
from tests.registry_server.tars import tar_gz
from tests.steps import assert_linear

LIMITS = ArchiveLimits(max_members=20_000, max_expanded_bytes=50_000_000)


def packed(*files: str, require_paths: tuple[str, ...] = ("lib",), lists_files: bool = True, padding: int = 0) -> bytes:
    version = Version("1.0", files=files, require_paths=require_paths, lists_files=lists_files, padding_bytes=padding)
    return gem_file(Gem("own-gem", (version,)), version)


def read(body: bytes, name: str | None = None) -> list[str]:
    return list(read_gem(io.BytesIO(body), LIMITS, name).names)


def names(*files: str, require_paths: tuple[str, ...] = ("lib",)) -> list[str]:
    """Return the names, which are alike whether the gemspec lists the files or not."""
    found = read(packed(*files, require_paths=require_paths))
    assert found == read(packed(*files, require_paths=require_paths, lists_files=False))
    return found


def refusal(body: bytes) -> str:
    with pytest.raises(ArchiveRefused) as caught:
        read(body)
    return caught.value.reason


def test_a_file_is_required_by_its_path_and_known_by_its_constants_too() -> None:
    assert names("lib/active_record.rb", "lib/active_record/base.rb") == [
        "active_record",
        "active_record/base",
        "active_record::base",
    ]


def test_a_file_may_lie_in_several_of_the_folders_that_are_looked_in() -> None:
    assert names("lib/a/b.rb", require_paths=("lib", "lib/a", ".", "li")) == [
        *("a/b", "a::b", "b", "lib/a/b", "lib::a::b"),
    ]


def test_twice_as_many_files_and_folders_take_twice_as_many_steps() -> None:
    def prepared(size: int) -> Callable[[], object]:
        files = tuple(f"lib/f{number}/a.rb" for number in range(size))
        return partial(read, packed(*files, require_paths=tuple(f"lib/f{number}" for number in range(size))))

    assert_linear(prepared, 100)


def test_a_path_that_nobody_could_write_is_no_name() -> None:
    assert names("lib/a.rb", f"lib/{'a/' * MAX_PATH_LENGTH}b.rb") == ["a"]


def test_of_several_members_with_data_the_first_counts() -> None:
    data = [tar_gz({f"lib/{name}.rb": b""}) for name in "ab"]
    metadata = gzip.compress(b"--- !ruby/object:Gem::Specification\nname: own\n")
    first = tar({"metadata.gz": metadata, "data.tar.gz": data[0]}).rstrip(b"\0")

    assert read(first + bytes(-len(first) % 512) + tar({"data.tar.gz": data[1]})) == ["a"]


def test_a_gem_may_have_files_of_any_name() -> None:
    assert names("lib/archive/tar/minitar.rb") == ["archive/tar/minitar", "archive::tar::minitar"]


@pytest.mark.parametrize(
    "path",
    [
        "own.rb",
        "bin/own.rb",
        "spec/own_spec.rb",
        "test/own_test.rb",
        "lib/own_spec.rb",
        "lib/own/deep_test.rb",
        "lib/own.so",
        "lib/own.rbs",
        "lib/templates/a.rb.erb",
        "lib/own/data.yml",
        "library/own.rb",
        "../lib/own.rb",
        "/lib/own.rb",
        "lib/odd name.rb",
        "lib/größe.rb",
    ],
)
def test_what_cannot_be_required_is_left_out(path: str) -> None:
    assert names(path) == ["own-gem"]


def test_tests_are_known_by_their_names_and_not_by_their_folders() -> None:
    assert names("lib/rack/test.rb", "lib/own/spec/helper.rb", "lib/tests.rb") == [
        "own/spec/helper",
        "own::spec::helper",
        "rack/test",
        "rack::test",
        "tests",
    ]


@pytest.mark.parametrize(
    ("require_paths", "expected"),
    [
        (("lib", "ext"), ["a", "b/c", "b::c"]),
        (("ext",), ["b/c", "b::c"]),
        (("ext/b", "lib"), ["a", "c"]),
        (("./lib/",), ["a"]),
        (("lib", "missing"), ["a"]),
        (("lib", ".."), ["a"]),
        ((".",), ["ext/b/c", "ext::b::c", "lib/a", "lib::a"]),
        (("lib", "lib"), ["a"]),
    ],
)
def test_files_are_looked_for_where_ruby_would(require_paths: tuple[str, ...], expected: list[str]) -> None:
    assert names("lib/a.rb", "ext/b/c.rb", require_paths=require_paths) == expected


def test_a_listed_path_may_begin_at_the_gem_s_root() -> None:
    assert names("./lib/a.rb") == ["a"]


def test_a_path_counts_as_what_it_unpacks_to() -> None:
    assert names("lib//own/a.rb", "./lib/./own/./b.rb") == ["own/a", "own/b", "own::a", "own::b"]


def test_a_gem_without_code_is_its_name() -> None:
    assert names("README.md") == ["own-gem"]
    assert read(packed("README.md"), "Other-Name") == ["Other-Name"]


@pytest.mark.parametrize("layout", ["modern", "2008", "unpacked"])
def test_the_members_of_a_gem_lie_in_any_order(layout: Layout) -> None:
    version = Version("1.0", files=("lib/a.rb",), layout=layout)

    assert read(gem_file(Gem("own", (version,)), version)) == ["a"]


def test_what_a_gem_holds_counts_more_than_what_its_gemspec_says() -> None:
    gemspec = gzip.compress(b"name: own\nfiles: [lib/said.rb]\n")
    body = tar(
        {
            "metadata.gz": gemspec,
            "data.tar.gz": tar_gz({"lib/held.rb": b"", "noise": random.Random(1).randbytes(200_000)}),
        }
    )

    assert read(body) == ["held"]
    beginning = SparseFile(len(body), [(0, body[:WINDOW_BYTES])])
    assert read_gem(cast(BinaryIO, beginning), LIMITS, None).names == ("said",)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_file_that_is_a_link_to_another_one_can_be_required_too(kind: bytes) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("lib/own/all.rb"))
        link = tarfile.TarInfo("lib/own-all.rb")
        link.type, link.linkname = kind, "own/all.rb"
        archive.addfile(link)
    gemspec = gzip.compress(b"name: own\nfiles: [lib/own-all.rb, lib/own/all.rb]\n")

    assert read(tar({"metadata.gz": gemspec, "data.tar.gz": data.getvalue()})) == ["own-all", "own/all", "own::all"]


def test_signatures_beside_the_members_are_passed_over() -> None:
    gemspec = gzip.compress(b"name: own\nfiles: [lib/a.rb]\n")

    assert read(tar({"metadata.gz.sig": b"x", "metadata.gz": gemspec, "data.tar.gz.sig": b"x"})) == ["a"]


def test_a_gem_names_its_repository() -> None:
    version = Version("1.0")
    gem = Gem("own", (version,), links={"homepage_uri": "https://github.com/o/r"})

    assert read_gem(io.BytesIO(gem_file(gem, version)), LIMITS, None).repository_url == "https://github.com/o/r"


def test_a_huge_gem_keeps_the_names_nearest_to_its_root() -> None:
    found = names("lib/a.rb", *(f"lib/icons/deep/{number}.rb" for number in range(MAX_NAMES)))

    assert len(found) < MAX_NAMES
    assert {"a", "icons/deep/0", "icons::deep::0"} <= set(found)


def test_a_gem_on_disk_is_named_by_its_gemspec(tmp_path: Path) -> None:
    file = tmp_path / "any.gem"
    file.write_bytes(packed("README.md"))

    assert RubyGems.archive_names(str(file), file.name, LIMITS).names == ("own-gem",)


def test_a_gem_of_the_first_format_is_refused_as_such() -> None:
    assert refusal(b'MD5SUM = "989bf34a1cbecd52e0ea66b662b3a405"\nif $0 == __FILE__\n__END__\n--- text') == "old_format"


def test_a_gem_without_metadata_is_refused() -> None:
    assert refusal(tar({"data.tar.gz": tar_gz({"lib/a.rb": b""})})) == "no_metadata"


def test_metadata_that_are_no_gemspec_are_refused() -> None:
    assert refusal(tar({"metadata.gz": gzip.compress(b"- a\n")})) == "bad_metadata"
    assert refusal(tar({"metadata.gz": gzip.compress(b"name: own\n")[:-10]})) == "truncated"


def test_metadata_that_expand_without_end_are_refused() -> None:
    bomb = gzip.compress(b" " * (MAX_METADATA_BYTES + 1))

    assert refusal(tar({"metadata.gz": bomb})) == "expanded_too_large"


def test_what_is_no_gem_is_refused() -> None:
    assert refusal(b"<html></html>" * 100) == "not_a_tar"
    assert refusal(b"") == "not_a_tar"
    assert refusal(packed("lib/a.rb")[:600]) == "truncated"


def test_only_the_beginning_of_a_gem_is_read() -> None:
    body = packed("lib/a.rb", padding=200_000)
    head = SparseFile(len(body), [(0, body[:WINDOW_BYTES])])

    assert read_gem(cast(BinaryIO, head), LIMITS, None).names == ("a",)


def test_where_the_data_come_first_what_lies_behind_them_is_asked_for_at_once() -> None:
    version = Version("1.0", padding_bytes=200_000, layout="2008")
    body = gem_file(Gem("own", (version,)), version)
    head = (0, body[:WINDOW_BYTES])

    with pytest.raises(MissingBytes) as caught:
        read_gem(cast(BinaryIO, SparseFile(len(body), [head])), LIMITS, None)
    assert caught.value.last == len(body) - 1
    rest = SparseFile(len(body), [head, (caught.value.first, body[caught.value.first :])])
    assert read_gem(cast(BinaryIO, rest), LIMITS, None).names == ("own",)


def test_where_the_gemspec_lists_no_files_all_the_rest_is_asked_for_at_once() -> None:
    body = packed("lib/a.rb", lists_files=False, padding=200_000)

    with pytest.raises(MissingBytes) as caught:
        read_gem(cast(BinaryIO, SparseFile(len(body), [(0, body[:WINDOW_BYTES])])), LIMITS, None)
    assert (caught.value.first, caught.value.last) == (WINDOW_BYTES, len(body) - 1)
