"""This tests Cargo's parsers over recorded index files and archives.

The golden lists were made without the code under test: from what rustdoc (nightly, JSON, hidden items included) says of
each unpacked crate on Linux with all features, walked from the root through every public module and re-export; to that
what the sources show to exist on other platforms or under other conditions was added by hand. Crates that rustdoc
cannot build any more were read by hand alone.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from univers.version_range import NpmVersionRange
from univers.versions import SemverVersion

from securechain_ingest.model import Package
from securechain_ingest.registries.cargo.client import Cargo
from securechain_ingest.registries.cargo.index import default_version, parse_index
from securechain_ingest.registries.cargo.names import CARGO, identify
from tests.registries.asking import LIMITS

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "crates"
GOLDEN: dict[str, list[str]] = json.loads((Path(__file__).parents[1] / "goldens" / "cargo.json").read_text())

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recorded payloads (shared/fixtures) are not at hand")

INDEX_FILES = sorted(path.name for path in (FIXTURES / "metadata/index").glob("*"))
HUGE = "swc_core.gz"
SMALLER = [filename for filename in INDEX_FILES if filename != HUGE]


def body(filename: str) -> bytes:
    raw = (FIXTURES / "metadata/index" / filename).read_bytes()
    return gzip.decompress(raw) if filename.endswith(".gz") else raw


def lines(filename: str) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in body(filename).splitlines() if line.strip()]


def package(filename: str) -> Package:
    return parse_index(body(filename), identify(filename.removesuffix(".gz")), "https://index.example/")


@pytest.mark.parametrize("filename", INDEX_FILES)
def test_every_version_of_a_recorded_crate_is_there_in_order(filename: str) -> None:
    listed = lines(filename)
    found = package(filename)
    names = [version.name for version in found.versions]
    ranks = CARGO.rank(names)

    assert found.ref.registry_name == listed[0]["name"]
    assert names == [line["vers"] for line in listed]
    assert [version.yanked for version in found.versions] == [line["yanked"] for line in listed]
    assert sorted(ranks.values()) == list(range(len(names)))
    assert sorted(names, key=ranks.__getitem__) == sorted(
        names, key=lambda name: (SemverVersion(name.partition("+")[0]), name)
    )


@pytest.mark.parametrize("filename", SMALLER)
def test_every_date_of_a_recorded_crate_is_there(filename: str) -> None:
    assert [version.release_date for version in package(filename).versions] == [
        line.get("pubtime") for line in lines(filename)
    ]


@pytest.mark.parametrize("filename", SMALLER)
def test_every_normal_dependency_of_a_recorded_crate_is_required_by_its_true_name(filename: str) -> None:
    for version, line in zip(package(filename).versions, lines(filename), strict=True):
        assert version.requirements is not None
        assert {requirement.target.registry_name for requirement in version.requirements} == {
            dependency.get("package") or dependency["name"]
            for dependency in line["deps"]
            if dependency.get("kind") in (None, "normal")
        }


@pytest.mark.parametrize("filename", SMALLER)
def test_the_clients_can_read_every_recorded_constraint(filename: str) -> None:
    written = {
        requirement.constraints for version in package(filename).versions for requirement in version.requirements or ()
    }

    for constraints in written - {"*"}:
        accepted = NpmVersionRange.from_native(constraints)  # type: ignore[no-untyped-call]
        boundaries = [constraint.version for constraint in accepted.constraints if constraint.comparator in ("=", ">=")]
        assert any(version in accepted for version in boundaries), constraints


@pytest.mark.parametrize(
    ("filename", "default"),
    [
        ("wasi", "0.14.7+wasi-0.2.4"),
        ("rustc-ap-serialize", "662.0.0"),
        ("mypkg", "0.1.1"),
    ],
)
def test_the_default_version_of_a_recorded_crate(filename: str, default: str) -> None:
    assert default_version(package(filename).versions) == default


def test_a_yanked_newest_version_is_not_the_default() -> None:
    versions = package("futures-util").versions
    newest = default_version(versions)

    assert sum(version.yanked for version in versions) == 31
    assert not next(version for version in versions if version.name == newest).yanked


def test_dependencies_that_are_renamed_to_use_two_major_versions_are_one_requirement() -> None:
    version = next(version for version in package("serde_with").versions if version.name == "3.24.0")
    constraints = {need.target.registry_name: need.constraints for need in version.requirements or ()}

    assert constraints["indexmap"] == "^1.8 || ^2.0"
    assert constraints["schemars"] == "^0.8.16 || ^0.9.0 || ^1.0.2"


@pytest.mark.parametrize("filename", sorted(GOLDEN))
def test_a_recorded_archive_gives_the_names_that_were_read_from_it(filename: str) -> None:
    found = Cargo.archive_names(str(FIXTURES / "archives" / filename), filename, LIMITS)

    assert found.error is None
    assert list(found.names) == GOLDEN[filename]


@pytest.mark.parametrize(
    ("filename", "repository"),
    [
        ("Inflector-0.11.4.crate", "https://github.com/whatisinternet/inflector"),
        ("kernel32-sys-0.2.2.crate", "https://github.com/retep998/winapi-rs"),
        ("micro-timer-0.1.0.crate", None),
        ("rustc-std-workspace-core-1.0.0.crate", None),
        ("wasi-0.11.0+wasi-snapshot-preview1.crate", "https://github.com/bytecodealliance/wasi"),
        ("xml-rs-0.8.20.crate", "https://github.com/kornelski/xml-rs"),
    ],
)
def test_the_recorded_archives_name_their_repository(filename: str, repository: str | None) -> None:
    assert Cargo.archive_names(str(FIXTURES / "archives" / filename), filename, LIMITS).repository_url == repository


@pytest.mark.parametrize(
    ("filename", "some"),
    [
        # A crate of 2015 that no compiler takes any more.
        ("rustc-serialize-0.3.24.crate", {"rustc_serialize::json::Json", "rustc_serialize::hex::FromHex"}),
        # Functions that only some versions of OpenSSL have, types that `stack!` makes.
        ("openssl-sys-0.9.103.crate", {"openssl_sys::stack_st_X509", "openssl_sys::SSL_CTX_new"}),
        ("sha2-0.11.0-pre.4.crate", {"sha2::digest", "sha2::Digest", "sha2::Sha256"}),
        # Everything in `cfg_if!` and through globs, a file for each system.
        (
            "libc-0.2.155.crate",
            {"libc::AF_INET", "libc::malloc", "libc::sockaddr_in", "libc::SOCKET", "libc::c_int"},
        ),
    ],
)
def test_a_recorded_archive_without_a_golden_list_gives_names_that_are_known(filename: str, some: set[str]) -> None:
    found = Cargo.archive_names(str(FIXTURES / "archives" / filename), filename, LIMITS)

    assert found.error is None
    assert some < set(found.names)
