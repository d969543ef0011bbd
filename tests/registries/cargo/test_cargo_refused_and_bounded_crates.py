"""This tests crates that are damaged, very large or hostile."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.registries.cargo.import_names import MAX_CRATE_NAMES, read_crate
from tests.registries.cargo.crates import LIMITS, read
from tests.registry_server.tars import tar_gz


@pytest.mark.parametrize(
    ("files", "manifest", "reason"),
    [
        ({}, "[package\n", "bad_manifest"),
        ({}, '[package]\nversion = "1.0.0"\n', "no_name"),
        ({}, "package = 5\nlib = []\n", "no_name"),
        ({}, f"a = {'[' * 5000}", "bad_manifest"),
    ],
)
def test_an_archive_without_a_readable_manifest_is_refused(files: dict[str, str], manifest: str, reason: str) -> None:
    with pytest.raises(ArchiveRefused) as caught:
        read(files, manifest)
    assert caught.value.reason == reason


def test_an_archive_without_a_manifest_is_refused() -> None:
    with pytest.raises(ArchiveRefused) as caught:
        read_crate(io.BytesIO(tar_gz({"a-1/src/lib.rs": b""})), LIMITS)
    assert caught.value.reason == "no_manifest"


def test_of_very_many_names_the_nearest_to_the_root_are_kept() -> None:
    inner = " ".join(f"pub fn f{number}() {{}}" for number in range(MAX_CRATE_NAMES))
    found = read({"src/lib.rs": f"pub mod a {{ {inner} }} pub fn last() {{}}"})

    assert len(found.names) == MAX_CRATE_NAMES
    assert {"my_crate", "my_crate::a", "my_crate::last"} < set(found.names)
    assert found.error is not None


def test_modules_that_re_export_one_another_do_not_multiply_without_end() -> None:
    root = " ".join(f"pub mod m{number} {{ pub use super::*; }}" for number in range(30))

    assert len(read({"src/lib.rs": root}).names) == MAX_CRATE_NAMES


def test_re_exports_through_thousands_of_modules_are_refused() -> None:
    chain = " ".join(f"pub mod m{number} {{ pub use super::m{number - 1}::*; }}" for number in range(1, 2_000))

    with pytest.raises(ArchiveRefused) as caught:
        read({"src/lib.rs": f"pub mod m0 {{ pub struct A; }} {chain}"})
    assert caught.value.reason == "too_deep"


@pytest.mark.parametrize(
    "root",
    [
        "mod a {" * 5_000,
        "m!{" * 5_000,
        "pub use a::{" * 5_000,
        "a::" * 50_000,
        "#[cfg(not(" * 5_000,
        "pub enum E {" * 5_000,
        '"' * 10_001,
        "/*" * 10_000,
        "r###" * 10_000,
        "'" * 10_001,
    ],
)
def test_broken_and_hostile_code_costs_nothing_but_its_own_names(root: str) -> None:
    assert "my_crate::first" in read({"src/lib.rs": f"pub fn first() {{}}\n{root}"}).names


_WORDS = "pub mod use fn struct enum a b c self super crate cfg test as macro_rules r#"
_SIGNS = ":: * { } ( ) [ ] ; , # ! = \" ' // /* */ \n $ => <"
_pieces = st.sampled_from([*_WORDS.split(), *_SIGNS.split(" ")])


@settings(max_examples=150)
@given(st.lists(_pieces, max_size=40).map(" ".join) | st.text(max_size=40))
def test_any_text_gives_names_that_begin_with_the_crates(root: str) -> None:
    names = read({"src/lib.rs": root}).names

    assert names[0] == "my_crate"
    assert all(name.startswith("my_crate::") for name in names[1:])
