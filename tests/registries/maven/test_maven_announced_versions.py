"""This tests versions that the index has announced and the repository's own list may lack."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from securechain_ingest.errors import NotFound, Stale, Unavailable, Withheld
from securechain_ingest.http.freshness import uncached
from securechain_ingest.model import Package
from securechain_ingest.registries.maven.client import Maven
from securechain_ingest.registries.maven.index_records import revision
from securechain_ingest.registries.protocol import Unchanged
from tests.registries.asking import connected, first_visit, known
from tests.registry_server import Fault, FaultKind, Server, World, maven, serve

LAGGING = maven.Package(
    "org.made:lagging",
    (
        maven.Version("1.0"),
        maven.Version("1.1", (maven.need("org.made:thing", "1.0"),), is_listed=False),
        maven.Version("1.2", is_listed=False),
    ),
)
SCM = "<scm><url>https://github.com/some-owner/some-repo</url></scm>"
RESET = maven.Package(
    "org.made:reset",
    (
        maven.Version("2.8.0", is_listed=False),
        maven.Version("2.9.0"),
        maven.Version("2.10.0", is_listed=False, pom=SCM, members={"org/made/new/A.class": b""}),
        maven.Version("2.11.0-beta-1", is_listed=False),
    ),
)
PHANTOM = maven.Package(
    "org.made:phantom",
    (
        maven.Version("1.0-rc5"),
        maven.Version("1.0-rc6", pom=SCM, members={"org/made/real/A.class": b""}),
        maven.Version("1.0-SNAPSHOT", has_pom=False, has_jar=False),
        maven.Version("HEAD-SNAPSHOT", has_pom=False, members={"org/made/phantom/A.class": b""}),
    ),
)
NOTHING = maven.Package("org.made:nothing", (maven.Version("1.0", has_pom=False, has_jar=False),))
UNLISTED = maven.Package("org.made:unlisted", (maven.Version("1.0"),), listed=False)
LONG = maven.Package("org.made:long", tuple(maven.Version(f"1.{minor}") for minor in range(3)))
NAME = LAGGING.name
WORLD = World((LAGGING, UNLISTED, RESET, PHANTOM, NOTHING, LONG))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(WORLD) as running:
        yield running


@pytest_asyncio.fixture
async def registry(server: Server, tmp_path: Path) -> AsyncIterator[Maven]:
    server.requests.clear()
    async with connected(Maven, server, tmp_path) as client:
        yield client


async def announced(registry: Maven, name: str, versions: str, first: Package | None = None) -> Package:
    package = await registry.fetch(registry.identify(name), known(first) if first else None, at_least=versions)
    assert isinstance(package, Package)
    return package


def versions_of(package: Package) -> list[str]:
    return [version.name for version in package.versions]


async def test_an_announced_version_is_taken_beside_those_of_the_list(registry: Maven) -> None:
    package = await announced(registry, NAME, "1.0 1.1")

    assert versions_of(package) == ["1.0", "1.1"]
    [requirement] = package.versions[1].requirements or ()
    assert requirement.target.registry_name == "org.made:thing"
    assert package.revision == revision(["1.0", "1.1"])
    assert not package.lists_all_versions


async def test_an_unchanged_list_does_not_hide_what_the_index_announced(registry: Maven) -> None:
    first = await first_visit(registry, NAME)
    assert versions_of(first) == ["1.0"]

    assert versions_of(await announced(registry, NAME, "1.1", first)) == ["1.0", "1.1"]


async def test_what_the_graph_has_already_is_asked_for_conditionally(registry: Maven, server: Server) -> None:
    first = await announced(registry, NAME, "1.1")
    server.requests.clear()

    again = await registry.fetch(registry.identify(NAME), known(first), at_least="1.1 1.0")

    assert isinstance(again, Unchanged)
    assert [request.status for request in server.requests] == [304]


async def test_versions_that_the_graph_has_and_the_list_lacks_count_in_the_revision(registry: Maven) -> None:
    first = await announced(registry, NAME, "1.1")

    second = await announced(registry, NAME, "1.2", first)

    assert versions_of(second) == ["1.0", "1.2"]
    assert second.revision == revision(["1.0", "1.1", "1.2"])


async def test_an_announced_version_without_a_pom_is_left_out_and_told(registry: Maven) -> None:
    with capture_logs() as logs:
        package = await announced(registry, NAME, "9.9")

    assert versions_of(package) == ["1.0"]
    assert package.revision == revision(["1.0"])
    [log] = [log for log in logs if log["event"] == "indexed_versions_missing"]
    assert log["versions"] == ["9.9"]


async def test_a_package_without_a_list_has_the_versions_that_were_announced(registry: Maven) -> None:
    assert versions_of(await announced(registry, UNLISTED.name, "1.0")) == ["1.0"]


async def test_a_package_without_a_list_whose_poms_are_there_is_withheld_and_not_gone(
    registry: Maven, server: Server
) -> None:
    held = known(await announced(registry, UNLISTED.name, "1.0"))
    held = replace(held, versions=held.versions | {"2.0", "3.0"})
    server.requests.clear()
    with uncached(), pytest.raises(Withheld, match=r"1\.0 is there"):
        await registry.fetch(registry.identify(UNLISTED.name), held)
    asked = [request.target.rpartition("/")[2] for request in server.requests]
    assert asked == ["maven-metadata.xml", "unlisted-3.0.pom", "unlisted-2.0.pom", "unlisted-1.0.pom"]


async def test_a_package_without_a_list_and_poms_is_gone(registry: Maven, server: Server) -> None:
    held = known(await announced(registry, UNLISTED.name, "1.0"))
    held = replace(held, versions=frozenset(f"{number}.0" for number in range(2, 30)))
    server.requests.clear()
    with uncached(), pytest.raises(NotFound) as caught:
        await registry.fetch(registry.identify(UNLISTED.name), held)
    assert not isinstance(caught.value, Withheld)
    assert len(server.requests) == 6


async def test_a_package_whose_poms_cannot_be_read_now_is_not_gone(registry: Maven, server: Server) -> None:
    held = known(await announced(registry, UNLISTED.name, "1.0"))
    server.faults.add(Fault("*.pom", FaultKind.STATUS, status=503))
    with uncached(), pytest.raises(Unavailable):
        await registry.fetch(registry.identify(UNLISTED.name), held)


async def test_a_package_of_which_nothing_announced_can_be_seen_is_tried_again(registry: Maven) -> None:
    with pytest.raises(Stale):
        await announced(registry, "org.made:not-yet", "1.0")


async def test_a_package_that_nobody_announced_and_that_has_no_list_is_not_there(registry: Maven) -> None:
    with pytest.raises(NotFound):
        await registry.fetch(registry.identify(UNLISTED.name), None)


async def test_a_version_is_never_taken_back(registry: Maven, server: Server) -> None:
    first = await announced(registry, NAME, "1.1 1.2")
    server.replace(World((replace(LAGGING, versions=(*LAGGING.versions, maven.Version("2.0"))),)))
    try:
        second = await registry.fetch(registry.identify(NAME), known(first))
    finally:
        server.replace(WORLD)

    assert isinstance(second, Package)
    assert not second.lists_all_versions
    assert second.revision == revision(["1.0", "1.1", "1.2", "2.0"])


async def names_and_repository(registry: Maven, package: Package) -> tuple[tuple[str, ...], str | None]:
    return (await registry.import_names(package)).names, package.repository_url


async def test_versions_that_a_listing_has_told_belong_to_the_package_and_the_newest_of_them_is_the_default(
    registry: Maven,
) -> None:
    package = await announced(registry, RESET.name, "listed: 2.8.0 2.9.0 2.10.0")

    assert sorted(versions_of(package)) == ["2.10.0", "2.8.0", "2.9.0"]
    assert package.revision == revision(["2.8.0", "2.9.0", "2.10.0"])
    assert await names_and_repository(registry, package) == (
        ("org.made.new",),
        "https://github.com/some-owner/some-repo",
    )


async def test_versions_that_were_told_once_count_for_the_default_when_the_list_changes(
    registry: Maven, server: Server
) -> None:
    first = await announced(registry, RESET.name, "listed: 2.8.0 2.9.0 2.10.0")
    server.replace(World((replace(RESET, versions=(*RESET.versions, maven.Version("2.9.1"))),)))
    try:
        second = await registry.fetch(registry.identify(RESET.name), known(first))
    finally:
        server.replace(WORLD)

    assert isinstance(second, Package)
    assert sorted(versions_of(second)) == ["2.9.0", "2.9.1"]
    assert second.artifacts == first.artifacts


async def test_a_visit_on_demand_has_the_versions_of_the_list_alone(registry: Maven) -> None:
    assert versions_of(await first_visit(registry, RESET.name)) == ["2.9.0"]


async def test_what_a_listing_tells_and_the_graph_has_costs_one_request(registry: Maven, server: Server) -> None:
    first = await announced(registry, RESET.name, "listed: 2.8.0 2.9.0 2.10.0")
    server.requests.clear()
    again = await registry.fetch(registry.identify(RESET.name), known(first), at_least="listed: 2.10.0 2.9.0 2.8.0")

    assert isinstance(again, Unchanged)
    assert [request.status for request in server.requests] == [304]


async def test_a_package_of_which_a_listing_tells_only_what_is_gone_is_not_there(registry: Maven) -> None:
    with pytest.raises(NotFound):
        await registry.fetch(registry.identify("org.made:long-gone"), None, at_least="listed: 1.0 1.1")


async def test_a_listed_version_without_a_pom_is_never_the_default(registry: Maven, server: Server) -> None:
    package = await first_visit(registry, PHANTOM.name)

    assert sorted(versions_of(package)) == ["1.0-SNAPSHOT", "1.0-rc5", "1.0-rc6", "HEAD-SNAPSHOT"]
    assert await names_and_repository(registry, package) == (
        ("org.made.real",),
        "https://github.com/some-owner/some-repo",
    )
    server.requests.clear()
    newer = replace(PHANTOM, versions=(maven.Version("0.9"), *PHANTOM.versions))
    server.replace(World((newer,)))
    try:
        second = await registry.fetch(registry.identify(PHANTOM.name), known(package))
    finally:
        server.replace(WORLD)
    assert isinstance(second, Package)
    assert [artifact.version for artifact in second.artifacts] == ["0.9"]


async def test_a_package_without_any_pom_has_the_fallback_name_and_no_file_is_asked_for(
    registry: Maven, server: Server
) -> None:
    package = await first_visit(registry, NOTHING.name)
    server.requests.clear()

    assert versions_of(package) == ["1.0"]
    assert (await registry.import_names(package)).names == ("org.made",)
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "told", "expected", "pending"),
    [
        (RESET.name, "listed: 2.9.0", ["reset-2.9.0.pom"], set()),
        (LONG.name, "listed: 1.0 1.1 1.2", ["long-1.2.pom"], {"1.0", "1.1"}),
        (RESET.name, "listed: 2.9.0 2.8.0 2.7.0", [f"reset-2.{minor}.0.pom" for minor in (7, 8, 9)], set()),
    ],
    ids=["one version", "several", "some that the repository's list lacks"],
)
async def test_a_first_reading_asks_for_the_newest_of_what_a_listing_tells_and_for_what_may_not_exist(
    registry: Maven, server: Server, name: str, told: str, expected: list[str], pending: set[str]
) -> None:
    package = await registry.fetch(registry.identify(name), None, at_least=told, first=True)

    assert isinstance(package, Package)
    asked = [request.target.rpartition("/")[2] for request in server.requests]
    assert sorted(asked) == sorted(["maven-metadata.xml", *expected])
    left = {version.name for version in package.versions if version.requirements_pending}
    assert left == pending
    assert "2.7.0" not in versions_of(package), "no version that has no POM, unless the repository lists it"
