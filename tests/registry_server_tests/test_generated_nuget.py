"""The made NuGet registry agrees with independent readers, and holds every odd case."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import dnfile
import pytest
from lxml import etree
from univers.version_range import NugetVersionRange
from univers.versions import NugetVersion

from tests.registry_server import Server, Shape, World, generate, nuget, serve
from tests.registry_server.recorded import FIXTURES
from tests.registry_server_tests.asking import ask, ask_json

ODD = Shape(packages=60, seed=5, odd_share=0.4, large_share=0.0, ecosystems=("nuget",))
REGISTRATIONS = "/v3/registration5-gz-semver2"


@pytest.fixture(scope="module")
def world() -> World:
    return generate(ODD)


@pytest.fixture(scope="module")
def server(world: World) -> Iterator[Server]:
    with serve(world) as running:
        yield running


def packages(world: World) -> list[nuget.Package]:
    return [package for package in world.packages if isinstance(package, nuget.Package)]


def entries(server: Server, package_id: str) -> list[dict[str, Any]]:
    """Return the catalog entries of all pages."""
    index = ask_json(server, "nuget_api", f"{REGISTRATIONS}/{package_id.lower()}/index.json")
    address = server.endpoints()["nuget_api"]
    pages = [
        page if "items" in page else ask_json(server, "nuget_api", page["@id"].removeprefix(address))
        for page in index["items"]
    ]
    return [leaf["catalogEntry"] for page in pages for leaf in page["items"]]


def test_the_same_seed_makes_the_same_packages(world: World) -> None:
    assert generate(ODD) == world


def test_versions_are_in_the_order_of_nuget(world: World) -> None:
    for package in packages(world):
        names = [version.version for version in package.versions]
        assert sorted(names, key=NugetVersion) == names


def test_every_expected_constraint_is_one_that_the_clients_parse(world: World) -> None:
    written = {
        constraints
        for package in world.truth().values()
        for version in package.versions
        for constraints in version.requirements.values()
    }

    assert "any" in written
    for constraints in written - {"any"}:
        assert NugetVersionRange.from_native(constraints).constraints  # type: ignore[no-untyped-call]


def test_what_is_served_is_what_is_expected(world: World, server: Server) -> None:
    truth = world.truth()
    for package in packages(world)[:20]:
        expected = {version.name: version for version in truth[package.truth().purl].versions}
        for entry in entries(server, package.id):
            version = expected.pop(entry["version"])
            needed = {
                f"pkg:nuget/{dependency['id'].lower()}"
                for group in entry.get("dependencyGroups", [])
                for dependency in group.get("dependencies", [])
            }
            assert needed == set(version.requirements)
            assert entry["published"].startswith(version.release_date.rstrip("Z") if version.release_date else "1900")
        assert expected == {}


def test_every_odd_case_occurs(world: World) -> None:
    versions = [version for package in packages(world) for version in package.versions]
    needs = {need.target for version in versions for group in version.groups for need in group.needs}

    assert any(not version.listed for version in versions)
    assert any(version.deprecation for version in versions)
    assert any("+" in version.version for version in versions)
    assert any(version.version.partition("-")[0].count(".") == 3 for version in versions)
    assert any(not version.groups for version in versions)
    assert any(group.framework is None for version in versions for group in version.groups)
    assert {package.page_size for package in packages(world)} == {None, 2}
    assert any(package.repository for package in packages(world))
    assert "Never.Published" in needs
    assert any(name not in {package.id for package in packages(world)} - {"Never.Published"} for name in needs)


def test_a_nupkg_is_a_zip_with_a_nuspec_and_assemblies_that_an_independent_reader_reads(world: World) -> None:
    reader: Any = dnfile
    for package in packages(world)[:15]:
        with zipfile.ZipFile(io.BytesIO(nuget.nupkg(package, package.versions[-1]))) as archive:
            assert archive.testzip() is None
            root = etree.fromstring(archive.read(f"{package.id}.nuspec"))
            assert root.findtext("{*}metadata/{*}id") == package.id
            for name in archive.namelist():
                if name.endswith(".dll") and not name.endswith("/z.dll"):
                    assert reader.dnPE(data=archive.read(name)).net.mdtables.Assembly.num_rows == 1


def test_registrations_are_compressed_whatever_is_asked_for(world: World, server: Server) -> None:
    path = f"{REGISTRATIONS}/{packages(world)[0].id.lower()}/index.json"

    assert ask(server, "nuget_api", path, accept_encoding="identity").headers["content-encoding"] == "gzip"


def test_an_id_in_capitals_is_not_found_and_noted(world: World) -> None:
    with serve(World((nuget.Package("Acme", (nuget.Version("1.0.0"),)),))) as server:
        statuses = [
            ask(server, "nuget_api", f"{REGISTRATIONS}/{name}/index.json").status_code for name in ("Acme", "acme")
        ]
        assert statuses == [404, 200]
        assert [request.defect is None for request in server.requests] == [False, True]


def test_a_giant_has_pages_of_its_own() -> None:
    (giant,) = packages(generate(Shape(packages=6, giant_versions=300, ecosystems=("nuget",))))[6:]

    with serve(World((giant,))) as server:
        index = ask_json(server, "nuget_api", f"{REGISTRATIONS}/giant/index.json")
        found = entries(server, "giant")
    assert [page["count"] for page in index["items"]] == [64, 64, 64, 64, 44]
    assert len(found) == 300


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recorded payloads are not beside this checkout")
def test_recorded_packages_are_served_too() -> None:
    with serve(World(recorded=FIXTURES)) as server:
        assert len(entries(server, "NLog")) == 64 + 64 + 28
        assert len(entries(server, "razorengine")) == 12
        assert ask(server, "nuget_api", "/v3-flatcontainer/nlog/4.7.3/nlog.4.7.3.nupkg").status_code == 200
        assert server.endpoints()["nuget_api"] in ask(server, "nuget_api", "/v3/index.json").text
