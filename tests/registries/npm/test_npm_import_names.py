"""This tests what a tarball gives: the names that a user of the package writes in require() and import."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.registries.kit.import_name_rules import MAX_NAMES
from securechain_ingest.registries.npm.client import Npm
from securechain_ingest.registries.npm.import_names import read_tarball

LIMITS = ArchiveLimits(max_members=20_000, max_expanded_bytes=50_000_000)


def tarball(manifest: dict[str, Any] | bytes, *paths: str, folder: str = "package") -> bytes:
    """Return a .tgz with a package.json and empty files; a path `a=text` has contents."""
    body = manifest if isinstance(manifest, bytes) else json.dumps({"name": "pkg", **manifest}).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, text in [
            ("package.json", body),
            *((path.partition("=")[0], path.partition("=")[2].encode()) for path in paths),
        ]:
            member = tarfile.TarInfo(f"{folder}/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return packed.getvalue()


def names(*paths: str, name: str | None = None, folder: str = "package", **manifest: Any) -> list[str]:
    return list(read_tarball(io.BytesIO(tarball(manifest, *paths, folder=folder)), LIMITS, name).names)


def test_files_are_named_without_suffix_and_index_files_by_their_folder() -> None:
    assert names("index.js", "lib/router/index.js", "lib/router/route.js", "lib/a.mjs", "lib/b.cjs", "src/c.ts") == [
        "pkg",
        "pkg/lib/a.mjs",
        "pkg/lib/b.cjs",
        "pkg/lib/router",
        "pkg/lib/router/route",
        "pkg/src/c",
    ]


def test_a_module_has_one_name_for_scripts_and_one_for_each_format_that_has_to_be_named() -> None:
    assert names("a.js", "a.ts", "a.mjs", "a.cjs", "a.d.ts", "b.d.mts", "c.d.json.ts") == [
        "pkg",
        "pkg/a",
        "pkg/a.cjs",
        "pkg/a.mjs",
    ]


def test_what_require_finds_with_its_ending_alone_has_it() -> None:
    assert names("index.cjs", "index.mjs", "native.node", "x.json", "lib/index.cjs") == [
        "pkg",
        "pkg/index.cjs",
        "pkg/index.mjs",
        "pkg/lib/index.cjs",
        "pkg/native.node",
        "pkg/x.json",
    ]


def test_a_folder_s_index_may_be_data_or_native() -> None:
    assert names("a/index.json", "b/index.node", "c/index.mjs") == [
        "pkg",
        "pkg/a",
        "pkg/a/index.json",
        "pkg/b",
        "pkg/b/index.node",
        "pkg/c/index.mjs",
    ]


def packed_plainly(*paths: str) -> io.BytesIO:
    """Return a tar of files with exactly these names; each package.json names a package."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in paths:
            text = b'{"name": "pkg"}' if path.endswith("package.json") else b""
            member = tarfile.TarInfo(path)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    packed.seek(0)
    return packed


@pytest.mark.parametrize("spelled", ["package/./{}", "package//{}", "package/././/{}"])
def test_member_names_are_read_as_paths(spelled: str) -> None:
    packed = packed_plainly(*map(spelled.format, ("package.json", "lib/a.js", "lib/./b.js")))

    assert read_tarball(packed, LIMITS, None).names == ("pkg", "pkg/lib/a", "pkg/lib/b")


@pytest.mark.parametrize(
    "path",
    [
        "test/a.js",
        "lib/tests/a.js",
        "__tests__/a.js",
        "node_modules/other/index.js",
        "dist/a.js",
        "lib/build/a.js",
        "_private.js",
        "lib/_private/a.js",
        "._a.js",
        ".storybook/config.js",
        "README.md",
        "style.css",
        "lib/package.json",
        "types.d.ts",
        "types.d.mts",
        "lib/odd (1).js",
    ],
)
def test_what_is_no_module_of_the_package_is_left_out(path: str) -> None:
    assert names(path) == ["pkg"]


def test_a_folder_called_like_an_excluded_one_is_kept() -> None:
    assert names("testing/a.js", "builder.js") == ["pkg", "pkg/builder", "pkg/testing/a"]


def test_the_package_itself_stands_although_its_main_file_is_a_built_one() -> None:
    assert names("dist/index.js", main="dist/index.js") == ["pkg"]


def test_a_folder_with_a_package_json_of_its_own_is_imported_by_its_name() -> None:
    assert names(
        'hooks/package.json={"main": "../dist/hooks.js"}',
        "dist/hooks.js",
        'esm/package.json={"type": "module"}',
        "broken/package.json={",
        'test/package.json={"main": "a.js"}',
    ) == ["pkg", "pkg/hooks"]


@pytest.mark.parametrize("main", ["a.js", "a", "./a", "../lib/b", "../lib/b/", "deep", "deep/", "x", "./deep/index"])
def test_a_folder_s_main_module_is_found_as_node_finds_it(main: str) -> None:
    files = ("hooks/a.js", "lib/b/index.js", "hooks/deep/index.json", "hooks/x.json", "hooks/n.node")

    assert "pkg/hooks" in names(f'hooks/package.json={{"main": "{main}"}}', *files)


