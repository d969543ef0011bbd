"""This tests what can be imported from a jar: its packages, by the shortest name that says all."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.sparse import MissingBytes, SparseFile
from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.registries.maven.import_names import read_jar, shortest

LIMITS = ArchiveLimits(max_members=20_000, max_expanded_bytes=50_000_000)
FALLBACK = ("org.example",)


def jar(members: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, contents in members.items():
            archive.writestr(name, contents)
    return packed.getvalue()


def names(*paths: str, **jars: bytes) -> list[str]:
    """Return the names of an archive of empty files; `jars` are nested ones, by their path with `_` for `/` and
    without `.jar`.
    """
    members = dict.fromkeys(paths, b"") | {f"{path.replace('_', '/')}.jar": body for path, body in jars.items()}
    return list(read_jar(io.BytesIO(jar(members)), LIMITS, FALLBACK).names)


def test_a_package_stands_for_all_below_it() -> None:
    assert names(
        "META-INF/MANIFEST.MF",
        "org/apache/commons/lang3/StringUtils.class",
        "org/apache/commons/lang3/builder/Builder.class",
        "org/apache/commons/lang3/text/translate/Translator.class",
    ) == ["org.apache.commons.lang3"]


def test_packages_side_by_side_are_all_named() -> None:
    assert names("a/b/C.class", "a/bc/C.class", "a/b1/C.class", "z/C.class") == ["a.b", "a.b1", "a.bc", "z"]


def test_a_folder_without_a_class_of_its_own_is_no_package() -> None:
    assert names(
        "org/", "org/example/", "org/example/a/A.class", "org/example/b/B.class", "org/example/readme.txt"
    ) == [
        "org.example.a",
        "org.example.b",
    ]


def test_classes_of_other_java_releases_belong_to_their_package() -> None:
    assert names("a/A.class", "META-INF/versions/11/a/b/B.class", "META-INF/versions/21/c/C.class") == ["a", "c"]


def test_a_package_that_is_only_described_is_one() -> None:
    assert names("a/package-info.class", "a/b/B.class") == ["a"]


@pytest.mark.parametrize(
    "path",
    [
        "module-info.class",
        "META-INF/versions/9/module-info.class",
        "META-INF/A.class",
        "META-INF/versions/A.class",
        "InTheDefaultPackage.class",
        "1.0/com/sun/A.class",
        "some-folder/A.class",
        "lombok/core/A.SCL.lombok",
        "a/A.java",
        "a/A.kt",
        "a/A.clj",
        "a/A.knm",
        "a/A$Nested.class",
        "a/resource.properties",
        "BOOT-INF/lib/inner.jar",
        "pakkaße/A.class",
    ],
)
def test_what_no_import_can_name_is_left_out(path: str) -> None:
    assert names(path) == list(FALLBACK)


def test_shaded_classes_count_where_they_are_now() -> None:
    assert names("org/own/A.class", "org/own/shaded/asm/Visitor.class", "com/other/B.class") == ["com.other", "org.own"]


@pytest.mark.parametrize("folder", ["WEB-INF/classes", "BOOT-INF/classes"])
def test_the_classes_of_an_application_lie_in_a_folder_of_their_own(folder: str) -> None:
    assert names(f"{folder}/org/app/Main.class", "org/springframework/boot/loader/Launcher.class") == [
        "org.app",
        "org.springframework.boot.loader",
    ]


def test_the_classes_of_kotlin_and_scala_are_classes() -> None:
    assert names(
        "okio/Okio.class", "okio/-DeprecatedOkio.class", "META-INF/okio.kotlin_module", "okio/Okio__OkioKt.class"
    ) == ["okio"]
    assert names("scala/util/parsing/Parser.class", "scala/util/parsing/package$.class") == ["scala.util.parsing"]


@pytest.mark.parametrize(
    "path",
    [
        "acme/syntax/Syntax$package.class",
        "acme/syntax/Syntax$package$.class",
        "acme/syntax/syntax$minustools$package.class",
        "acme/syntax/package.class",
        "acme/syntax/package$.class",
        "acme/syntax/Only$.class",
        "acme/syntax/$colon$colon.class",
        "acme/syntax/$less$tilde$greater$.class",
        "acme/syntax/ToolsKt.class",
        "META-INF/versions/11/acme/syntax/Syntax$package.class",
    ],
)
def test_what_scala_and_kotlin_define_outside_of_a_class_makes_a_package(path: str) -> None:
    assert names(path) == ["acme.syntax"]


@pytest.mark.parametrize(
    "path", ["acme/A$B$.class", "acme/A$package$B.class", "acme/A$$anon$1.class", "acme/A$1.class"]
)
def test_a_nested_class_makes_no_package_in_scala_either(path: str) -> None:
    assert names(path) == list(FALLBACK)


def test_a_jar_inside_of_a_program_and_one_with_bytes_behind_it_have_their_packages() -> None:
    body = jar({"BOOT-INF/classes/com/acme/App.class": b"", "org/springframework/boot/loader/Launcher.class": b""})

    for padded in (b"#!/bin/bash\nexec java -jar $0\n" + body, body + bytes(3000), b"MZ" + body + b"\n"):
        found = read_jar(io.BytesIO(padded), LIMITS, FALLBACK)
        assert found.names == ("com.acme", "org.springframework.boot.loader")
        assert found.error is None


def test_only_the_end_of_a_program_is_read_for_the_packages_of_the_jar_in_it() -> None:
    body = b"#!/bin/sh\n" + bytes(100_000) + jar({"data.bin": bytes(100_000), "a/A.class": bytes(100_000)}) + b"\n\n"
    tail = SparseFile(len(body), [(len(body) - 70_000, body[-70_000:])])

    assert read_jar(cast(BinaryIO, tail), LIMITS, FALLBACK).names == ("a",)


def test_the_classes_of_an_aar_lie_in_the_jars_inside() -> None:
    classes = jar({"timber/log/Timber.class": b""})
    library = jar({"own/lib/A.class": b""})
    lint = jar({"timber/lint/Issue.class": b""})

    assert names("AndroidManifest.xml", "R.txt", classes=classes, libs_own=library, lint=lint) == [
        "own.lib",
        "timber.log",
    ]


def test_a_jar_that_carries_another_one_does_not_offer_its_packages() -> None:
    inner = jar({"org/inner/A.class": b""})

    assert names("org/own/A.class", classes=inner, libs_inner=inner) == ["org.own"]


def test_an_archive_without_any_class_is_known_by_the_fallback() -> None:
    assert names() == list(FALLBACK)
    assert names("META-INF/MANIFEST.MF", "META-INF/resources/webjars/a.css") == list(FALLBACK)


def test_a_broken_jar_inside_an_aar_costs_its_own_classes() -> None:
    body = jar({"AndroidManifest.xml": b"", "classes.jar": jar({"a/A.class": b""}), "libs/x.jar": b"nothing"})

    found = read_jar(io.BytesIO(body), LIMITS, FALLBACK)

    assert found.names == ("a",)
    assert found.error == "libs/x.jar cannot be read (no end record: not a zip, or cut off)"


@pytest.mark.parametrize(
    "jars",
    [
        {"classes": b"nothing"},
        {"classes": jar({"a/A.class": b""})} | dict.fromkeys((f"libs_{number}" for number in range(5)), b"nothing"),
    ],
)
def test_an_aar_is_refused_if_no_jar_inside_has_names_or_many_are_broken(jars: dict[str, bytes]) -> None:
    with pytest.raises(ArchiveRefused) as caught:
        names("AndroidManifest.xml", **jars)
    assert caught.value.reason == "not_a_zip"


def test_what_is_no_zip_is_refused() -> None:
    with pytest.raises(ArchiveRefused):
        read_jar(io.BytesIO(b"<html>"), LIMITS, FALLBACK)


def test_only_the_directory_of_a_jar_is_read() -> None:
    body = jar({"data.bin": bytes(100_000), "a/A.class": bytes(100_000)})
    tail = SparseFile(len(body), [(len(body) - 1000, body[-1000:])])

    assert read_jar(cast(BinaryIO, tail), LIMITS, FALLBACK).names == ("a",)


def test_of_an_aar_the_jar_inside_is_asked_for() -> None:
    body = jar({"AndroidManifest.xml": b"", "classes.jar": jar({"a/A.class": b""}), "res.bin": bytes(100_000)})
    tail = SparseFile(len(body), [(len(body) - 1000, body[-1000:])])

    with pytest.raises(MissingBytes):
        read_jar(cast(BinaryIO, tail), LIMITS, FALLBACK)


@given(st.lists(st.lists(st.sampled_from(["a", "b", "ab", "a_", "A"]), min_size=1, max_size=4).map(".".join)))
def test_every_package_lies_below_exactly_one_that_is_named(packages: list[str]) -> None:
    kept = shortest(packages)

    assert set(kept) <= set(packages)
    for package in packages:
        assert len([name for name in kept if f"{package}.".startswith(f"{name}.")]) == 1
