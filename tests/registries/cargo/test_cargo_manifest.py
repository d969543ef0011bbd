"""This tests what is read of a Cargo.toml. What is right was asked of cargo 1.95 (`cargo metadata`)."""

from __future__ import annotations

import io

import pytest

from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.registries.cargo.import_names import read_crate
from securechain_ingest.registries.cargo.manifest import MAX_KEY_PARTS, MAX_MANIFEST_BYTES, parse_manifest
from tests.registries.cargo.crates import LIMITS, MANIFEST, edition, read
from tests.registry_server.tars import tar_gz

LIBRARY = {"src/lib.rs": "pub fn a() {}"}


def _members(**manifests: str) -> tuple[str, ...]:
    members = {f"a-1/{name.replace('_', '.')}": text.encode() for name, text in manifests.items()}
    return read_crate(io.BytesIO(tar_gz({"a-1/src/lib.rs": b"pub fn a() {}", **members})), LIMITS).names


@pytest.mark.parametrize("spelling", ["cargo_toml", "CARGO_TOML", "Cargo_Toml"])
def test_a_manifest_in_another_case_is_read_where_there_is_no_other(spelling: str) -> None:
    other = MANIFEST.replace("my-crate", "other")

    assert _members(**{spelling: MANIFEST}) == ("my_crate", "my_crate::a")
    assert _members(**{spelling: other, "Cargo_toml": MANIFEST}) == ("my_crate", "my_crate::a")
    assert _members(**{"Cargo_toml": MANIFEST, spelling: other}) == ("my_crate", "my_crate::a")


def test_of_two_unusual_spellings_the_one_that_cargo_once_took_counts() -> None:
    assert _members(CARGO_TOML=MANIFEST.replace("my-crate", "other"), cargo_toml=MANIFEST)[0] == "my_crate"


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (f"{MANIFEST}x = {'9' * 4301}\n", "bad_manifest"),
        (f"{MANIFEST}x = 2023-02-30\n", "bad_manifest"),
        (f"{MANIFEST}name = 'other'\n", "bad_manifest"),
        (f"{MANIFEST}[package.metadata]\n{'.'.join(['a'] * (MAX_KEY_PARTS + 1))} = 1\n", "bad_manifest"),
        (MANIFEST + " . ".join(["a", "'.'"] * MAX_KEY_PARTS) + " = 1\n", "bad_manifest"),
        (f"{MANIFEST}[{'.'.join(['a'] * 100_000)}]\n", "bad_manifest"),
        (f"{MANIFEST}x = {{ {'.'.join(['a'] * 100_000)} = 1 }}\n", "bad_manifest"),
        (f"{MANIFEST}#{'-' * MAX_MANIFEST_BYTES}", "bad_manifest"),
        ("[workspace]\n", "no_name"),
        ("[package]\nname = ['a']\n", "no_name"),
        (f"[package]\nname = '{'a' * 256}'\n", "no_name"),
        ("", "no_name"),
    ],
)  # fmt: skip
def test_a_manifest_that_nobody_can_read_refuses_the_archive_with_its_reason(manifest: str, reason: str) -> None:
    with pytest.raises(ArchiveRefused) as caught:
        parse_manifest(manifest.encode())
    assert caught.value.reason == reason
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "line",
    [
        f'description = """{".a" * 200}"""',
        f"description = '{'a.' * 200}'",
        f'description = "\\"{"a." * 200}"',
        f"# {'a.' * 200}",
        f"x = '''{'a.' * 200}'''",
        f"{'.'.join(['metadata', *'a' * (MAX_KEY_PARTS - 2)])} = 1",
    ],
)
def test_dots_that_are_no_key_of_too_many_parts_do_no_harm(line: str) -> None:
    assert parse_manifest(f"{MANIFEST}{line}\n".encode()).library == "my_crate"


def test_a_byte_order_mark_and_bytes_that_are_no_text_cost_nothing() -> None:
    assert parse_manifest(b"\xef\xbb\xbf" + MANIFEST.encode()).library == "my_crate"
    assert parse_manifest(MANIFEST.encode() + b'description = "\xff"\n').library == "my_crate"


@pytest.mark.parametrize(
    ("manifest", "file"),
    [
        (MANIFEST, "src/lib.rs"),
        (f'{MANIFEST}[lib]\npath = "./other/../x/y.rs"\n', "x/y.rs"),
        (f"{MANIFEST}[lib]\npath = 'x\\y.rs'\n", "x/y.rs"),
        (f'{MANIFEST}[lib]\npath = "examples/a.rs"\n', "examples/a.rs"),
        (f'{MANIFEST}[lib]\npath = "lib.in"\n', "lib.in"),
        (f"{MANIFEST}[lib]\npath = 5\n", "src/lib.rs"),
        (f"{edition(2015)}[lib]\nproc_macro = false\n", "src/my_crate.rs"),
        (f"{edition(2015)}autolib = false\n[lib]\nbench = false\n", "src/lib.rs"),
    ],
)
def test_the_librarys_file_is_the_one_that_cargo_takes(manifest: str, file: str) -> None:
    assert read({file: "pub fn a() {}", "src/main.rs": "pub fn b() {}"}, manifest).names == ("my_crate", "my_crate::a")


@pytest.mark.parametrize(
    ("manifest", "file"),
    [
        (f'{MANIFEST}[lib]\npath = "/src/lib.rs"\n', "src/lib.rs"),
        (f'{MANIFEST}[lib]\npath = "../src/lib.rs"\n', "src/lib.rs"),
        (f'{MANIFEST}[lib]\npath = "src"\n', "src/lib.rs"),
        (f"{MANIFEST}[lib]\nbench = false\n", "src/my_crate.rs"),
        (f"{MANIFEST}autolib = false\n", "src/lib.rs"),
    ],
)
def test_where_cargo_finds_no_library_there_are_no_names_below_it(manifest: str, file: str) -> None:
    assert read({file: "pub fn a() {}"}, manifest).names == ("my_crate",)


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (MANIFEST, 2021),
        (MANIFEST.replace('edition = "2021"\n', ""), 2015),
        (f'{MANIFEST}[lib]\nedition = "2015"\n', 2015),
        (edition(2027), 2024),
        (MANIFEST.replace('"2021"', "2021"), 2015),
        (MANIFEST.replace('"2021"', f'"{"9" * 5000}"'), 2024),
        (MANIFEST.replace('"2021"', '"²"'), 2024),
        (MANIFEST.replace('edition = "2021"', "edition.workspace = true"), 2024),
    ],
)
def test_the_edition_is_the_librarys_else_the_packages_else_the_first(manifest: str, expected: int) -> None:
    assert parse_manifest(manifest.encode()).edition == expected