@pytest.mark.parametrize("main", ["gone", "/a.js", "a.mjs.js", "../../pkg/hooks/a", "", ".", 7, None])
def test_a_folder_whose_main_module_is_not_there_has_no_name(main: object) -> None:
    assert "pkg/hooks" not in names(f"hooks/package.json={json.dumps({'main': main})}", "hooks/a.js")


def test_exports_with_more_matches_than_can_be_looked_at_are_told() -> None:
    exports = {f"./p{number}/*": "./lib/*" for number in range(60)}
    packed = tarball({"exports": exports}, *(f"lib/{number}.js" for number in range(60)))
    found = read_tarball(io.BytesIO(packed), LIMITS, None)

    assert found.error is not None
    assert "nearest to the root" in found.error


def test_with_exports_only_what_they_expose_can_be_imported() -> None:
    exports = {
        ".": "./lib/index.js",
        "./feature": "./lib/feature.js",
        "./utils/*.js": "./lib/utils/*.js",
        "./package.json": "./package.json",
    }

    assert names("lib/index.js", "lib/feature.js", "lib/hidden.js", "lib/utils/a.js", exports=exports) == [
        "pkg",
        "pkg/feature",
        "pkg/utils/a.js",
    ]


def test_null_exports_are_no_exports() -> None:
    assert names("lib/a.js", exports=None) == ["pkg", "pkg/lib/a"]


def test_the_outer_folder_may_have_any_name() -> None:
    assert names("a.js", folder="1289345247862-0.009") == ["pkg", "pkg/a"]


def test_the_dot_that_tar_writes_for_its_folder_is_the_outer_folder() -> None:
    packed = packed_plainly("./lib/package.json", "./lib/a.js", "./package.json", "./b.js")

    assert read_tarball(packed, LIMITS, None).names == ("pkg", "pkg/b", "pkg/lib/a")


def test_npm_takes_one_outer_folder_away_and_no_more() -> None:
    with pytest.raises(ArchiveRefused, match="in the archive"):
        read_tarball(packed_plainly("./package/package.json", "./package/a.js"), LIMITS, None)


def test_names_carry_the_registry_s_spelling() -> None:
    assert names("a.js", name="@Some/Package") == ["@Some/Package", "@Some/Package/a"]


def test_a_package_without_code_is_its_name() -> None:
    assert names("index.html", "README") == ["pkg"]


def test_a_huge_package_keeps_the_names_nearest_to_its_root() -> None:
    found = names(*(f"icons/deep/{number}.js" for number in range(MAX_NAMES)), "main.js", "icons/index.js")

    assert len(found) == MAX_NAMES
    assert {"pkg", "pkg/main", "pkg/icons"} <= set(found)


@pytest.mark.parametrize("manifest", [b"{", b"[]", b'"text"', b""])
def test_an_unreadable_package_json_is_refused(manifest: bytes) -> None:
    with pytest.raises(ArchiveRefused) as caught:
        read_tarball(io.BytesIO(tarball(manifest, "a.js")), LIMITS, "pkg")
    assert caught.value.reason == "bad_manifest"


def test_a_byte_order_mark_and_stray_bytes_in_package_json_are_tolerated() -> None:
    manifest = b'\xef\xbb\xbf{"name": "pkg", "author": "Andr\xe9"}'

    assert read_tarball(io.BytesIO(tarball(manifest, "a.js")), LIMITS, None).names == ("pkg", "pkg/a")


def test_a_package_json_whose_text_was_cut_within_a_character_is_read() -> None:
    manifest = rb'{"name": "pkg", "description": "cut \ud83d", "exports": {"./a": "./a.js"}}'

    assert read_tarball(io.BytesIO(tarball(manifest, "a.js", "b.js")), LIMITS, None).names == ("pkg", "pkg/a")


def test_an_archive_without_package_json_is_refused() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("package/a.js"))
    packed.seek(0)

    with pytest.raises(ArchiveRefused) as caught:
        read_tarball(packed, LIMITS, "pkg")
    assert caught.value.reason == "no_manifest"


def test_a_file_on_disk_is_named_by_its_own_package_json(tmp_path: Path) -> None:
    file = tmp_path / "any.tgz"
    file.write_bytes(tarball({"name": "@a/b"}, "lib/c.js"))

    assert Npm.archive_names(str(file), file.name, LIMITS).names == ("@a/b", "@a/b/lib/c")


def test_a_file_on_disk_without_a_name_inside_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "any.tgz"
    file.write_bytes(tarball(b"{}", "lib/c.js"))

    with pytest.raises(ArchiveRefused) as caught:
        Npm.archive_names(str(file), file.name, LIMITS)
    assert caught.value.reason == "no_name"


def test_a_small_tarball_of_long_paths_gives_few_bytes_of_names() -> None:
    deep = "/".join(["d" * 200] * 90)
    packed = tarball({}, *(f"{deep}/{number}.js" for number in range(900)), "lib/a.js")
    assert len(packed) < 200_000
    found = read_tarball(io.BytesIO(packed), LIMITS, None)
    assert found.names == ("pkg", "pkg/lib/a")
    assert found.error == "900 names longer than 255 characters are left out"
