"""This tests the npm registry, asked over real HTTP: one request for a package, one for its newest tarball."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from securechain_ingest.errors import ArchiveRefused, Malformed, NotFound
from securechain_ingest.model import Package
from securechain_ingest.registries.npm.client import Npm
from securechain_ingest.registries.protocol import Unchanged
from tests.registries.asking import RegistrySite, known, registry_site
from tests.registry_server import Fault, FaultKind, Need, Server, World, npm

SCOPED = npm.Package(
    "@Some-Scope/Package",
    (
        npm.Version("1.0.0", (npm.need("other", "1.2", "1.2.x"),), deprecated="use another"),
        npm.Version("1.1.0", (npm.need("JSONStream", "^1.0.0"), Need("npm:@a/b@*", "@a/b", "any", key="c"))),
        npm.Version(
            "2.0.0",
            members={"index.js": b"", "lib/feature.js": b"", "test/feature.js": b""},
            root="1289345247862",
        ),
    ),
    repository=[{"type": "git", "url": "git+https://github.com/some-owner/some-repo.git"}],
    vendor="some-owner",
    repository_url="https://github.com/some-owner/some-repo",
)
LARGE = npm.Package("large", tuple(npm.Version(f"1.0.{patch}") for patch in range(100)), readme="Made. " * 50_000)
GONE = npm.Package("gone", (npm.Version("1.0.0"),), unpublished=True)
BROKEN = npm.Package("broken", (npm.Version("1.0.0", tarball=False),))
WORLD = World((SCOPED, LARGE, GONE, BROKEN))


Site = RegistrySite[Npm]


@pytest_asyncio.fixture
async def site(server: Server, tmp_path: Path) -> AsyncIterator[Site]:
    async with registry_site(Npm, server, tmp_path, WORLD) as site:
        yield site


async def test_a_package_takes_one_request_for_its_document_and_one_for_its_tarball(site: Site) -> None:
    package = await site.fetched("@Some-Scope/Package")
    names = await site.registry.import_names(package)

    assert site.targets() == ["/@Some-Scope%2FPackage", "/@Some-Scope/Package/-/Package-2.0.0.tgz"]
    assert [request.defect for request in site.server.requests] == [None, None]
    assert site.server.requests[0].headers["accept"] == "application/json"
    assert names.names == ("@Some-Scope/Package", "@Some-Scope/Package/lib/feature")


@pytest.mark.parametrize("expected", [SCOPED, LARGE], ids=lambda package: package.name)
async def test_a_package_is_what_its_author_published(site: Site, expected: npm.Package) -> None:
    package = await site.fetched(expected.name)
    truth = expected.truth()

    assert (package.ref.name, package.ref.purl, package.ref.registry_name) == (
        truth.name,
        truth.purl,
        truth.registry_name,
    )
    assert (package.vendor, package.repository_url) == (truth.vendor, truth.repository_url)
    assert {
        (version.name, version.purl, version.release_date, version.deprecated, version.yanked)
        for version in package.versions
    } == {
        (version.name, version.purl, version.release_date, version.deprecated, version.yanked)
        for version in truth.versions
    }
    for version, wanted in zip(
        sorted(package.versions, key=lambda v: v.name), sorted(truth.versions, key=lambda v: v.name), strict=True
    ):
        assert version.requirements is not None
        assert {need.target.purl: need.constraints for need in version.requirements} == wanted.requirements
    assert package.ref.ecosystem.rank(version.name for version in package.versions) == {
        version.name: version.serial_number for version in truth.versions
    }


async def test_a_package_that_did_not_change_is_confirmed_without_its_document(site: Site) -> None:
    package = await site.fetched("large")
    answer = await site.registry.fetch(package.ref, known(package))

    assert answer == Unchanged(package.ref)
    assert [request.status for request in site.server.requests] == [200, 304]


async def test_a_known_package_is_asked_for_by_its_own_spelling(site: Site) -> None:
    package = await site.fetched("@Some-Scope/Package")
    answer = await site.registry.fetch(site.registry.identify("@some-scope/package"), known(package))

    assert answer == Unchanged(package.ref)


@pytest.mark.parametrize("name", ["gone", "never-published", "@some-scope/package"])
async def test_a_package_that_the_registry_does_not_have_is_not_found(site: Site, name: str) -> None:
    with pytest.raises(NotFound):
        await site.fetched(name)


async def test_a_page_of_a_proxy_is_malformed(site: Site) -> None:
    site.server.faults.add(Fault("/large", FaultKind.HTML))

    with pytest.raises(Malformed):
        await site.fetched("large")


async def test_a_tarball_that_is_missing_is_an_error_and_not_an_empty_list(site: Site) -> None:
    package = await site.fetched("broken")

    with pytest.raises(NotFound):
        await site.registry.import_names(package)
    assert site.registry.fallback_names(package.ref) == ("broken",)


async def test_a_tarball_that_breaks_off_is_refused(site: Site) -> None:
    package = await site.fetched("large")
    site.server.faults.add(Fault("/large/-/*", FaultKind.TRUNCATED))

    with pytest.raises(ArchiveRefused):
        await site.registry.import_names(package)


async def test_a_package_without_artifacts_is_known_by_its_name(site: Site) -> None:
    package = Package(site.registry.identify("@a/B"), "@a", "n/a", (), (), None)

    assert (await site.registry.import_names(package)).names == ("@a/B",)
    assert site.targets() == []
