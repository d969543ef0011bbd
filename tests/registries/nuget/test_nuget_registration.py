"""This tests registrations: every shape that servers give them, and what becomes of each field."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from securechain_ingest.errors import Malformed, NotFound
from securechain_ingest.model import Package
from securechain_ingest.registries.nuget.names import identify
from securechain_ingest.registries.nuget.registration import package_of, parse_registration, requirements
from securechain_ingest.registries.nuget.service_index import Services, found_names, parse_service_index

URL = "https://registry.example/v3/registration5-gz-semver2/acme/index.json"
CONTENTS = "https://registry.example/v3-flatcontainer"


def leaf(version: str = "1.0.0", **fields: Any) -> dict[str, Any]:
    return {"catalogEntry": {"id": "Acme", "version": version, "published": "2020-02-08T01:42:24.89+00:00"} | fields}


def package(*leaves: dict[str, Any], contents: str | None = CONTENTS) -> Package:
    document = parse_registration(
        orjson.dumps({"items": [{"count": len(leaves), "items": leaves}]}), identify("acme"), URL
    )
    return package_of(identify("acme"), [document], contents, URL)


def edges(*groups: dict[str, Any]) -> dict[str, str]:
    return {need.target.purl: need.constraints for need in requirements(list(groups))}


def group(framework: str | None = None, **ranges: str | None) -> dict[str, Any]:
    dependencies = [{"id": name.replace("_", "."), "range": declared} for name, declared in ranges.items()]
    return {"dependencies": dependencies} | ({"targetFramework": framework} if framework else {})


def test_the_groups_of_all_frameworks_are_merged() -> None:
    """Upstream dropped the groups that name one."""
    found = edges(
        group(NLog="[4.0.0, )"), group("net472", System_Memory="[4.5.0, )"), group("net8.0", NLog="[4.0.0, )")
    )

    assert found == {"pkg:nuget/nlog": "[4.0.0, )", "pkg:nuget/system.memory": "[4.5.0, )"}


def test_different_ranges_of_one_package_allow_what_any_of_them_allows() -> None:
    found = edges(group("net472", NLog="[4.0.0, 5.0.0)"), group("net8.0", nlog="[4.5.0, 6.0.0)"))

    assert found == {"pkg:nuget/nlog": "[4.0.0, 6.0.0)"}


def test_a_dependency_without_range_is_any() -> None:
    assert edges(group(A="", B="(, )", C=None)) == {f"pkg:nuget/{name}": "any" for name in "abc"}


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (["[1.0, )", "[2.0, )"], "[1.0, )"),
        ([["[1.0, )"]], "[1.0, )"),
        ({"@value": "[1.0, )", "@type": "xsd:string"}, "[1.0, )"),
        ([{"@value": "[1.0, )"}, None], "[1.0, )"),
        ([" [1.0, ) "], "[1.0, )"),
        *((nothing, "any") for nothing in (None, "", " ", [], [""], [None], {}, {"a": "b"}, 5, "(,)", "( , )")),
        ([[[[[["[1.0, )"]]]]]], "any"),
    ],
    ids=str,
)  # fmt: skip
def test_of_a_range_written_as_a_list_the_first_counts(declared: object, expected: str) -> None:
    for dependencies in ({"id": "A", "range": declared}, [{"id": ["A", "B"], "range": declared}, "C", None, {}]):
        assert edges({"dependencies": dependencies}) == {"pkg:nuget/a": expected}


def test_an_entry_that_is_only_linked_tells_its_version_by_its_address_and_no_requirements() -> None:
    found = package(
        leaf("1.0.0"),
        {
            "@id": "https://registry.example/v3/registration5/acme/2.0.0-b%2B1.json",
            "catalogEntry": "https://r.example/x",
        },
        {"packageContent": "https://registry.example/v3-flatcontainer/acme/3.0.0/acme.3.0.0.nupkg", "listed": False},
        {"@id": "https://registry.example/v3/acme/4.0.0.json", "catalogEntry": {"id": "Acme", "listed": "false"}},
        {"@id": "https://registry.example/v3/acme/index.json", "catalogEntry": [leaf("5.0.0")["catalogEntry"]]},
    )
    told = {version.name: (version.requirements, version.yanked) for version in found.versions}

    assert told == {
        "1.0.0": ((), False),
        "2.0.0-b+1": (None, False),
        "3.0.0": (None, True),
        "4.0.0": ((), True),
        "5.0.0": ((), False),
    }
    assert found.lists_all_versions


@pytest.mark.parametrize(
    "unreadable",
    [
        {"catalogEntry": "https://registry.example/leaf.json"},
        {"catalogEntry": None, "@id": f"{URL}#page"},
        {"catalogEntry": {"id": "Acme"}},
        {"catalogEntry": {"id": "Acme", "version": " "}},
        {"catalogEntry": {"id": "Acme", "version": 5}, "packageContent": ["x"]},
    ],
)
def test_an_entry_that_tells_no_version_costs_itself_and_takes_no_version_away(unreadable: dict[str, Any]) -> None:
    found = package(leaf("1.0.0"), {"@id": "x", **unreadable}, leaf("2.0.0"))

    assert [version.name for version in found.versions] == ["1.0.0", "2.0.0"]
    assert not found.lists_all_versions


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        ("0001-01-01T00:00:00", None),
        ("0003-01-01T00:00:00Z", None),
        ("1900-01-01T00:00:00+00:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("100000000000000000000-01-01T00:00:00Z", None),
        ("2015-13-45T00:00:00Z", None),
        ("yesterday", None),
        (1423000000, None),
        (None, None),
        ("2015-02-03T01:00:00.1234567+02:00", "2015-02-02T23:00:00Z"),
        ("2015-02-03", "2015-02-03T00:00:00Z"),
    ],
)
def test_a_date_that_cannot_be_is_none(published: object, expected: str | None) -> None:
    assert package(leaf(published=published)).versions[0].release_date == expected


@pytest.mark.parametrize("groups", [None, [], [{}], [{"targetFramework": "net8.0"}], [{"dependencies": []}], {}, "x"])
def test_groups_without_dependencies_are_none(groups: object) -> None:
    assert requirements(groups) == ()


def test_a_list_of_one_may_be_written_as_the_one() -> None:
    assert edges({"dependencies": {"id": "NLog", "range": "[1.0.0, )"}}) == {"pkg:nuget/nlog": "[1.0.0, )"}


def test_a_dependency_that_no_package_can_be_is_left_out() -> None:
    assert edges({"dependencies": [{"id": "a b"}, {"range": "[1.0.0, )"}, {"id": 1}, {"id": "A"}]}) == {
        "pkg:nuget/a": "any"
    }


@pytest.mark.parametrize(
    ("fields", "date", "yanked"),
    [
        ({}, "2020-02-08T01:42:24Z", False),
        ({"created": "2019-01-01T00:00:00Z"}, "2019-01-01T00:00:00Z", False),
        ({"published": "1900-01-01T00:00:00+00:00"}, None, True),
        ({"published": "1900-01-01T00:00:00+00:00", "listed": False}, None, True),
        (
            {"published": "1900-01-01T00:00:00Z", "created": "2019-01-01T00:00:00.1234567Z"},
            "2019-01-01T00:00:00Z",
            True,
        ),
        ({"listed": False}, "2020-02-08T01:42:24Z", True),
        ({"listed": True}, "2020-02-08T01:42:24Z", False),
        ({"published": None}, None, False),
        ({"published": "2020-02-08T03:42:24+02:00"}, "2020-02-08T01:42:24Z", False),
    ],
)
def test_the_date_is_never_1900_and_what_is_not_listed_is_marked(
    fields: dict[str, Any], date: str | None, yanked: bool
) -> None:
    (version,) = package(leaf(**fields)).versions

    assert (version.release_date, version.yanked) == (date, yanked)


def test_deprecation_is_told() -> None:
    found = package(leaf("1.0.0", deprecation={"reasons": ["Legacy"]}), leaf("2.0.0", deprecation=None))

    assert [version.deprecated for version in found.versions] == [True, False]


def test_a_version_is_what_the_registry_writes_and_its_file_is_found_by_the_normal_form() -> None:
    found = package(leaf("1.0.0-Beta.2+build.7"))

    assert [(version.name, version.purl) for version in found.versions] == [
        ("1.0.0-Beta.2+build.7", "pkg:nuget/acme@1.0.0-Beta.2%2Bbuild.7")
    ]
    assert found.artifacts[0].url == f"{CONTENTS}/acme/1.0.0-beta.2/acme.1.0.0-beta.2.nupkg"


@pytest.mark.parametrize(
    ("versions", "default"),
    [
        ([("1.0.0", True), ("2.0.0", True), ("3.0.0-rc.1", True)], "2.0.0"),
        ([("1.0.0", True), ("2.0.0", False)], "1.0.0"),
        ([("1.0.0", False), ("2.0.0-rc.1", True)], "2.0.0-rc.1"),
        ([("1.0.0", False), ("2.0.0", False), ("3.0.0-a", False)], "2.0.0"),
        ([("1.0.0", True), ("9.9.9.9.9", True), ("1.0.0.1", True)], "1.0.0.1"),
        ([("1.0-x_y", True)], "1.0-x_y"),
    ],
)
def test_the_default_version_is_the_highest_release_that_is_listed(
    versions: list[tuple[str, bool]], default: str
) -> None:
    found = package(*(leaf(version, listed=listed) for version, listed in versions))

    assert [artifact.version for artifact in found.artifacts] == [default]


def test_the_spelling_and_the_repository_are_those_of_the_default_version() -> None:
    old = leaf("1.0.0", id="ACME", projectUrl="https://github.com/old/acme")
    new = leaf("2.0.0", projectUrl="https://github.com/Acme-Owner/acme/tree/main")
    found = package(new, old)

    assert found.ref.registry_name == "Acme"
    assert (found.repository_url, found.vendor) == ("https://github.com/Acme-Owner/acme", "Acme-Owner")


@pytest.mark.parametrize("project_url", [None, "", "https://acme.example/", "https://github.com/acme"])
def test_a_project_page_that_is_no_repository_leaves_the_question_to_the_nupkg(project_url: str | None) -> None:
    found = package(leaf(projectUrl=project_url))

    assert (found.repository_url, found.vendor) == (None, None)


def test_an_id_that_is_not_written_is_the_one_that_was_asked_for() -> None:
    found = package({"catalogEntry": {"version": "1.0.0"}})

    assert found.ref == identify("acme")


def test_a_version_that_two_pages_list_is_one() -> None:
    assert len(package(leaf("1.0.0"), leaf("1.0.0")).versions) == 1


def test_without_a_flat_container_the_registrys_own_link_leads_to_the_file() -> None:
    linked = leaf() | {"packageContent": "https://registry.example/download/acme/1.0.0"}

    assert package(linked, contents=None).artifacts[0].url == "https://registry.example/download/acme/1.0.0"
    assert package(leaf(), contents=None).artifacts == ()


def test_an_index_may_mix_inlined_pages_with_others_and_empty_ones() -> None:
    items = [
        {"@id": f"{URL}#page/1/1", "count": 1, "items": [leaf("1.0.0")]},
        {"@id": "page/2/3.json", "count": 2},
        {"@id": "https://other.example/page/4.json", "count": 2, "items": None},
        {"@id": f"{URL}#page/9/9", "count": 0, "items": []},
    ]
    found = parse_registration(orjson.dumps({"count": 4, "items": items}), identify("acme"), URL)

    assert [version.name for version in found.versions] == ["1.0.0"]
    assert found.pages == (
        "https://registry.example/v3/registration5-gz-semver2/acme/page/2/3.json",
        "https://other.example/page/4.json",
    )


def test_a_byte_order_mark_is_no_error() -> None:
    body = b"\xef\xbb\xbf" + orjson.dumps({"items": [leaf()]})

    assert len(parse_registration(body, identify("acme"), URL).versions) == 1


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"items": {}},
        {"items": [{"count": 3}]},
        {"items": [{"@id": f"{URL}#page/1/2", "count": 3}]},
        {"items": [{"catalogEntry": "https://registry.example/leaf.json"}]},
        {"items": [{"items": [{"catalogEntry": {"id": "Acme"}}]}]},
        {"items": ["page"]},
    ],
)
def test_what_is_no_registration_is_malformed(document: object) -> None:
    with pytest.raises(Malformed):
        parse_registration(orjson.dumps(document), identify("acme"), URL)


def test_another_packages_registration_is_malformed() -> None:
    with pytest.raises(Malformed, match="Other"):
        package(leaf(id="Other"))


@pytest.mark.parametrize(
    ("counts", "is_whole"),
    [({}, True), ({"count": 2}, True), ({"count": 3}, False), ({"count": 1}, True), ({"count": "3"}, True)],
)
def test_a_page_that_lists_fewer_than_it_counts_does_not_list_all(counts: dict[str, object], is_whole: bool) -> None:
    leaves = [leaf("1.0.0"), leaf("2.0.0")]
    page = parse_registration(orjson.dumps({**counts, "items": leaves}), identify("acme"), URL)
    inlined = parse_registration(orjson.dumps({"items": [{**counts, "items": leaves}]}), identify("acme"), URL)
    assert [package_of(identify("acme"), [each], None, URL).lists_all_versions for each in (page, inlined)] == [
        is_whole,
        is_whole,
    ]


def test_an_index_that_lists_fewer_pages_than_it_counts_does_not_list_all() -> None:
    index = {"count": 2, "items": [{"count": 1, "items": [leaf()]}]}
    document = parse_registration(orjson.dumps(index), identify("acme"), URL)
    assert not package_of(identify("acme"), [document], None, URL).lists_all_versions


@pytest.mark.parametrize("document", [{"items": []}, {"count": 0, "items": []}, {"count": 1, "items": []}])
def test_an_empty_registration_is_malformed(document: object) -> None:
    with pytest.raises(Malformed, match="empty"):
        parse_registration(orjson.dumps(document), identify("acme"), URL)


def test_a_registration_without_versions_is_not_found() -> None:
    with pytest.raises(NotFound):
        package()


@pytest.mark.parametrize(
    "kind", ["RegistrationsBaseUrl/3.6.0", ["RegistrationsBaseUrl", "RegistrationsBaseUrl/3.0.0-rc"]]
)
def test_the_service_index_may_have_relative_addresses_and_lists_of_types(kind: object) -> None:
    resources = [{"@id": "/registrations/", "@type": kind}, {"@type": "PackageBaseAddress/3.0.0"}, "x"]
    body = orjson.dumps({"version": "3.0.0", "resources": resources})

    assert parse_service_index(body, "https://registry.example/v3/index.json") == Services(
        "https://registry.example/registrations", None, None, None
    )


def test_the_registrations_with_semver_2_go_before_the_others() -> None:
    kinds = ("RegistrationsBaseUrl", "RegistrationsBaseUrl/3.6.0", "RegistrationsBaseUrl/3.4.0")
    resources = [{"@id": f"https://registry.example/{number}", "@type": kind} for number, kind in enumerate(kinds)]

    found = parse_service_index(orjson.dumps({"resources": resources}), URL)
    assert found.registrations == "https://registry.example/1"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"resources": [{"@type": "Catalog/3.0.0", "@id": "x"}]}'])
def test_what_is_no_service_index_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse_service_index(body, URL)


def test_the_autocomplete_service_answers_with_ids_alone() -> None:
    assert found_names(b'{"totalHits": 2, "data": ["NLog", "NLog.Web"]}', URL) == ("NLog", "NLog.Web")
