"""This tests PyPI, asked over real HTTP: at most as many requests for a package as it has versions, and three."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from securechain_ingest.errors import ArchiveRefused, Malformed, NotFound, Unavailable, Withheld
from securechain_ingest.http.freshness import uncached
from securechain_ingest.model import KnownPackage, Package
from securechain_ingest.registries.kit import portions
from securechain_ingest.registries.protocol import Unchanged
from securechain_ingest.registries.pypi.client import PyPI
from tests.registries.asking import RegistrySite, pending, registry_site
from tests.registry_server import Fault, FaultKind, Need, Server, World, pypi, same_constraints

MIXED = pypi.Project(
    "Mixed_Project",
    (
        pypi.ProjectRelease("0.1", (), files=(), requirements_known=False),
        pypi.ProjectRelease("0.2", (pypi.need("other"),), files=(pypi.Sdist(),)),
        pypi.ProjectRelease("0.3", files=(pypi.Sdist(suffix=".zip"),), requirements_known=False),
        pypi.ProjectRelease(
            "0.9rc1", (pypi.need("other", ">=1.0"),), files=(pypi.Wheel(core_metadata=False), pypi.Sdist())
        ),
        pypi.ProjectRelease("1.0", (pypi.need("Other.Project", ">=1.0, <2.0"),), yanked=True, yanked_reason="Broken."),
        pypi.ProjectRelease(
            "1.0+local", (Need("other~=1.4.2", "other", ">=1.4.2, <1.5"),), files=(pypi.Wheel(), pypi.Sdist())
        ),
        pypi.ProjectRelease(
            "1.1",
            (
                Need("other>=1.0", "other", ">=1.0"),
                Need('other<2.0; python_version >= "3"', "other", "<2.0"),
                Need('tested; extra == "test"', None),
            ),
            files=(pypi.Wheel(padding_bytes=1_300_000), pypi.Sdist()),
        ),
    ),
    project_urls=(
        ("Funding", "https://github.com/sponsors/some-owner"),
        ("Source Code", "git@github.com:some-owner/a"),
    ),
    vendor="some-owner",
    repository_url="https://github.com/some-owner/a",
    import_names=("mixed_project",),
)
OLD = pypi.Project("old", (pypi.ProjectRelease("1.0", (pypi.need("other", "==1.0"),)),), layout="2018")
WHEELS = pypi.Project(
    "wheels", tuple(pypi.ProjectRelease(f"1.{n}", (pypi.need("other", f">=1.{n}"),)) for n in range(40))
)
EMPTY = pypi.Project("empty", ())
DECLARED = pypi.Project(
    "declared",
    (
        pypi.ProjectRelease(
            "1.0",
            files=(
                pypi.Wheel(
                    {"declared/__init__.py": b"", "hidden.py": b""},
                    import_names=("declared", "declared._private ; private"),
                    import_namespaces=("space",),
                    padding_bytes=2_000_000,
                ),
            ),
        ),
    ),
)
BROKEN = pypi.Project(
    "broken", (pypi.ProjectRelease("1.0", files=(pypi.Wheel(), pypi.Sdist({"src/broken/__init__.py": b""}))),)
)
QUARANTINED = pypi.Project("quarantined", (pypi.ProjectRelease("1.0"),), status="quarantined")
WORLD = World((MIXED, OLD, WHEELS, EMPTY, DECLARED, BROKEN, QUARANTINED))


Site = RegistrySite[PyPI]


@pytest_asyncio.fixture
async def site(server: Server, tmp_path: Path) -> AsyncIterator[Site]:
    async with registry_site(PyPI, server, tmp_path, WORLD) as site:
        yield site


def known(package: Package, *, versions: frozenset[str] | None = None, validator: str | None = None) -> KnownPackage:
    all_versions = frozenset(version.name for version in package.versions)
    held = all_versions if versions is None else versions
    return KnownPackage(package.ref.purl, package.ref.registry_name, held, datetime.now(UTC), validator)


@pytest.mark.parametrize("project", [MIXED, OLD, WHEELS], ids=lambda project: project.name)
async def test_a_project_is_what_its_author_published(site: Site, project: pypi.Project) -> None:
    package = await site.fetched(project.name)
    truth = project.truth()

    assert (package.ref.name, package.ref.purl, package.ref.registry_name) == (
        truth.name,
        truth.purl,
        truth.registry_name,
    )
    assert (package.vendor, package.repository_url) == (truth.vendor, truth.repository_url)
    ranks = package.ref.ecosystem.rank(version.name for version in package.versions)
    versions = sorted(package.versions, key=lambda version: ranks[version.name])
    assert [(v.name, v.purl, v.release_date, v.yanked, v.deprecated) for v in versions] == [
        (v.name, v.purl, v.release_date, v.yanked, v.deprecated) for v in truth.versions
    ]
    for version, wanted in zip(versions, truth.versions, strict=True):
        found = {need.target.purl: need.constraints for need in version.requirements or ()}
        assert found.keys() == wanted.requirements.keys()
        assert all(same_constraints(found[purl], constraints) for purl, constraints in wanted.requirements.items())


async def test_requirements_cost_one_request_for_each_older_version_with_files(site: Site) -> None:
    await site.fetched("mixed.project")

    first, second, *others = site.targets()
    assert (first, second) == ("/pypi/mixed-project/json", "/simple/mixed-project/")
    assert sorted(path for path in others if not path.endswith(".metadata")) == [
        "/pypi/mixed-project/0.2/json",
        "/pypi/mixed-project/0.3/json",
        "/pypi/mixed-project/0.9rc1/json",
    ]
    assert sum(path.endswith(".metadata") for path in others) == 2
    assert [request.defect for request in site.server.requests] == [None] * 7


async def test_a_project_of_one_version_costs_one_request(site: Site) -> None:
    await site.fetched("old")

    assert site.targets() == ["/pypi/old/json"]


async def test_all_of_a_first_visit_takes_at_most_three_requests_more_than_versions(site: Site) -> None:
    package = await site.fetched("wheels")
    await site.registry.import_names(package)

    assert len(site.targets()) == len(set(site.targets())) <= len(WHEELS.releases) + 3


async def test_a_version_whose_requirements_nobody_knows_has_none_and_not_an_empty_list(site: Site) -> None:
    package = await site.fetched("mixed-project")
    requirements = {version.name: version.requirements for version in package.versions}

    assert requirements["0.1"] is None
    assert requirements["0.3"] is None
    assert requirements["0.2"]


async def test_a_project_that_did_not_change_is_confirmed_without_its_document(site: Site) -> None:
    package = await site.fetched("old")
    answer = await site.registry.fetch(package.ref, known(package, validator=package.validator))

    assert answer == Unchanged(package.ref)
    assert [request.status for request in site.server.requests] == [200, 304]


async def test_only_versions_that_the_graph_lacks_are_asked_for_again(site: Site) -> None:
    package = await site.fetched("wheels")
    site.server.requests.clear()
    names = frozenset(version.name for version in package.versions) - {"1.7"}
    answer = await site.registry.fetch(package.ref, known(package, versions=names))

    assert isinstance(answer, Package)
    assert {version.name for version in answer.versions if version.requirements is not None} == {"1.7", "1.39"}
    assert len(site.targets()) == 3


async def test_a_known_project_with_no_new_version_costs_one_request(site: Site) -> None:
    package = await site.fetched("wheels")
    site.server.requests.clear()
    await site.registry.fetch(package.ref, known(package))

    assert site.targets() == ["/pypi/wheels/json"]


async def test_metadata_that_is_announced_and_missing_is_read_from_the_versions_document(site: Site) -> None:
    site.server.faults.add(Fault("*wheels-1.3-py3-none-any.whl.metadata", FaultKind.STATUS, status=404))
    package = await site.fetched("wheels")

    version = next(version for version in package.versions if version.name == "1.3")
    assert [need.constraints for need in version.requirements or ()] == [">=1.3"]
    assert "/pypi/wheels/1.3/json" in site.targets()


async def test_one_malformed_metadata_file_leaves_only_its_version_unknown(site: Site) -> None:
    site.server.faults.add(Fault("*wheels-1.3-py3-none-any.whl.metadata", FaultKind.HTML))
    package = await site.fetched("wheels")

    assert [version.name for version in package.versions if version.requirements is None] == ["1.3"]


async def test_versions_whose_metadata_cannot_be_read_are_one_line_of_the_log(site: Site) -> None:
    site.server.faults.add(Fault("*.whl.metadata", FaultKind.HTML, times=None))
    with capture_logs() as lines:
        package = await site.fetched("wheels")

    unknown = [version.name for version in package.versions if version.requirements is None]
    assert len(unknown) > 2
    [line] = [line for line in lines if line["event"] == "requirements_unknown"]
    assert (line["package"], line["count"]) == ("pkg:pypi/wheels", len(unknown))
    assert line["package_version"] in unknown


async def test_a_version_that_cannot_be_read_now_fails_the_whole_visit(site: Site) -> None:
    site.server.faults.add(Fault("*wheels-1.3-py3-none-any.whl.metadata", FaultKind.STATUS, status=500))

    with pytest.raises(Unavailable):
        await site.fetched("wheels")


@pytest.mark.parametrize("name", ["never-published", "empty"])
async def test_a_project_that_is_missing_or_without_versions_is_not_found(site: Site, name: str) -> None:
    with pytest.raises(NotFound):
        await site.fetched(name)


async def test_a_project_in_quarantine_is_withheld_and_not_gone(site: Site) -> None:
    ref = site.registry.identify("quarantined")
    held = KnownPackage(ref.purl, "quarantined", frozenset({"1.0"}), datetime.now(UTC), None)
    with uncached(), pytest.raises(Withheld, match="quarantined"):
        await site.registry.fetch(ref, held)
    assert site.targets() == ["/pypi/quarantined/json", "/simple/quarantined/"]


async def test_a_project_whose_files_are_listed_is_withheld_and_not_gone(site: Site) -> None:
    package = await site.fetched("wheels")
    site.server.faults.add(Fault("/pypi/wheels/json", FaultKind.STATUS, status=404))
    with uncached(), pytest.raises(Withheld, match="active on PyPI"):
        await site.registry.fetch(package.ref, known(package))


@pytest.mark.parametrize("name", ["never-published", "empty"])
async def test_a_project_that_neither_interface_has_files_of_is_not_withheld(site: Site, name: str) -> None:
    ref = site.registry.identify(name)
    held = KnownPackage(ref.purl, name, frozenset({"1.0"}), datetime.now(UTC), None)
    with uncached(), pytest.raises(NotFound) as caught:
        await site.registry.fetch(ref, held)
    assert not isinstance(caught.value, Withheld)


async def test_a_page_of_a_proxy_is_malformed(site: Site) -> None:
    site.server.faults.add(Fault("/pypi/old/json", FaultKind.HTML))

    with pytest.raises(Malformed):
        await site.fetched("old")


async def test_the_names_of_a_large_wheel_take_one_request_and_a_twentieth_of_it(site: Site) -> None:
    package = await site.fetched("mixed-project")
    site.server.requests.clear()
    names = await site.registry.import_names(package)

    (request,) = site.server.requests
    size = package.artifacts[0].size
    assert names.names == MIXED.import_names
    assert request.status == 206
    assert size is not None
    assert size > 1_000_000
    assert request.bytes_sent <= size / 20


async def test_declared_import_names_go_before_the_files_of_the_wheel(site: Site) -> None:
    package = await site.fetched("declared")

    assert (await site.registry.import_names(package)).names == ("declared", "space")


async def test_the_source_is_read_where_the_wheel_cannot_be(site: Site) -> None:
    package = await site.fetched("broken")
    site.server.faults.add(Fault("*.whl", FaultKind.STATUS, status=404))

    assert (await site.registry.import_names(package)).names == ("broken",)


async def test_archives_that_break_off_are_refused(site: Site) -> None:
    package = await site.fetched("broken")
    (_, sdist) = package.artifacts
    site.server.faults.add(Fault("*.tar.gz", FaultKind.TRUNCATED))

    with pytest.raises(ArchiveRefused):
        await site.registry.import_names(replace(package, artifacts=(sdist,)))


async def test_a_project_without_files_is_known_by_its_name(site: Site) -> None:
    package = Package(site.registry.identify("My-Package"), "n/a", "n/a", (), (), None)

    assert (await site.registry.import_names(package)).names == ("my_package",)
    assert site.targets() == []


async def test_a_first_reading_takes_two_requests_at_most_and_leaves_what_each_takes_one_of(
    site: Site,
) -> None:
    for name in ("wheels", "mixed_project", "old"):
        site.server.requests.clear()
        package = await site.registry.fetch(site.registry.identify(name), None, first=True)
        assert isinstance(package, Package)
        assert len(site.targets()) <= 2
        whole = await site.fetched(name)
        assert [version.name for version in package.versions] == [version.name for version in whole.versions]
        for version, complete in zip(package.versions, whole.versions, strict=True):
            read = version.requirements == complete.requirements and not version.requirements_pending
            left = version.requirements is None and version.requirements_pending
            assert read != left

        completed = await site.registry.fetch(package.ref, pending(package))
        assert isinstance(completed, Package)
        assert not any(version.requirements_pending for version in completed.versions)
        held = {version.name: version.requirements for version in package.versions}
        for version, complete in zip(completed.versions, whole.versions, strict=True):
            assert (version.requirements or held[version.name]) == complete.requirements


async def test_of_very_many_versions_the_newest_are_read_and_the_others_left_for_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await site.fetched("wheels")
    monkeypatch.setattr(portions, "PORTION", 15)
    site.server.requests.clear()
    package = await site.fetched("wheels")
    assert len(site.targets()) == 2 + 15
    left = {version.name for version in package.versions if version.requirements_pending}
    assert left == {f"1.{number}" for number in range(24)}, "the newest is in the document, and 15 more were read"

    read = {version.name: version.requirements for version in package.versions if not version.requirements_pending}
    for count in (9, 0):
        again = await site.registry.fetch(package.ref, replace(pending(package), archive_pending=False))
        assert isinstance(again, Package)
        read |= {version.name: version.requirements for version in again.versions if version.requirements is not None}
        assert sum(version.requirements_pending for version in again.versions) == count
        package = again
    assert read == {version.name: version.requirements for version in whole.versions}
