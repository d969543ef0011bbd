"""This tests PyPI's documents as data, in whatever shape they come."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from securechain_ingest.errors import Malformed
from securechain_ingest.model import Package
from securechain_ingest.registries.pypi.documents import (
    ProjectDocument,
    parse_project,
    parse_simple,
    parse_version,
    releases_of,
)
from securechain_ingest.registries.pypi.names import identify
from securechain_ingest.registries.pypi.package import assemble, default_version

URL = "https://index.example/pypi/some-package/json"
REF = identify("some.package")
REPOSITORY = "https://github.com/some-owner/some-repo"


def file(filename: str, **fields: Any) -> dict[str, Any]:
    return {
        "filename": filename,
        "url": f"https://files.example/{filename}",
        "size": 10,
        "upload_time": "2020-01-02T03:04:05",
        "upload_time_iso_8601": "2020-01-02T03:04:05.678901Z",
        "yanked": False,
    } | fields


WHEEL = file("some_package-1.0-py3-none-any.whl")
SDIST = file("some_package-1.0.tar.gz", upload_time_iso_8601="2020-01-02T03:03:00.000000Z")


def project(releases: object = None, urls: object = None, **info: Any) -> ProjectDocument:
    document = {
        "info": {"name": "Some_Package", "version": "1.0", "requires_dist": None} | info,
        "releases": {"1.0": [WHEEL, SDIST]} if releases is None else releases,
        "urls": [WHEEL, SDIST] if urls is None else urls,
    }
    return parse_project(orjson.dumps(document), REF, URL)


def package(releases: object = None, **info: Any) -> Package:
    parsed = project(releases, **info)
    assert parsed.releases is not None
    return assemble(parsed, parsed.releases, {}, "etag")


def test_the_registrys_spelling_of_the_name_is_kept() -> None:
    ref = project().ref

    assert (ref.registry_name, ref.name, ref.purl) == ("Some_Package", "some_package", "pkg:pypi/some-package")


def test_a_version_has_the_date_of_its_first_file() -> None:
    assert [version.release_date for version in package().versions] == ["2020-01-02T03:03:00Z"]


@pytest.mark.parametrize(
    ("fields", "date"),
    [
        ({"upload_time_iso_8601": None}, "2020-01-02T03:04:05Z"),
        ({"upload_time_iso_8601": "2020-01-02T05:04:05+02:00"}, "2020-01-02T03:04:05Z"),
        ({"upload_time_iso_8601": "yesterday"}, None),
        ({"upload_time_iso_8601": 7, "upload_time": 7}, None),
        ({"upload_time_iso_8601": "", "upload_time": None}, None),
    ],
)
def test_dates_of_any_layout_are_utc_to_the_second(fields: dict[str, object], date: str | None) -> None:
    (version,) = package({"1.0": [WHEEL | fields]}).versions

    assert version.release_date == date


def test_versions_without_files_are_versions_without_a_date() -> None:
    found = {version.name: version for version in package({"1.0": [WHEEL], "0.9": [], "0.8": None}).versions}

    assert set(found) == {"1.0", "0.9", "0.8"}
    assert (found["0.9"].release_date, found["0.9"].yanked, found["0.9"].requirements) == (None, False, None)


def test_a_version_is_yanked_if_all_of_its_files_are() -> None:
    yanked = WHEEL | {"yanked": True}
    releases = {"1.0": [yanked, yanked], "2.0": [yanked, SDIST], "3.0": [{**WHEEL, "yanked": "a reason"}], "4.0": []}

    assert [version.name for version in package(releases).versions if version.yanked] == ["1.0", "3.0"]


def test_the_version_purl_is_encoded() -> None:
    (version,) = package({"1!1.0+x": [WHEEL]}, version="1!1.0+x").versions

    assert version.purl == "pkg:pypi/some-package@1%211.0%2Bx"


@pytest.mark.parametrize(
    ("versions", "latest", "expected"),
    [
        (["1.0", "2.0", "3.0rc1"], "2.0", "2.0"),
        (["1.0", "2.0", "3.0rc1"], "9.9", "2.0"),
        (["1.0", "2.0", "3.0rc1"], None, "2.0"),
        (["1.9", "1.10", "not-a-version"], None, "1.10"),
        (["2.0rc1", "1.0a1"], None, "2.0rc1"),
        (["not-a-version", "other"], None, "other"),
    ],
)
def test_the_default_version_is_what_pip_takes(versions: list[str], latest: str | None, expected: str) -> None:
    releases = project({version: [WHEEL] for version in versions}).releases

    assert releases is not None
    assert default_version(latest, releases) == expected


YANKED = WHEEL | {"yanked": True}
EGG = WHEEL | {"filename": "some_package-2.0-py3.egg"}


@pytest.mark.parametrize(
    ("releases", "latest", "expected"),
    [
        ({"1.0": [WHEEL], "2.0": []}, "2.0", "1.0"),
        ({"1.0": [WHEEL], "2.0": [YANKED], "3.0": []}, None, "1.0"),
        ({"1.0": [WHEEL], "2.0": [YANKED]}, "2.0", "1.0"),
        ({"1.0": [SDIST], "2.0": [EGG]}, "2.0", "1.0"),
        ({"1.0": [WHEEL], "2.0": [YANKED, SDIST]}, "1.0", "2.0"),
        ({"1.0": [WHEEL], "2.0rc1": [WHEEL]}, "2.0rc1", "1.0"),
        ({"1.0": [], "2.0rc1": [WHEEL]}, "1.0", "2.0rc1"),
        ({"1.0": [YANKED], "2.0rc1": [WHEEL]}, "1.0", "2.0rc1"),
        ({"1.0": [WHEEL], "2.0": [WHEEL | {"requires_python": ">=3.99"}]}, "2.0", "1.0"),
        ({"1.0": [WHEEL], "2.0": [WHEEL | {"requires_python": ">=3.8, <4"}]}, "1.0", "2.0"),
        ({"1.0": [WHEEL], "2.0": [WHEEL | {"requires_python": ">=3.x"}]}, None, "2.0"),
        ({"1.0": [WHEEL | {"requires_python": "<3"}], "2.0": [WHEEL | {"requires_python": "<3"}]}, None, "2.0"),
        ({"1.0": [YANKED], "2.0": [YANKED], "3.0": []}, None, "2.0"),
        ({"1.0": [], "2.0": []}, "1.0", "2.0"),
        ({"1.0": [WHEEL], "1.0.0": []}, "1.0.0", "1.0"),
    ],
)
def test_the_default_version_is_the_newest_that_pip_takes(
    releases: dict[str, list[dict[str, object]]], latest: str | None, expected: str
) -> None:
    found = project(releases).releases

    assert found is not None
    assert default_version(latest, found) == expected


def artifacts(*filenames: str) -> list[str]:
    files = [file(filename) for filename in filenames]
    return [artifact.filename for artifact in package({"1.0": files}).artifacts]


def test_import_names_are_read_from_the_pure_wheel_then_from_the_source() -> None:
    assert artifacts("a-1.0.zip", "a-1.0.tar.gz", "a-1.0-cp311-cp311-linux_x86_64.whl", "a-1.0-py3-none-any.whl") == [
        "a-1.0-py3-none-any.whl",
        "a-1.0.tar.gz",
    ]


@pytest.mark.parametrize(
    "wheels",
    [
        ("a-1.0-cp39-abi3-manylinux_2_17_x86_64.whl", "a-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"),
        ("a-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "a-1.0-cp311-cp311-win_amd64.whl"),
        ("a-1.0-cp311-cp311-musllinux_1_1_x86_64.whl", "a-1.0-cp311-cp311-manylinux_2_17_aarch64.whl"),
        ("a-1.0-1-py2.py3-none-any.whl", "a-1.0-py2-none-any.whl"),
        ("a-1.0-cp311-cp311-win_amd64.whl", "a-1.0-cp27-cp27mu-manylinux1_x86_64.whl"),
        ("a-1.0-py36-none-any.whl", "a-1.0-py27-none-any.whl"),
        ("a-1.0-py36.py37-none-any.whl", "a-1.0-py2-none-any.whl"),
        ("a-1.0-cp311-cp311-manylinux1_x86_64.whl", "a-1.0-cp310-cp310-manylinux1_x86_64.whl"),
        ("a-1.0-2-py3-none-any.whl", "a-1.0-1-py3-none-any.whl"),
        ("a-1.0-10x-py3-none-any.whl", "a-1.0-9x-py3-none-any.whl"),
        ("a-1.0-1-py3-none-any.whl", "a-1.0-py3-none-any.whl"),
        ("a-1.0-cp311-cp311-linux_x86_64.whl", "a-1.0-2-cp310-cp310-linux_x86_64.whl"),
    ],
)
def test_of_several_wheels_the_one_for_python_3_on_linux_is_read(wheels: tuple[str, str]) -> None:
    assert artifacts(*wheels) == [wheels[0]]
    assert artifacts(*reversed(wheels)) == [wheels[0]]


def test_installers_and_eggs_are_not_read() -> None:
    assert artifacts("a-1.0.win32.exe", "a-1.0-py2.7.egg", "a-1.0.rpm") == []


def test_a_file_that_lies_nowhere_is_not_read() -> None:
    nowhere = [WHEEL | {"url": "ftp://files.example/x.whl"}, SDIST | {"url": None}, SDIST | {"url": "http://[::1/x"}]
    assert package({"1.0": nowhere}).artifacts == ()


@pytest.mark.parametrize(
    "info",
    [
        {"project_urls": {"Source": REPOSITORY}},
        {"project_urls": {"Homepage": "https://github.com/other/site", "Source Code": f"{REPOSITORY}/tree/main"}},
        {"project_urls": {"Funding": "https://github.com/sponsors/x", "Repository": f"git+{REPOSITORY}.git"}},
        {"project_urls": {"GitHub: main": REPOSITORY}, "home_page": "https://example.org"},
        {"project_urls": {"Bug Tracker": f"{REPOSITORY}/issues"}, "home_page": "https://some-owner.github.io/x"},
        {"project_urls": None, "home_page": f"{REPOSITORY}#readme"},
        {"project_urls": ["https://example.org"], "home_page": 7, "download_url": f"{REPOSITORY}/archive/1.0.tar.gz"},
        {
            "project_urls": {
                "Docs": None,
                "Sponsor": "https://github.com/a/b",
                "Code": "github.com/some-owner/some-repo",
            }
        },
        {"home_page": "UNKNOWN", "bugtrack_url": f"{REPOSITORY}/issues"},
    ],
)
def test_the_repository_is_found_wherever_it_is_told_and_its_owner_is_the_vendor(info: dict[str, Any]) -> None:
    found = package(**info)

    assert (found.repository_url, found.vendor) == (REPOSITORY, "some-owner")


@pytest.mark.parametrize(
    "info", [{}, {"home_page": "https://example.org"}, {"home_page": "docs/index"}, {"project_urls": {"Source": ""}}]
)
def test_without_a_repository_neither_it_nor_the_vendor_is_known(info: dict[str, Any]) -> None:
    found = package(**info)

    assert (found.repository_url, found.vendor) == ("n/a", "n/a")


def test_the_requirements_of_the_latest_version_come_with_the_project() -> None:
    declared = project(requires_dist=["other>=1", "third; extra == 'x'", "???"]).requires

    assert declared is not None
    assert [(r.target.name, r.constraints) for r in declared.requirements] == [("other", ">=1")]
    assert declared.unreadable == ("???",)


def test_no_requirements_beside_a_wheel_are_none_and_beside_a_source_archive_unknown() -> None:
    from_wheel, from_sdist = project().requires, project(urls=[SDIST]).requires

    assert from_wheel is not None
    assert from_wheel.requirements == ()
    assert from_sdist is None


def test_a_project_document_without_its_releases_says_so() -> None:
    document = orjson.dumps({"info": {"name": "some-package", "version": "1.0"}, "urls": [WHEEL]})

    assert parse_project(document, REF, URL).releases is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"info": null, "releases": null}',
        b'{"info": {"name": "another-package"}, "releases": {}}',
        b'{"info": {"name": "../x"}, "releases": {}}',
    ],
)
def test_what_is_not_this_project_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        parse_project(body, REF, URL)

    assert caught.value.url == URL


def simple(**fields: Any) -> bytes:
    files = [
        file("some_package-1.0-py3-none-any.whl", **{"core-metadata": {"sha256": "x"}}),
        file("some_package-1.0.0.tar.gz", **{"upload-time": "2020-01-01T00:00:00Z"}),
        file("some-package-2.0.zip", url="../../files/some-package-2.0.zip#sha256=x"),
        file("some_package-2.0.win32.exe"),
    ]
    return orjson.dumps({"name": "some-package", "versions": ["1.0", "2.0", "3.0"], "files": files} | fields)


@pytest.mark.parametrize(
    ("fields", "offered"),
    [
        ({"core-metadata": True}, True),
        ({"core-metadata": {"sha256": "x"}}, True),
        ({"core-metadata": {}}, True),
        ({"data-dist-info-metadata": {"sha256": "x"}}, True),
        ({"core-metadata": False, "data-dist-info-metadata": {"sha256": "x"}}, False),
        ({"core-metadata": False}, False),
        ({"core-metadata": None}, False),
        ({}, False),
    ],
)
def test_the_list_of_files_tells_whose_metadata_is_offered(fields: dict[str, object], offered: bool) -> None:
    page = parse_simple(simple(files=[WHEEL | fields]), REF, URL)

    assert [listed.has_metadata for listed in page.files] == [offered]


def test_the_list_of_files_stands_in_for_a_project_document_without_releases() -> None:
    releases = releases_of(parse_simple(simple(), REF, "https://index.example/simple/some-package/"))

    assert {version: [listed.filename for listed in files] for version, files in releases.items()} == {
        "1.0": ["some_package-1.0-py3-none-any.whl", "some_package-1.0.0.tar.gz"],
        "2.0": ["some-package-2.0.zip"],
        "3.0": [],
    }
    assert releases["2.0"][0].url == "https://index.example/files/some-package-2.0.zip"


def test_an_older_list_of_files_tells_the_versions_by_their_names() -> None:
    assert set(releases_of(parse_simple(simple(versions=None), REF, URL))) == {"1.0", "2.0"}


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"files": {}}'])
def test_what_is_no_list_of_files_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse_simple(body, REF, URL)


_json: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.text(max_size=5)
    | st.sampled_from(["1.0", "x.whl", "http://x"]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)
_file = _json | st.fixed_dictionaries(
    {"filename": _json | st.just("a-1.0-py3-none-any.whl"), "url": _json | st.just("http://x/a")},
    optional={"size": _json, "upload_time": _json, "yanked": _json, "core-metadata": _json},
)
_info = st.fixed_dictionaries(
    {},
    optional={
        "version": _json,
        "requires_dist": _json,
        "project_urls": _json | st.dictionaries(st.text(max_size=6), _json, max_size=2),
        "home_page": _json,
        "download_url": _json,
    },
)


@given(
    st.fixed_dictionaries(
        {"info": _info, "urls": _json, "releases": st.dictionaries(st.text(), _json | st.lists(_file))}
    )
)
def test_any_shape_of_a_project_is_read(document: dict[str, Any]) -> None:
    parsed = parse_project(orjson.dumps(document), REF, URL)

    assert parsed.releases is not None
    if parsed.releases:
        found = assemble(parsed, parsed.releases, {}, None)
        assert {version.name for version in found.versions} == {name for name in document["releases"] if name.strip()}


@given(
    _json | st.fixed_dictionaries({"info": st.none() | st.text() | st.lists(_json), "releases": st.none() | st.text()})
)
def test_json_without_a_table_of_information_or_releases_is_malformed(document: Any) -> None:
    assume(
        not isinstance(document, dict) or not any(isinstance(document.get(key), dict) for key in ("info", "releases"))
    )
    with pytest.raises(Malformed):
        parse_project(orjson.dumps(document), REF, URL)


@given(st.fixed_dictionaries({"files": st.lists(_file), "versions": _json}))
def test_any_shape_of_a_list_of_files_is_read(document: dict[str, Any]) -> None:
    releases_of(parse_simple(orjson.dumps(document), REF, URL))


@given(st.fixed_dictionaries({"info": _info, "urls": _json}))
def test_any_shape_of_a_version_is_read(document: dict[str, Any]) -> None:
    declared = parse_version(orjson.dumps(document), REF, URL)

    assert declared is None or all(requirement.constraints for requirement in declared.requirements)
