"""This tests the crates registry, asked over real HTTP: one request for a crate, one for its newest archive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from securechain_ingest.errors import ArchiveRefused, InvalidName, Malformed, NotFound, RateLimited, Unavailable
from securechain_ingest.model import Package
from securechain_ingest.registries import named_package
from securechain_ingest.registries.cargo.client import Cargo
from securechain_ingest.registries.protocol import Unchanged
from tests.registries.asking import RegistrySite, known, registry_site
from tests.registry_server import Fault, FaultKind, Server, Shape, World, cargo, generate

TWICE = (
    cargo.CrateDependency("other-crate", "^0.14", "^0.14 || ^0.15", alias="other_014"),
    cargo.CrateDependency("other-crate", "^0.15", None, alias="other_015"),
)
SPELLED = cargo.Crate(
    "Some-Crate",
    (
        cargo.Version("0.1.0", TWICE),
        cargo.Version("0.2.0-beta.1", yanked=True, fields={"pubtime": None}),
        cargo.Version(
            "0.2.0+meta.1",
            (
                cargo.CrateDependency("Inflector", "1.*", "1.x", fields={"optional": True}),
                cargo.CrateDependency("libc", "^0", ">=0.0.0, <1.0.0", fields={"target": "cfg(unix)", "kind": None}),
                cargo.CrateDependency("tester", "^1", None, fields={"kind": "dev"}),
                cargo.CrateDependency("cc", "^1", None, fields={"kind": "build"}),
                cargo.CrateDependency("elsewhere", "^1", None, fields={"registry": "https://index.example/other"}),
            ),
            members={"src/lib.rs": "mod a; pub use a::*; pub(crate) fn no() {}", "src/a.rs": "pub struct Value;"},
        ),
    ),
    repository="https://github.com/some-owner/some-repo/tree/main/crate",
    vendor="some-owner",
    repository_url="https://github.com/some-owner/some-repo",
)
YANKED = cargo.Crate("yanked", (cargo.Version("1.0.0", yanked=True), cargo.Version("2.0.0-a", yanked=True)))
LARGE = cargo.Crate("lrg", tuple(cargo.Version(f"1.0.{patch}", TWICE) for patch in range(300)))
EMPTY = cargo.Crate("ab", ())
BROKEN = cargo.Crate("b", (cargo.Version("1.0.0", archive=False),))
WORLD = World((SPELLED, YANKED, LARGE, EMPTY, BROKEN))


Site = RegistrySite[Cargo]


def paths(site: Site) -> list[str]:
    """Return what was asked for, with the endpoint's key before it: the index and the archives are two hosts."""
    return [f"{request.endpoint}{request.target}" for request in site.server.requests]


@pytest_asyncio.fixture
async def site(server: Server, tmp_path: Path) -> AsyncIterator[Site]:
    async with registry_site(Cargo, server, tmp_path, WORLD) as site:
        yield site


async def check(site: Site, expected: cargo.Crate) -> None:
    """The package is what its author published."""
    package = await site.fetched(expected.name)
    names = await site.registry.import_names(package)
    truth = expected.truth()

    assert (package.ref.name, package.ref.purl, package.ref.registry_name) == (
        truth.name,
        truth.purl,
        truth.registry_name,
    )
    assert {
        (version.name, version.purl, version.release_date, version.yanked): {
            need.target.purl: need.constraints for need in version.requirements or ()
        }
        for version in package.versions
    } == {
        (version.name, version.purl, version.release_date, version.yanked): version.requirements
        for version in truth.versions
    }
    assert package.ref.ecosystem.rank(version.name for version in package.versions) == {
        version.name: version.serial_number for version in truth.versions
    }
    assert (names.repository_url or "n/a") == truth.repository_url
    if truth.import_names is not None:
        assert names.names == truth.import_names


async def test_a_crate_takes_one_request_to_the_index_and_one_for_its_archive(site: Site) -> None:
    package = await site.fetched("some-crate")
    names = await site.registry.import_names(package)

    assert paths(site) == [
        "crates_index/so/me/some-crate",
        "crates_static/crates/Some-Crate/Some-Crate-0.2.0%2Bmeta.1.crate",
    ]
    assert [request.defect for request in site.server.requests] == [None, None]
    assert names.names == ("Some_Crate", "Some_Crate::Value")


@pytest.mark.parametrize("expected", [SPELLED, YANKED, LARGE], ids=lambda crate: crate.name)
async def test_a_crate_is_what_its_author_published(site: Site, expected: cargo.Crate) -> None:
    await check(site, expected)


async def test_generated_crates_are_what_their_authors_published(site: Site) -> None:
    world = generate(Shape(packages=40, seed=3, odd_share=0.3, large_share=0.05, ecosystems=("cargo",)))
    site.server.replace(world)

    for crate in world.packages:
        assert isinstance(crate, cargo.Crate)
        await check(site, crate)
    assert len(site.server.requests) == 2 * len(world.packages)
    assert all(request.defect is None for request in site.server.requests)


async def test_the_repository_comes_from_the_archives_manifest(site: Site) -> None:
    package = await site.fetched("some-crate")

    assert (package.repository_url, package.vendor) == (None, None)
    assert (await site.registry.import_names(package)).repository_url == "https://github.com/some-owner/some-repo"


