"""This tests the NuGet registry, asked over real HTTP: the service index once, then the registration's pages and the
nupkg.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from securechain_ingest.errors import Malformed, NotFound, RateLimited, Stale, Unavailable
from securechain_ingest.model import Package
from securechain_ingest.registries.nuget.client import NuGet
from securechain_ingest.registries.protocol import Unchanged
from tests.registries.asking import RegistrySite, known, registry_site
from tests.registry_server import Fault, FaultKind, Need, Server, Shape, World, generate, nuget

ACME = nuget.Package(
    "Acme.Json",
    (
        nuget.Version(
            "1.0.0", (nuget.DependencyGroup((nuget.need("NLog", "[4.0.0, )"),)),), deprecation={"reasons": ["Legacy"]}
        ),
        nuget.Version(
            "1.0.0.5",
            (
                nuget.DependencyGroup(
                    (nuget.need("NLog", "[4.0.0, )"), nuget.need("system.memory", "(, )", "any")), "net472"
                ),
                nuget.DependencyGroup(
                    (Need("[4.5.0, 6.0.0)", "nlog"), nuget.need("Never.Published", "[1.0.0, )")), "net8.0"
                ),
                nuget.DependencyGroup((), ".NETStandard2.0"),
            ),
            merged={"NLog": "[4.0.0, )", "nlog": "[4.0.0, )"},
            listed=False,
        ),
        nuget.Version("1.1.0-Beta.2+build.7"),
        nuget.Version(
            "1.1.0",
            members={
                "lib/net45/Acme.Json.dll": nuget.assembly("Acme.Json", ["Acme.Old.Thing"]),
                "lib/net8.0/Acme.Json.dll": nuget.assembly("Acme.Json", ["Acme.Json.Writer", "Acme.Json.Linq.Token"]),
            },
        ),
        nuget.Version("2.0.0-rc.1"),
    ),
    repository="https://github.com/acme/json.git",
    vendor=None,
)
LARGE = nuget.Package(
    "Large",
    (
        *(nuget.Version(f"1.0.{patch}", nupkg=False) for patch in range(199)),
        nuget.Version("1.1.0", padding_bytes=1_500_000),
    ),
    project_url="https://github.com/some-owner/large",
    vendor="some-owner",
    repository_url="https://github.com/some-owner/large",
    page_size=64,
)
UNLISTED = nuget.Package("Unlisted", (nuget.Version("1.0.0", listed=False), nuget.Version("0.9.0", listed=False)))
EMPTY = nuget.Package("Empty", ())
BROKEN = nuget.Package("Broken", (nuget.Version("1.0.0", nupkg=False),))
HOSTILE = nuget.Package(
    "Hostile",
    (nuget.Version("1.0.0", members={"lib/net8.0/a.dll": nuget.assembly("a", ["A.B"]).replace(b"BSJB", b"BSJX")}),),
)
WORLD = World((ACME, LARGE, UNLISTED, EMPTY, BROKEN, HOSTILE))

REGISTRATIONS = "/v3/registration5-gz-semver2"
SERVICE_INDEX = "/v3/index.json"


Site = RegistrySite[NuGet]


@pytest_asyncio.fixture
async def site(server: Server, tmp_path: Path) -> AsyncIterator[Site]:
    async with registry_site(NuGet, server, tmp_path, WORLD) as site:
        yield site


async def test_a_package_takes_one_request_for_its_registration_and_one_for_its_nupkg(site: Site) -> None:
    package = await site.fetched("ACME.json")
    found = await site.registry.import_names(package)

    assert site.targets() == [
        SERVICE_INDEX,
        f"{REGISTRATIONS}/acme.json/index.json",
        "/v3-flatcontainer/acme.json/1.1.0/acme.json.1.1.0.nupkg",
    ]
    assert [request.defect for request in site.server.requests] == [None, None, None]
    assert found.names == ("Acme.Json", "Acme.Json.Linq")
    assert found.repository_url == "https://github.com/acme/json"


async def test_the_service_index_is_asked_for_once_by_all_packages_together(site: Site) -> None:
    await asyncio.gather(site.fetched("acme.json"), site.fetched("unlisted"), site.fetched("broken"))
    await site.fetched("hostile")

    assert site.targets().count(SERVICE_INDEX) == 1


@pytest.mark.parametrize("expected", [ACME, LARGE], ids=lambda package: package.id)
async def test_a_package_is_what_its_author_published(site: Site, expected: nuget.Package) -> None:
    assert_equal(await site.fetched(expected.id.upper()), expected)


async def test_generated_packages_are_what_the_generator_published(server: Server, site: Site) -> None:
    world = generate(Shape(packages=40, seed=3, odd_share=0.3, large_share=0.02, ecosystems=("nuget",)))
    server.replace(world)
    try:
        for made in world.packages:
            assert isinstance(made, nuget.Package)
            package = await site.fetched(made.id)
            assert_equal(package, made)
            found = await site.registry.import_names(package)
            assert (found.names, found.error) == (made.import_names, None), made.id
            assert (package.repository_url or found.repository_url or "n/a") == made.repository_url
    finally:
        server.replace(WORLD)
    assert {request.defect for request in site.server.requests} == {None}


def assert_equal(package: Package, expected: nuget.Package) -> None:
    truth = expected.truth()
    assert (package.ref.name, package.ref.purl, package.ref.registry_name) == (
        truth.name,
        truth.purl,
        truth.registry_name,
    )
    assert package.repository_url in (None, truth.repository_url)
    assert {
        (version.name, version.purl, version.release_date, version.deprecated, version.yanked)
        for version in package.versions
    } == {
        (version.name, version.purl, version.release_date, version.deprecated, version.yanked)
        for version in truth.versions
    }
    wanted = {version.name: version.requirements for version in truth.versions}
    for version in package.versions:
        assert version.requirements is not None
        assert {need.target.purl: need.constraints for need in version.requirements} == wanted[version.name]
    assert package.ref.ecosystem.rank(version.name for version in package.versions) == {
        version.name: version.serial_number for version in truth.versions
    }


async def test_each_page_that_is_not_inlined_takes_one_request(site: Site) -> None:
    await site.fetched("large")

    assert site.targets()[:2] == [SERVICE_INDEX, f"{REGISTRATIONS}/large/index.json"]
    pages = ("1.0.0/1.0.63", "1.0.64/1.0.127", "1.0.128/1.0.191", "1.0.192/1.1.0")
    assert sorted(site.targets()[2:]) == sorted(f"{REGISTRATIONS}/large/page/{page}.json" for page in pages)


async def test_of_a_large_nupkg_only_pieces_are_fetched(site: Site) -> None:
    package = await site.fetched("large")
    site.server.requests.clear()
    found = await site.registry.import_names(package)

    assert found.names == ("Large",)
    assert [request.status for request in site.server.requests] == [206, 206]
    assert sum(request.bytes_sent for request in site.server.requests) < 300_000


@pytest.mark.parametrize("name", ["acme.json", "large"])
async def test_a_package_that_did_not_change_is_confirmed_without_its_pages(site: Site, name: str) -> None:
    package = await site.fetched(name)
    site.server.requests.clear()
    answer = await site.registry.fetch(site.registry.identify(name), known(package))

    assert answer == Unchanged(package.ref)
    assert [(request.target, request.status) for request in site.server.requests] == [
        (f"{REGISTRATIONS}/{name}/index.json", 304)
    ]


async def test_of_a_package_without_listed_versions_the_highest_is_read(site: Site) -> None:
    package = await site.fetched("unlisted")

    assert [(artifact.version, artifact.size) for artifact in package.artifacts] == [("1.0.0", None)]
    assert (await site.registry.import_names(package)).names == ("Unlisted",)


@pytest.mark.parametrize("name", ["never.published", "empty"])
async def test_a_package_that_the_registry_does_not_have_is_not_found(site: Site, name: str) -> None:
    with pytest.raises(NotFound):
        await site.fetched(name)


async def test_near_names_come_from_the_registrys_own_search(site: Site) -> None:
    assert await site.registry.near_names(site.registry.identify("JSON")) == ("Acme.Json",)
    assert site.targets() == [SERVICE_INDEX, "/query?q=JSON&take=5&prerelease=true"]


async def test_a_server_without_service_index_is_asked_at_the_usual_places(site: Site) -> None:
    site.server.faults.add(Fault(SERVICE_INDEX, FaultKind.STATUS, status=404))
    package = await site.fetched("acme.json")

    assert (await site.registry.import_names(package)).names == ("Acme.Json", "Acme.Json.Linq")
    assert await site.registry.near_names(package.ref) == ()


@pytest.mark.parametrize("path", [SERVICE_INDEX, f"{REGISTRATIONS}/large/index.json", f"{REGISTRATIONS}/large/page/*"])
async def test_a_document_that_cannot_be_read_is_an_error_and_asked_for_again(site: Site, path: str) -> None:
    site.server.faults.add(Fault(path, FaultKind.STATUS, status=500))
    with pytest.raises(Unavailable):
        await site.fetched("large")
    site.server.faults.clear()

    assert len((await site.fetched("large")).versions) == 200


async def test_a_registry_that_wants_a_pause_gets_it(site: Site) -> None:
    await site.fetched("acme.json")
    site.server.faults.add(Fault(f"{REGISTRATIONS}/large/*", FaultKind.STATUS, status=429))
    with pytest.raises(RateLimited):
        await site.fetched("large")


@pytest.mark.parametrize("path", [SERVICE_INDEX, f"{REGISTRATIONS}/large/index.json", f"{REGISTRATIONS}/large/page/*"])
async def test_a_page_of_a_proxy_is_malformed(site: Site, path: str) -> None:
    site.server.faults.add(Fault(path, FaultKind.HTML))

    with pytest.raises(Malformed):
        await site.fetched("large")


async def test_a_page_that_is_missing_waits_for_the_index_and_is_not_a_missing_package(site: Site) -> None:
    site.server.faults.add(Fault(f"{REGISTRATIONS}/large/page/1.0.64/*", FaultKind.STATUS, status=404))

    with pytest.raises(Stale, match="lacks"):
        await site.fetched("large")


async def test_a_nupkg_that_is_missing_is_an_error_and_not_an_empty_list(site: Site) -> None:
    package = await site.fetched("broken")

    with pytest.raises(NotFound):
        await site.registry.import_names(package)
    assert site.registry.fallback_names(package.ref) == ("Broken",)


async def test_an_assembly_that_is_damaged_is_known_by_its_file_and_told_of(site: Site) -> None:
    found = await site.registry.import_names(await site.fetched("hostile"))

    assert found.names == ("a",)
    assert found.error is not None
    assert "lib/net8.0/a.dll" in found.error


async def test_a_nupkg_that_breaks_off_is_an_error_that_another_try_may_mend(site: Site) -> None:
    package = await site.fetched("acme.json")
    site.server.faults.add(Fault("/v3-flatcontainer/*", FaultKind.TRUNCATED))

    with pytest.raises(Unavailable):
        await site.registry.import_names(package)


async def test_a_package_without_artifacts_is_known_by_its_id(site: Site) -> None:
    package = Package(site.registry.identify("Some.Package"), None, None, (), (), None)

    assert (await site.registry.import_names(package)).names == ("Some.Package",)
    assert site.targets() == []
