"""This tests files that are part of a crate without lying where modules do.

What is right was taken from rustdoc 1.97.
"""

from __future__ import annotations

import io

import pytest

from securechain_ingest.registries.cargo.import_names import read_crate
from tests.registries.cargo.crates import LIMITS, MANIFEST, paths, read
from tests.registry_server.tars import tar_gz


def _names(files: dict[str, str]) -> list[str]:
    found = read(files)
    assert found.error is None
    return [name.removeprefix("my_crate::") for name in found.names[1:]]


@pytest.mark.parametrize(
    "call",
    [
        'include!("parts/x.rs");',
        'include!("parts/x.rs",);',
        'std::include!{ r"parts/x.rs" }',
        'core::include!(r#"parts/x.rs"#);',
        r'include!("parts\\x.rs");',
        'include!(concat!("parts", \'/\', "x", ".rs",));',
        'include!(concat!(concat!("pa", "rts"), "/x.rs"));',
        'include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/parts/x.rs"));',
        'include!(concat!(env!("CARGO_MANIFEST_DIR", "no cargo"), "/src/../src/parts/x.rs"));',
        'macro_rules! part { ($name:literal) => { concat!("parts/", $name, ".rs") } } include!(part!("x"));',
    ],
)
def test_an_included_file_may_be_named_in_every_way_that_the_compiler_reads(call: str) -> None:
    assert paths(call, parts__x="pub fn x() {}") == ["x"]
    assert paths(f"pub mod a {{ pub mod b {{ {call} }} }}", parts__x="pub fn x() {}") == ["a", "a::b", "a::b::x"]


def test_the_name_of_the_package_may_be_part_of_a_files_name() -> None:
    files = {"src/lib.rs": 'include!(concat!(env!("CARGO_PKG_NAME"), "-", 1, true, ".rs"));'}

    assert _names({**files, "src/my-crate-1true.rs": "pub fn a() {}"}) == ["a"]


@pytest.mark.parametrize("file", ["src/table.in", "data/x", "examples/x.rs", "tests/x.txt", "benches/deep/x.rs", "x.h"])
def test_a_file_of_any_name_anywhere_in_the_archive_can_be_included(file: str) -> None:
    assert _names({"src/lib.rs": f'include!("../{file}");', file: "pub struct A;"}) == ["A"]
    assert _names({"src/lib.rs": f'#[path = "../{file}"] pub mod a;', file: "pub struct A;"}) == ["a", "a::A"]


def test_modules_of_an_included_file_lie_beside_that_file() -> None:
    files = {
        "src/lib.rs": 'pub mod a { include!("parts/b.inc"); } include!("../examples/shared.rs");',
        "src/parts/b.inc": 'pub mod c; #[path = "other.rs"] pub mod d;',
        "src/parts/c.rs": "pub fn fc() {}",
        "src/parts/other.rs": "pub fn fd() {}",
        "examples/shared.rs": 'pub mod e; include!("more.inc");',
        "examples/e.rs": "pub mod f;",
        "examples/e/f.rs": "pub fn ff() {}",
        "examples/more.inc": "pub fn more() {}",
    }
    assert _names(files) == ["a", "a::c", "a::c::fc", "a::d", "a::d::fd", "e", "e::f", "e::f::ff", "more"]


@pytest.mark.parametrize(
    "call",
    [
        'include!(concat!(env!("OUT_DIR"), "/bindings.rs"));',
        'include!(env!("GENERATED"));',
        'include!(concat!(env!("CARGO_MANIFEST_DIR"), "/../other/x.rs"));',
        'include!("nowhere.rs");',
        'include!("/etc/passwd");',
        "include!();",
        "include!(concat!(A, B));",
        'include!(unknown!("x.rs"));',
        'include!("\\u{78}.rs");',
    ],
)
def test_what_no_archive_holds_costs_nothing_else(call: str) -> None:
    assert paths(f"{call} pub fn a() {{}}", x="pub fn x() {}") == ["a"]


def test_a_chain_of_included_files_that_takes_too_many_passes_is_told() -> None:
    chain = {f"data/{number}": f'include!("{number + 1}"); pub fn f{number}() {{}}' for number in range(5)}
    found = read({"src/lib.rs": 'include!("../data/0");', **chain})

    assert found.names == ("my_crate", "my_crate::f0", "my_crate::f1", "my_crate::f2")
    assert found.error == "'data/3' could not be read, so that names may be missing"


def test_a_file_too_large_to_be_read_is_told() -> None:
    members = {
        "a-1/Cargo.toml": MANIFEST,
        "a-1/src/lib.rs": 'include!("x.in"); pub fn a() {}',
        "a-1/src/x.in": "/" * 99,
    }
    limits = type(LIMITS)(LIMITS.max_members, LIMITS.max_expanded_bytes, max_member_bytes=90)

    found = read_crate(io.BytesIO(tar_gz({path: text.encode() for path, text in members.items()})), limits)

    assert found.names == ("my_crate", "my_crate::a")
    assert found.error == "'src/x.in' could not be read, so that names may be missing"
