"""This tests NuGet's parsers over recorded registrations, nupkgs, nuspecs, searches and version orders.

The golden names were read from the archives by hand: `unzip -l` for the frameworks, the nuspec for the id where there
is no assembly, the public types that an independent reader (dnfile) lists in an assembly, and the members that its XML
documentation names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from univers.version_range import NugetVersionRange
from univers.versions import NugetVersion

from securechain_ingest.errors import Malformed
from securechain_ingest.model import Package
from securechain_ingest.registries.nuget.client import NuGet
from securechain_ingest.registries.nuget.names import NUGET, identify
from securechain_ingest.registries.nuget.nuspec import Nuspec, parse_nuspec
from securechain_ingest.registries.nuget.registration import package_of, parse_registration
from securechain_ingest.registries.nuget.service_index import found_names, parse_service_index
from securechain_ingest.registries.nuget.versions import version_key
from tests.recorded.version_order import assert_order
from tests.registries.asking import LIMITS

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "nuget"
GOLDEN: dict[str, list[str]] = json.loads((Path(__file__).parents[1] / "goldens" / "nuget.json").read_text())
URL = "https://registry.example/v3/index.json"

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recorded payloads (shared/fixtures) are not at hand")

REGISTRATIONS = {
    "deprecated.json": "oldpackage",
    "enterpriselibrary.common.json": "enterpriselibrary.common",
    "microsoft.data.sqlclient-semver1/page1.json": "microsoft.data.sqlclient",
    "microsoft.data.sqlclient-semver1/page2.json": "microsoft.data.sqlclient",
    "newtonsoft.json.json": "newtonsoft.json",
    "nlog/page1.json": "nlog",
    "nlog/page2.json": "nlog",
    "nlog/page3.json": "nlog",
    "nunit.json": "nunit",
    "ogcapi.net.sqlserver.json": "ogcapi.net.sqlserver",
    "proxykit.json": "proxykit",
    "razorengine.json": "razorengine",
    "sustainsys.saml2.json": "sustainsys.saml2",
}

every_registration = pytest.mark.parametrize("filename", REGISTRATIONS)


def body(filename: str) -> bytes:
    return (FIXTURES / "metadata/registration" / filename).read_bytes()


def package(*filenames: str) -> Package:
    ref = identify(REGISTRATIONS[filenames[0]])
    documents = [parse_registration(body(filename), ref, URL) for filename in filenames]
    return package_of(ref, documents, "https://registry.example/v3-flatcontainer", URL)


def entries(filename: str) -> Iterator[dict[str, Any]]:
    """Return the catalog entries of a document, page or index."""

    def leaves(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for item in items:
            if "catalogEntry" in item:
                yield item["catalogEntry"]
            else:
                yield from leaves(item.get("items", []))

    return leaves(orjson.loads(body(filename))["items"])


@every_registration
def test_every_version_of_a_recorded_package_is_there_in_order(filename: str) -> None:
    names = [version.name for version in package(filename).versions]
    ranks = NUGET.rank(names)

    assert names == [entry["version"] for entry in entries(filename)]
    assert sorted(ranks.values()) == list(range(len(names)))
    assert sorted(names, key=ranks.__getitem__) == sorted(names, key=lambda name: (NugetVersion(name), name))


@every_registration
def test_every_date_of_a_recorded_package_is_there_but_for_1900(filename: str) -> None:
    wanted = {}
    for entry in entries(filename):
        date = entry.get("created") or entry.get("published")
        wanted[entry["version"]] = None if date is None or date.startswith("1900") else f"{date[:19]}Z"

    assert {version.name: version.release_date for version in package(filename).versions} == wanted


@every_registration
def test_versions_that_are_not_listed_are_there_and_marked(filename: str) -> None:
    wanted = {entry["version"]: entry.get("listed", True) for entry in entries(filename)}

    assert {version.name: not version.yanked for version in package(filename).versions} == wanted


@every_registration
def test_every_dependency_of_every_group_of_a_recorded_package_is_required_once(filename: str) -> None:
    for version, entry in zip(package(filename).versions, entries(filename), strict=True):
        assert version.requirements is not None
        declared = {
            f"pkg:nuget/{dependency['id'].lower()}"
            for group in entry.get("dependencyGroups", [])
            for dependency in group.get("dependencies", [])
        }
        targets = [requirement.target.purl for requirement in version.requirements]
        assert set(targets) == declared
        assert len(targets) == len(declared)


@every_registration
def test_the_clients_can_read_every_recorded_constraint(filename: str) -> None:
    written = {
        requirement.constraints for version in package(filename).versions for requirement in version.requirements or ()
    }

    for constraints in written - {"any"}:
        accepted = NugetVersionRange.from_native(constraints)  # type: ignore[no-untyped-call]
        assert any(bound.version in accepted for bound in accepted.constraints if "=" in bound.comparator), constraints


def test_most_recorded_dependencies_stand_in_groups_of_a_framework() -> None:
    """Upstream dropped these."""
    version = next(version for version in package("proxykit.json").versions if version.name == "1.0.0+build.118")

    assert {need.target.name: need.constraints for need in version.requirements or ()} == {
        "microsoft.aspnetcore.http": "[2.2.0, )",
        "microsoft.aspnetcore.http.extensions": "[2.2.0, )",
        "microsoft.aspnetcore.httpoverrides": "[2.2.0, )",
        "microsoft.extensions.http": "[2.2.0, )",
    }


def test_a_recorded_deprecation_is_told() -> None:
    wanted = {entry["version"]: "deprecation" in entry for entry in entries("deprecated.json")}

    assert {version.name: version.deprecated for version in package("deprecated.json").versions} == wanted
    assert True in wanted.values()


def test_a_recorded_index_leads_to_its_pages() -> None:
    found = parse_registration(body("nlog/index.json"), identify("nlog"), URL)

    assert [page.rpartition("/registration5-gz-semver2/")[2] for page in found.pages] == [
        "nlog/page/1.0.0.505/4.4.0-beta5.json",
        "nlog/page/4.4.0-beta6/4.6.0-rc2.json",
        "nlog/page/4.6.0-rc3/5.0.0-beta11.json",
    ]
    assert found.versions == ()


def test_the_pages_of_a_recorded_package_make_one_package() -> None:
    found = package("nlog/page1.json", "nlog/page2.json", "nlog/page3.json")

    assert len(found.versions) == 64 + 64 + 28
    assert found.ref.registry_name == "NLog"
    assert [artifact.version for artifact in found.artifacts] == ["4.7.3"]
    assert found.artifacts[0].url == "https://registry.example/v3-flatcontainer/nlog/4.7.3/nlog.4.7.3.nupkg"


@pytest.mark.parametrize(
    ("filename", "registry_name", "repository", "vendor"),
    [
        ("sustainsys.saml2.json", "Sustainsys.Saml2", "https://github.com/Sustainsys/Saml2", "Sustainsys"),
        ("newtonsoft.json.json", "Newtonsoft.Json", None, None),
        ("ogcapi.net.sqlserver.json", "OgcApi.Net.SqlServer", "https://github.com/sam-is/OgcApi.Net", "sam-is"),
        # Artifactory leaves out what its entries are about.
        ("microsoft.data.sqlclient-semver1/page1.json", "Microsoft.Data.SqlClient", None, None),
    ],
)
def test_the_recorded_spelling_repository_and_vendor(
    filename: str, registry_name: str, repository: str | None, vendor: str | None
) -> None:
    found = package(filename)

    assert (found.ref.registry_name, found.repository_url, found.vendor) == (registry_name, repository, vendor)


@pytest.mark.parametrize("filename", ["404-blob-not-found.xml", "v2-not-found.xml"])
def test_a_recorded_error_page_in_place_of_a_registration_is_malformed(filename: str) -> None:
    page = (FIXTURES / "metadata/errors" / filename).read_bytes()

    with pytest.raises(Malformed):
        parse_registration(page, identify("nlog"), URL)


def test_the_recorded_service_index_names_the_resources() -> None:
    found = parse_service_index((FIXTURES / "enumeration/v3-index.json").read_bytes(), URL)

    assert found.registrations.endswith("/v3/registration5-gz-semver2")
    assert found.contents is not None
    assert found.contents.endswith("/v3-flatcontainer")
    assert found.search is not None
    assert found.search.endswith("/query")


@pytest.mark.parametrize(
    ("filename", "first", "count"),
    [
        ("empty-search.json", None, 0),
        ("newtonsoft.search.json", "Newtonsoft.Json", 1),
        ("search-query.json", None, 20),
        ("v3-search.json", None, 20),
    ],
)
def test_a_recorded_search_gives_the_ids_of_its_hits(filename: str, first: str | None, count: int) -> None:
    found = found_names((FIXTURES / "metadata/search" / filename).read_bytes(), URL)

    assert len(found) == count
    assert first is None or found[0] == first


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("atom.nuspec", Nuspec("atom", None)),
        ("elmah.1.1.nuspec", Nuspec("elmah", None)),
        (
            "intersoft.5.0.5000.1235-experimental.nuspec",
            Nuspec("Intersoft.Crosslight.Logging.EntityFramework", None),
        ),
        ("jQuery.1.5.nuspec", Nuspec("jQuery", None)),
        ("newtonsoft.json.nuspec", Nuspec("Newtonsoft.Json", "https://github.com/JamesNK/Newtonsoft.Json")),
        ("nlog.nuspec", Nuspec("NLog", "https://github.com/NLog/NLog")),
        (
            "sil.core.desktop.10.0.1-beta0012.nuspec",
            Nuspec("SIL.Core.Desktop", "https://github.com/sillsdev/libpalaso"),
        ),
    ],
)
def test_a_recorded_nuspec_names_the_package_and_its_repository(filename: str, expected: Nuspec) -> None:
    assert parse_nuspec((FIXTURES / "metadata/nuspec" / filename).read_bytes()) == expected


@pytest.mark.parametrize("filename", sorted(GOLDEN))
def test_a_recorded_nupkg_gives_the_names_that_were_read_from_it_by_hand(filename: str) -> None:
    found = NuGet.archive_names(str(FIXTURES / "archives" / filename), filename, LIMITS)

    assert found.error is None
    assert list(found.names) == GOLDEN[filename]


def test_every_recorded_nupkg_has_a_golden_list() -> None:
    assert {path.name for path in (FIXTURES / "archives").glob("*.nupkg")} == set(GOLDEN)


def test_the_hand_picked_order_cases_hold() -> None:
    assert_order(version_key, FIXTURES / "metadata/version-order/nuget-versions.txt", more_than=30)


def test_every_recorded_version_in_the_catalog_can_be_ordered() -> None:
    items = json.loads((FIXTURES / "changes/page15386.json").read_text())["items"]

    assert all(version_key(item["nuget:version"]) for item in items)
    assert {identify(item["nuget:id"]).registry_name for item in items} == {item["nuget:id"] for item in items}