async def test_development_and_build_dependencies_are_no_requirements(site: Site) -> None:
    """Upstream mixes all kinds."""
    package = await site.fetched("some-crate")
    newest = package.versions[-1].requirements

    assert newest is not None
    assert {need.target.purl for need in newest} == {"pkg:cargo/inflector", "pkg:cargo/libc"}


async def test_a_crate_that_did_not_change_is_confirmed_without_its_document(site: Site) -> None:
    package = await site.fetched("some-crate")
    answer = await site.registry.fetch(site.registry.identify("some-crate"), known(package))

    assert answer == Unchanged(package.ref)
    assert [request.status for request in site.server.requests] == [200, 304]


async def test_a_new_version_is_seen_at_the_second_visit(site: Site) -> None:
    package = await site.fetched("yanked")
    more = cargo.Crate("yanked", (*YANKED.versions, cargo.Version("3.0.0")))
    site.server.replace(World((more,)))
    answer = await site.registry.fetch(package.ref, known(package))

    assert isinstance(answer, Package)
    assert [version.name for version in answer.versions] == ["1.0.0", "2.0.0-a", "3.0.0"]
    assert answer.artifacts[0].version == "3.0.0"


@pytest.mark.parametrize("name", ["never-published", "some_crate", "ab"])
async def test_a_crate_that_the_registry_does_not_have_is_not_found(site: Site, name: str) -> None:
    with pytest.raises(NotFound):
        await site.fetched(name)


async def test_the_other_spelling_of_a_name_is_near(site: Site) -> None:
    assert await site.registry.near_names(site.registry.identify("some_crate")) == ("Some-Crate",)
    assert paths(site) == ["crates_index/so/me/some-crate"]


@pytest.mark.parametrize(("name", "requests"), [("absent", 0), ("not-there", 1), ("a_b", 1)])
async def test_a_name_without_a_neighbour_has_no_near_names(site: Site, name: str, requests: int) -> None:
    assert await site.registry.near_names(site.registry.identify(name)) == ()
    assert len(site.server.requests) == requests


async def test_a_rate_limit_is_told_with_its_delay(site: Site) -> None:
    site.server.faults.add(Fault("/so/*", FaultKind.STATUS, status=429, retry_after="7"))

    with pytest.raises(RateLimited) as caught:
        await site.fetched("some-crate")
    assert caught.value.delay_s == 7


@pytest.mark.parametrize(("kind", "error"), [(FaultKind.HTML, Malformed), (FaultKind.TRUNCATED, Unavailable)])
async def test_a_damaged_index_file_is_an_error_and_no_version_is_skipped(
    site: Site, kind: FaultKind, error: type[Exception]
) -> None:
    site.server.faults.add(Fault("/3/l/lrg", kind))

    with pytest.raises(error):
        await site.fetched("lrg")


async def test_an_archive_that_has_not_the_digest_of_its_line_cannot_be_read_now(site: Site) -> None:
    package = await site.fetched("some-crate")
    other = await site.fetched("lrg")
    assert all(artifact.sha256 for artifact in (*package.artifacts, *other.artifacts))
    swapped = replace(package, artifacts=(replace(package.artifacts[0], sha256=other.artifacts[0].sha256),))
    with pytest.raises(Unavailable, match="SHA-256"):
        await site.registry.import_names(swapped)
    unknown = replace(package, artifacts=(replace(package.artifacts[0], sha256=None),))
    assert await site.registry.import_names(unknown) == await site.registry.import_names(package)


async def test_an_archive_that_is_missing_is_an_error_and_not_an_empty_list(site: Site) -> None:
    package = await site.fetched("b")

    with pytest.raises(NotFound):
        await site.registry.import_names(package)
    assert site.registry.fallback_names(site.registry.identify("b-c")) == ("b_c",)


@pytest.mark.parametrize("kind", [FaultKind.TRUNCATED, FaultKind.HTML])
async def test_what_was_spoilt_on_its_way_is_told_by_its_digest_from_an_archive_that_is_damaged(
    site: Site, kind: FaultKind
) -> None:
    package = await site.fetched("some-crate")
    unknown = replace(package, artifacts=(replace(package.artifacts[0], sha256=None),))
    for each, error in ((package, Unavailable), (unknown, ArchiveRefused)):
        site.server.faults.add(Fault("/crates/*", kind))
        with pytest.raises(error):
            await site.registry.import_names(each)


async def test_a_package_without_artifacts_is_known_by_its_name(site: Site) -> None:
    package = Package(site.registry.identify("a-b"), None, None, (), (), None)

    assert (await site.registry.import_names(package)).names == ("a_b",)
    assert paths(site) == []


@pytest.mark.parametrize("text", ["cargo:Serde_JSON", "crates:serde_JSON", "pkg:cargo/serde_json"])
def test_a_crate_can_be_named_on_the_command_line(text: str) -> None:
    ref = named_package(text)

    assert (ref.ecosystem.label, ref.name, ref.purl) == ("CargoPackage", "serde_json", "pkg:cargo/serde_json")


@pytest.mark.parametrize("name", ["", "a b", "a.b", "-a", "ä", "a" * 65, "a\n", "../a"])
def test_a_name_that_no_crate_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        Cargo.identify(name)
