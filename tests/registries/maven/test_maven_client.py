"""This tests a Maven repository, asked over real HTTP: one request for the versions, one a POM, one or two for the
names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from securechain_ingest.errors import Malformed, NotFound, RateLimited, Unavailable
from securechain_ingest.model import Package, Version
from securechain_ingest.registries.kit import portions
from securechain_ingest.registries.maven.client import Maven
from securechain_ingest.registries.protocol import Unchanged
from tests.registries.asking import RegistrySite, known, pending, registry_site
from tests.registry_server import Fault, FaultKind, Need, Server, Shape, World, generate, maven


def managed(*dependencies: str) -> str:
    return f"<dependencyManagement><dependencies>{''.join(dependencies)}</dependencies></dependencyManagement>"


SCM = "<scm><url>https://github.com/some-owner/some-repo</url></scm>"

BOM = maven.Package(
    "org.made:bom",
    (maven.Version("9", packaging="pom", pom=managed(maven.dependency("org.made:by-bom", "4.4", scope="runtime"))),),
    listed=False,
)
PARENT = maven.Package(
    "org.made:parent",
    (
        maven.Version(
            "1",
            packaging="pom",
            pom="<properties><thing.version>1.0</thing.version></properties>"
            + managed(
                maven.dependency("org.made:thing", "${thing.version}"),
                maven.dependency("org.made:bom", "9", type="pom", scope="import"),
            )
            + SCM,
        ),
    ),
    listed=False,
)
CHILD = maven.Package(
    "org.made:Child",
    (
        maven.Version("1.0", (maven.need("org.made:Other", "[1.0,2.0)"),), packaging="pom"),
        maven.Version(
            "2.0",
            (
                maven.need("org.made:thing", None, "[3.0]"),
                maven.need("org.made:by-bom", None, "[4.4]"),
                Need(maven.dependency("org.made:in-tests", "1", scope="test"), None),
                maven.need("com.example:unknown", "${nobody}", "any"),
            ),
            pom="<properties><thing.version>3.0</thing.version></properties>",
            parent="org.made:parent:1",
        ),
        maven.Version("2.1", parent="org.made:parent:1"),
        maven.Version("3.0-beta-1", parent="org.made:parent:1"),
    ),
    vendor="some-owner",
    repository_url="https://github.com/some-owner/some-repo",
    import_names=("org.made",),
)
SIBLING = maven.Package(
    "org.made:sibling",
    (maven.Version("1.0", (maven.need("org.made:thing", None, "[1.0]"),), parent="org.made:parent:1"),),
    vendor="some-owner",
    repository_url="https://github.com/some-owner/some-repo",
)
MOVED = maven.Package(
    "old.made:thing",
    (
        maven.Version("1.0", (maven.need("org.made:Child", "1.0"),)),
        maven.Version(
            "1.1",
            (Need("", "org.made:thing", "[1.1]"),),
            pom="<distributionManagement><relocation><groupId>org.made</groupId></relocation></distributionManagement>",
        ),
    ),
)
LARGE = maven.Package("org.made:large", tuple(maven.Version(f"1.{minor}") for minor in range(60)))
HOLES = maven.Package(
    "org.made:holes",
    (
        maven.Version("1", (maven.need("org.made:thing", "1"),), has_pom=False),
        maven.Version("2", document=b"<!DOCTYPE project [<!ENTITY a 'b'>]><project><version>&a;</version></project>"),
        maven.Version("3", (maven.need("org.made:thing", None, "any"),), parent="org.made:never-published:1"),
    ),
)
MANAGING = maven.Package(
    "org.made:managing",
    (
        maven.Version(
            "1",
            (maven.need("org.made:part-1999", None, "[1999.0]"),),
            pom=managed(*(maven.dependency(f"org.made:part-{number}", f"{number}.0") for number in range(2000))),
        ),
    ),
)
BUNDLE = maven.Package("org.made:bundle", (maven.Version("1.0", packaging="pom"),))
BROKEN = maven.Package("org.made:broken", (maven.Version("1.0", has_jar=False),))
WORLD = World((BOM, PARENT, CHILD, SIBLING, MOVED, LARGE, HOLES, MANAGING, BUNDLE, BROKEN))


Site = RegistrySite[Maven]


def files(site: Site) -> list[str]:
    """Return the file names that were asked for."""
    return [target.rpartition("/")[2] for target in site.targets()]


@pytest_asyncio.fixture
async def site(server: Server, tmp_path: Path) -> AsyncIterator[Site]:
    async with registry_site(Maven, server, tmp_path, WORLD) as site:
        yield site


def edges(version: Version) -> dict[str, str] | None:
    if version.requirements is None:
        return None
    return {need.target.purl: need.constraints for need in version.requirements}


async def test_a_package_takes_one_request_and_one_a_pom_and_one_for_its_names(site: Site) -> None:
    package = await site.fetched("org.made:Child")
    names = await site.registry.import_names(package)

    assert Counter(files(site)) == Counter(
        [
            "maven-metadata.xml",
            "Child-1.0.pom",
            "Child-2.0.pom",
            "Child-2.1.pom",
            "Child-3.0-beta-1.pom",
            "parent-1.pom",
            "bom-9.pom",
            "Child-2.1.jar",
        ]
    )
    assert [request.defect for request in site.server.requests] == [None] * 8
    assert names.names == ("org.made",)


async def test_parents_and_boms_are_read_once_for_all_packages(site: Site) -> None:
    await site.fetched("org.made:Child")
    site.server.requests.clear()
    await site.fetched("org.made:sibling")

    assert files(site) == ["maven-metadata.xml", "sibling-1.0.pom"]


@pytest.mark.parametrize("expected", [CHILD, SIBLING, MOVED, LARGE, MANAGING, BUNDLE], ids=lambda package: package.name)
async def test_a_package_is_what_its_author_published(site: Site, expected: maven.Package) -> None:
    package = await site.fetched(expected.name)
    truth = expected.truth()

    assert (package.ref.name, package.ref.purl, package.ref.registry_name) == (
        truth.name,
        truth.purl,
        truth.registry_name,
    )
    assert (package.vendor, package.repository_url) == (truth.vendor, truth.repository_url)
    assert package.properties == {"group_id": expected.group_id, "artifact_id": expected.artifact_id}
    assert {(version.name, version.purl, version.release_date) for version in package.versions} == {
        (version.name, version.purl, version.release_date) for version in truth.versions
    }
    assert {version.name: edges(version) for version in package.versions} == {
        version.name: version.requirements for version in truth.versions
    }
    assert package.ref.ecosystem.rank(version.name for version in package.versions) == {
        version.name: version.serial_number for version in truth.versions
    }


async def test_everything_in_a_generated_repository_is_as_it_was_made(site: Site) -> None:
    world = generate(Shape(packages=20, seed=3, odd_share=0.3, large_share=0.05, ecosystems=("maven",)))
    site.server.replace(world)

    for purl, truth in world.truth().items():
        package = await site.fetched(truth.registry_name)
        names = await site.registry.import_names(package)
        assert (package.vendor, package.repository_url) == (truth.vendor, truth.repository_url), purl
        found = {version.name: (version.release_date, edges(version)) for version in package.versions}
        expected = {
            version.name: (version.release_date, version.requirements if version.release_date else None)
            for version in truth.versions
        }
        assert found == expected, purl
        assert names.names == truth.import_names, purl


async def test_a_package_that_did_not_change_is_confirmed_without_its_versions(site: Site) -> None:
    package = await site.fetched("org.made:large")
    site.server.requests.clear()
    answer = await site.registry.fetch(package.ref, known(package))

    assert answer == Unchanged(package.ref, package.revision)
    assert [(request.status, request.target) for request in site.server.requests] == [
        (304, "/org/made/large/maven-metadata.xml")
    ]


async def test_a_list_with_another_date_and_the_same_versions_is_no_change(site: Site) -> None:
    package = await site.fetched("org.made:large")
    site.server.requests.clear()
    answer = await site.registry.fetch(package.ref, replace(known(package), validator='"another"'))

    assert answer == Unchanged(package.ref, package.revision)
    assert files(site) == ["maven-metadata.xml"]


async def test_of_a_known_package_only_the_new_versions_are_asked_for(site: Site) -> None:
    package = await site.fetched("org.made:Child")
    newer = replace(CHILD, versions=(*CHILD.versions, maven.Version("4.0", (maven.need("org.made:thing", "9"),))))
    site.server.replace(World((BOM, PARENT, newer)))
    site.server.requests.clear()
    answer = await site.registry.fetch(package.ref, known(package))

    assert files(site) == ["maven-metadata.xml", "Child-4.0.pom"]
    assert isinstance(answer, Package)
    assert {version.name: edges(version) for version in answer.versions} == {
        "1.0": None,
        "2.0": None,
        "2.1": None,
        "3.0-beta-1": None,
        "4.0": {"pkg:maven/org.made/thing": "[9]"},
    }


async def test_a_late_fix_of_an_old_line_leaves_the_repository_and_the_jar_as_they_were(site: Site) -> None:
    package = await site.fetched("org.made:Child")
    fixed = replace(CHILD, versions=(CHILD.versions[0], maven.Version("1.0.1"), *CHILD.versions[1:]))
    site.server.replace(World((BOM, PARENT, fixed)))
    answer = await site.registry.fetch(package.ref, known(package))

    assert isinstance(answer, Package)
    assert (answer.repository_url, answer.vendor) == (None, None)
    assert answer.artifacts == package.artifacts


async def test_a_known_package_is_asked_for_by_its_own_spelling(site: Site) -> None:
    package = await site.fetched("org.made:Child")
    answer = await site.registry.fetch(site.registry.identify("org.made:child"), known(package))

    assert answer == Unchanged(package.ref, package.revision)


@pytest.mark.parametrize("name", ["org.made:nothing", "org.made:child", "org.made:parent", "nowhere:at-all"])
async def test_a_package_that_the_repository_does_not_have_is_not_found(site: Site, name: str) -> None:
    with pytest.raises(NotFound):
        await site.fetched(name)


async def test_a_lower_case_name_finds_the_registrys_spelling_by_one_listing(site: Site) -> None:
    ref = site.registry.identify("org.made:child")

    assert await site.registry.near_names(ref) == ("org.made:Child",)
    assert [request.target for request in site.server.requests] == ["/org/made/"]


@pytest.mark.parametrize(
    ("name", "near"), [("org.made:siblings", "org.made:sibling"), ("org.made:x", None), ("never.made:x", None)]
)
async def test_near_names_are_those_of_the_group(site: Site, name: str, near: str | None) -> None:
    assert await site.registry.near_names(site.registry.identify(name)) == ((near,) if near else ())


async def test_a_repository_that_asks_for_fewer_requests_is_given_the_time_it_wants(site: Site) -> None:
    site.server.faults.add(Fault("/org/made/large/maven-metadata.xml", FaultKind.STATUS, status=429, retry_after="7"))

    with pytest.raises(RateLimited) as failure:
        await site.fetched("org.made:large")
    assert failure.value.delay_s == 7


async def test_a_pom_that_cannot_be_read_now_fails_the_package_and_not_its_requirements(site: Site) -> None:
    site.server.faults.add(Fault("/org/made/large/1.7/*", FaultKind.STATUS, status=403))

    with pytest.raises(Unavailable):
        await site.fetched("org.made:large")


async def test_a_page_of_a_proxy_is_malformed(site: Site) -> None:
    site.server.faults.add(Fault("/org/made/large/maven-metadata.xml", FaultKind.HTML))

    with pytest.raises(Malformed):
        await site.fetched("org.made:large")


async def test_versions_without_a_readable_pom_or_parent_stay_and_are_reported(site: Site) -> None:
    with capture_logs() as lines:
        package = await site.fetched("org.made:holes")

    assert {version.name: edges(version) for version in package.versions} == {
        "1": None,
        "2": None,
        "3": {"pkg:maven/org.made/thing": "any"},
    }
    assert [version.release_date is None for version in package.versions] == [True, True, False]
    told = {(line["event"], line.get("kind"), line["package_version"]) for line in lines}
    assert told == {
        ("pom_unreadable", "not_found", "1"),
        ("pom_unreadable", "malformed", "2"),
        ("pom_incomplete", None, "3"),
    }
    assert any("org.made:never-published:1" in line["reason"] for line in lines)


async def test_a_page_of_a_proxy_in_place_of_a_parent_is_not_remembered(site: Site) -> None:
    site.server.faults.add(Fault("/org/made/parent/1/*", FaultKind.HTML))
    first = await site.fetched("org.made:sibling")
    second = await site.fetched("org.made:sibling")

    assert [edges(package.versions[0]) for package in (first, second)] == [
        {"pkg:maven/org.made/thing": "any"},
        {"pkg:maven/org.made/thing": "[1.0]"},
    ]


async def test_a_jar_that_is_missing_is_an_error_and_not_an_empty_list(site: Site) -> None:
    package = await site.fetched("org.made:broken")

    with pytest.raises(NotFound):
        await site.registry.import_names(package)
    assert site.registry.fallback_names(package.ref) == ("org.made",)


@pytest.mark.parametrize("name", ["org.made:bundle", "old.made:thing"])
async def test_a_package_without_a_file_is_known_by_its_group(site: Site, name: str) -> None:
    package = await site.fetched(name)
    site.server.requests.clear()

    assert package.artifacts == ()
    assert (await site.registry.import_names(package)).names == (name.partition(":")[0],)
    assert files(site) == []


async def test_a_first_reading_asks_for_the_newest_pom_and_its_parents_alone(site: Site) -> None:
    ref = site.registry.identify("org.made:Child")
    package = await site.registry.fetch(ref, None, first=True)
    assert isinstance(package, Package)
    asked = [target.rpartition("/")[2] for target in site.targets()]
    assert sorted(asked) == ["Child-2.1.pom", "maven-metadata.xml", "parent-1.pom"]
    assert {version.name for version in package.versions if version.requirements_pending} == {
        "1.0",
        "2.0",
        "3.0-beta-1",
    }
    assert (package.repository_url, package.vendor) == ("https://github.com/some-owner/some-repo", "some-owner")

    site.server.requests.clear()
    completed = await site.registry.fetch(ref, pending(package))
    whole = await site.fetched("org.made:Child")
    assert isinstance(completed, Package)
    assert not any(version.requirements_pending for version in completed.versions)
    read = {version.name: version.requirements for version in whole.versions}
    assert {version.name: version.requirements or () for version in completed.versions} == read
    assert completed.revision == whole.revision


async def test_of_very_many_versions_the_newest_are_read_and_the_others_left_for_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portions, "PORTION", 25)
    package = await site.fetched("org.made:large")
    assert len(files(site)) == 1 + 25
    left = {version.name for version in package.versions if version.requirements_pending}
    assert left == {f"1.{number}" for number in range(35)}

    for count in (10, 0):
        again = await site.registry.fetch(package.ref, pending(package))
        assert isinstance(again, Package)
        assert sum(version.requirements_pending for version in again.versions) == count
        package = again
    assert package.revision == (await site.fetched("org.made:large")).revision


async def test_an_announced_version_is_read_however_many_newer_ones_there_are(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portions, "PORTION", 2)
    ref = site.registry.identify("org.made:large")
    package = await site.registry.fetch(ref, None, at_least="1.3")
    assert isinstance(package, Package)
    read = {version.name for version in package.versions if not version.requirements_pending}
    assert read == {"1.3", "1.58", "1.59"}
