"""A packument, however wild, becomes a package or a clear error."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.errors import IngestError, Malformed, NotFound
from securechain_ingest.model import Package
from securechain_ingest.registries.kit.dates import utc_seconds
from securechain_ingest.registries.npm.names import identify
from securechain_ingest.registries.npm.packument import parse_packument, requirements

URL = "https://registry.example/some-package"


def parse(document: object, name: str = "some-package") -> Package:
    return parse_packument(json.dumps(document).encode(), identify(name), URL)


def packument(*versions: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": "some-package",
        "dist-tags": {"latest": versions[-1]} if versions else {},
        "versions": {
            version: {
                "name": "some-package",
                "version": version,
                "dist": {"tarball": f"https://files.example/{version}.tgz"},
            }
            for version in versions
        },
        "time": {version: f"2020-01-0{number + 1}T12:34:56.789Z" for number, version in enumerate(versions)},
        **fields,
    }


def needs(dependencies: object) -> dict[str, str] | None:
    found = requirements(dependencies)
    return None if found is None else {requirement.target.purl: requirement.constraints for requirement in found}


def test_every_version_is_listed_with_its_date_and_purl() -> None:
    package = parse(packument("1.0.0", "2.0.0-beta+b", "weird"))

    assert [(version.name, version.purl, version.release_date) for version in package.versions] == [
        ("1.0.0", "pkg:npm/some-package@1.0.0", "2020-01-01T12:34:56Z"),
        ("2.0.0-beta+b", "pkg:npm/some-package@2.0.0-beta%2Bb", "2020-01-02T12:34:56Z"),
        ("weird", "pkg:npm/some-package@weird", "2020-01-03T12:34:56Z"),
    ]


def test_a_version_that_only_time_names_is_unpublished_and_not_listed() -> None:
    document = packument("1.0.0")
    document["time"] |= {"0.9.0": "2019-01-01T00:00:00.000Z", "created": "2019-01-01T00:00:00.000Z"}

    assert [version.name for version in parse(document).versions] == ["1.0.0"]


def test_a_deprecated_version_is_marked_and_stays_a_version() -> None:
    document = packument("1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0")
    for version, mark in zip(document["versions"].values(), ["use other", True, "", False, None], strict=True):
        version["deprecated"] = mark

    assert [version.deprecated for version in parse(document).versions] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2021-05-11T14:05:36.123Z", "2021-05-11T14:05:36Z"),
        ("2021-05-11T14:05:36Z", "2021-05-11T14:05:36Z"),
        ("2021-05-11T16:05:36+02:00", "2021-05-11T14:05:36Z"),
        ("2021-05-11T14:05:36", "2021-05-11T14:05:36Z"),
        ("yesterday", None),
        ("0001-01-01T00:00:00+23:00", None),
        (1620741936, None),
        (None, None),
    ],
)
def test_a_release_date_is_utc_to_the_second_or_absent(time: object, expected: str | None) -> None:
    assert utc_seconds(time) == expected


def test_a_packument_without_dates_still_gives_its_versions() -> None:
    document = packument("1.0.0")
    del document["time"]

    assert [(version.name, version.release_date) for version in parse(document).versions] == [("1.0.0", None)]


def test_only_runtime_dependencies_become_requirements() -> None:
    document = packument("1.0.0")
    document["versions"]["1.0.0"] |= {
        "dependencies": {"a": "^1"},
        "devDependencies": {"b": "1"},
        "peerDependencies": {"c": "1"},
        "optionalDependencies": {"d": "1"},
    }
    found = parse(document).versions[0].requirements

    assert found is not None
    assert [(requirement.target.purl, requirement.constraints) for requirement in found] == [("pkg:npm/a", "^1")]


def test_what_is_optional_too_has_its_range_there() -> None:
    """npm takes an entry of `dependencies` away that `optionalDependencies` repeats."""
    document = packument("1.0.0")
    document["versions"]["1.0.0"] |= {
        "dependencies": {"a": "^1", "b": "^1", "c": "^1"},
        "optionalDependencies": {"a": "npm:other@^2", "b": None, "d": "^1"},
    }
    found = parse(document).versions[0].requirements

    assert found is not None
    assert {each.target.name: each.constraints for each in found} == {"other": "^2", "b": "^1", "c": "^1"}


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"a": "npm:b@^1"}, {"pkg:npm/b": "^1"}),
        ({"a": "npm:@s/b@1"}, {"pkg:npm/%40s/b": "1.x"}),
        ({"a": "npm:b"}, {"pkg:npm/b": "any"}),
        ({"a": "NPM:b@1"}, {"pkg:npm/b": "1.x"}),
        ({"a": "Npm:@s/b"}, {"pkg:npm/%40s/b": "any"}),
        ({"a": "npm:b@"}, {"pkg:npm/b": "any"}),
        ({"a": "npm:@s/b"}, {"pkg:npm/%40s/b": "any"}),
        ({"a": "npm:b@latest"}, {"pkg:npm/b": "latest"}),
        ({"b": "^2", "a": "npm:b@^1"}, {"pkg:npm/b": "^2 || ^1"}),
        ({"b": "*", "a": "npm:b@^1"}, {"pkg:npm/b": "any"}),
    ],
)
def test_an_alias_requires_the_package_that_it_stands_for(declared: dict[str, str], expected: dict[str, str]) -> None:
    assert needs(declared) == expected


@pytest.mark.parametrize("text", [None, 1, 1.5, True, [], ["^1"], {"version": "1"}, ""])
def test_a_constraint_that_is_no_text_constrains_nothing(text: object) -> None:
    assert needs({"a": text}) == {"pkg:npm/a": "any"}


def test_a_dependency_that_no_package_can_be_named_is_left_out() -> None:
    assert needs({"": "1", "a b": "1", "../x": "1", "a": "npm:not a name@1", "b": "2"}) == {"pkg:npm/b": "2.x"}


@pytest.mark.parametrize("none", [None, {}, [], ""])
def test_absent_dependencies_are_none(none: object) -> None:
    assert needs(none) == {}


@pytest.mark.parametrize("unclear", [["a"], "a@1", 1, True])
def test_dependencies_of_another_form_are_unknown(unclear: object) -> None:
    assert needs(unclear) is None


@pytest.mark.parametrize(
    ("versions", "latest", "default"),
    [
        (["1.0.0", "2.0.0", "1.1.0"], "1.1.0", "1.1.0"),
        (["1.0.0", "2.0.0-rc.1", "1.1.0"], "9.9.9", "1.1.0"),
        (["1.0.0", "1.10.0", "1.9.0"], None, "1.10.0"),
        (["1.0.0-a", "1.0.0-b", "zzz"], 7, "1.0.0-b"),
        (["one", "two"], None, "two"),
    ],
)
def test_the_artifact_is_that_of_the_default_version(versions: list[str], latest: object, default: str) -> None:
    artifacts = parse(packument(*versions, **{"dist-tags": {"latest": latest}})).artifacts

    assert [(artifact.version, artifact.url, artifact.filename) for artifact in artifacts] == [
        (default, f"https://files.example/{default}.tgz", f"{default}.tgz")
    ]


@pytest.mark.parametrize(
    ("deprecated", "latest", "default"),
    [
        (["2.0.0"], "2.0.0", "1.1.0"),
        (["2.0.0", "1.1.0"], "2.0.0", "1.0.0"),
        (["1.0.0"], "2.0.0", "2.0.0"),
        (["1.0.0"], "1.0.0", "2.0.0"),
        (["3.0.0-rc.1", "2.0.0", "1.1.0", "1.0.0"], "1.0.0", "2.0.0"),
        (["3.0.0-rc.1", "2.0.0", "1.1.0", "1.0.0"], None, "2.0.0"),
        (["3.0.0-rc.1"], "3.0.0-rc.1", "2.0.0"),
        (["2.0.0", "1.1.0", "1.0.0"], None, "2.0.0"),
    ],
)
def test_npm_takes_a_deprecated_version_only_where_all_are(deprecated: list[str], latest: object, default: str) -> None:
    document = packument("1.0.0", "1.1.0", "2.0.0", "3.0.0-rc.1", **{"dist-tags": {"latest": latest}})
    for version in deprecated:
        document["versions"][version]["deprecated"] = "use other"

    assert [artifact.version for artifact in parse(document).artifacts] == [default]


@pytest.mark.parametrize(
    "dist", [None, {}, [], {"tarball": None}, {"tarball": "file:///etc/passwd"}, {"tarball": "http://[::1/x"}]
)
def test_a_version_without_a_tarball_gives_a_package_without_artifacts(dist: object) -> None:
    document = packument("1.0.0")
    document["versions"]["1.0.0"]["dist"] = dist

    assert parse(document).artifacts == ()


def test_a_version_that_is_no_object_is_still_a_version() -> None:
    document = packument("1.0.0")
    document["versions"]["2.0.0"] = None

    assert [version.name for version in parse(document).versions] == ["1.0.0", "2.0.0"]


REPOSITORY = "https://github.com/some-owner/some-repo"


@pytest.mark.parametrize(
    "fields",
    [
        {"repository": {"type": "git", "url": f"git+{REPOSITORY}.git"}},
        {"repository": {"type": "git", "url": "git+ssh://git@github.com/some-owner/some-repo.git"}},
        {"repository": {"type": "git", "url": "git://github.com/some-owner/some-repo.git", "directory": "packages/a"}},
        {"repository": [{"type": "git", "url": f"{REPOSITORY}.git"}]},
        {"repository": REPOSITORY},
        {"repository": "github:some-owner/some-repo"},
        {"repository": "some-owner/some-repo"},
        {"homepage": f"{REPOSITORY}#readme"},
        {"bugs": {"url": f"{REPOSITORY}/issues"}},
        {"repository": None, "homepage": 7, "bugs": f"{REPOSITORY}/issues"},
    ],
)
def test_the_repository_is_found_in_any_form_and_its_owner_is_the_vendor(fields: dict[str, Any]) -> None:
    package = parse(packument("1.0.0", **fields))

    assert (package.repository_url, package.vendor) == (REPOSITORY, "some-owner")


def test_the_default_version_knows_the_repository_that_the_document_lacks() -> None:
    document = packument("1.0.0", homepage="https://github.com/other/site")
    document["versions"]["1.0.0"]["repository"] = {"url": f"{REPOSITORY}.git"}

    assert parse(document).repository_url == REPOSITORY


@pytest.mark.parametrize("repository", [None, 5, [], [[]], {}, {"url": None}, "", "https://example.org/x"])
def test_without_a_repository_the_scope_is_the_vendor(repository: object) -> None:
    scoped = parse(packument("1.0.0", name="@babel/core", repository=repository), "@babel/core")
    plain = parse(packument("1.0.0", repository=repository))

    assert (scoped.repository_url, scoped.vendor) == ("n/a", "@babel")
    assert (plain.repository_url, plain.vendor) == ("n/a", "n/a")


def test_the_registry_s_own_spelling_counts() -> None:
    package = parse(packument("1.0.0", name="JSONStream"), "jsonstream")

    assert (package.ref.registry_name, package.ref.name) == ("JSONStream", "jsonstream")
    assert package.versions[0].purl == "pkg:npm/JSONStream@1.0.0"


def test_a_security_holding_package_has_its_one_version() -> None:
    assert [version.name for version in parse(packument("0.0.1-security")).versions] == ["0.0.1-security"]


def test_a_readme_that_was_cut_within_a_character_is_no_harm() -> None:
    body = json.dumps(packument("1.0.0", readme="@")).replace("@", r"cut \ud83d").encode()

    assert len(parse_packument(body, identify("some-package"), URL).versions) == 1


def test_an_unpublished_package_is_not_found_and_says_why() -> None:
    with pytest.raises(NotFound, match="some-package has been unpublished"):
        parse({"name": "some-package", "time": {"unpublished": {"time": "2022-01-14T12:34:23.941Z"}}})


@pytest.mark.parametrize("versions", [{}, None, [], "1.0.0"])
def test_a_package_that_has_dates_and_no_versions_is_not_found(versions: object) -> None:
    with pytest.raises(NotFound, match="no versions"):
        parse({"name": "some-package", "versions": versions, "time": {"created": "2022-01-14T12:34:23.941Z"}})


@pytest.mark.parametrize("versions", [{}, None, [], "1.0.0"])
def test_a_document_that_tells_neither_versions_nor_dates_is_malformed(versions: object) -> None:
    with pytest.raises(Malformed, match="not a package document"):
        parse({"name": "some-package", "versions": versions, "time": {}})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!DOCTYPE html><html><body>Service page</body></html>",
        b"[]",
        b"null",
        b"{}",
        b'{"error":"not_found"}',
        b'{"versions":{"1.0.0":{}}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"name":"other","versions":{"1.0.0":{}}}',
        b'{"name":7,"versions":{"1.0.0":{}}}',
    ],
)
def test_what_is_no_packument_of_this_package_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        parse_packument(body, identify("some-package"), URL)
    assert caught.value.url == URL


def test_a_package_crosses_processes() -> None:
    package = parse(packument("1.0.0"))

    assert pickle.loads(pickle.dumps(package)) == package


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.just("some-package"),
            "dist-tags": _json | st.fixed_dictionaries({"latest": _json}),
            "time": _json | st.dictionaries(st.sampled_from(["1.0.0", "unpublished"]), _json),
            "repository": _json | st.fixed_dictionaries({"url": _json}),
            "homepage": _json,
            "bugs": _json,
            "versions": _json
            | st.dictionaries(
                st.sampled_from(["1.0.0", "v2", "", " ", "x", "1.0.0-a"]),
                _json
                | st.fixed_dictionaries(
                    {}, optional={"dependencies": _json, "deprecated": _json, "dist": _json, "repository": _json}
                ),
            ),
        },
    )
)
def test_any_document_is_a_package_with_versions_or_an_error_of_ours(document: dict[str, Any]) -> None:
    try:
        package = parse(document)
    except IngestError:
        return
    assert package.versions
    assert package.vendor
    assert all(version.name.strip() and version.purl for version in package.versions)
