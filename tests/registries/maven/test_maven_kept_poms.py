"""The POMs of releases are kept on disk: what one process has read no other on the host asks for again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from securechain_ingest.errors import Unavailable
from securechain_ingest.model import Package
from securechain_ingest.registries.maven import poms
from securechain_ingest.registries.maven.client import Maven
from securechain_ingest.registries.maven.names import is_snapshot
from tests.registries.asking import connected, first_visit
from tests.registry_server import Fault, FaultKind, Server, World, maven

PARENT = maven.Package("org.made:parent", (maven.Version("1", packaging="pom", pom=""),), listed=False)
MANY = maven.Package(
    "org.made:many",
    tuple(
        maven.Version(f"1.{minor}", (maven.need("org.made:thing", "1"),), parent="org.made:parent:1")
        for minor in range(150)
    ),
)
OTHER = maven.Package("org.made:other", (maven.Version("1.0", parent="org.made:parent:1"),))


async def visited(server: Server, folder: Path, name: str = MANY.name) -> Package:
    """Return what a new process with this state directory reads."""
    async with connected(Maven, server, folder) as registry:
        return await first_visit(registry, name)


def files(folder: Path) -> list[Path]:
    """Return what is kept with this state directory."""
    return list(folder.rglob("documents/*/*"))


def cut_off(folder: Path) -> None:
    """Leave what a power cut may leave."""
    for path in files(folder):
        path.write_bytes(path.read_bytes()[:40])


def poms_asked_for(server: Server) -> list[str]:
    """Return the POMs' file names; the requests are forgotten."""
    asked = [request.target.rpartition("/")[2] for request in server.requests]
    server.requests.clear()
    return [name for name in asked if name.endswith(".pom")]


@pytest.fixture(autouse=True)
def served(server: Server) -> None:
    server.faults.clear()
    server.replace(World((PARENT, MANY, OTHER)))
    server.requests.clear()


async def test_a_package_that_breaks_off_is_gone_on_with_where_it_stood(server: Server, tmp_path: Path) -> None:
    unread = {f"many-1.{minor}.pom" for minor in range(150)} | {"parent-1.pom"}
    for broken_at in (50, 100):
        server.faults.add(Fault(f"/org/made/many/1.{broken_at}/*", FaultKind.STATUS, times=None))
        with pytest.raises(Unavailable):
            await visited(server, tmp_path)
        server.faults.clear()
        assert set(poms_asked_for(server)) <= unread, "nothing that was there before is asked for again"
        # Answers that were on their way when the reading broke off may be lost, but no others.
        unread -= {f"many-1.{minor}.pom" for minor in range(broken_at - poms.AT_ONCE)} | {"parent-1.pom"}

    package = await visited(server, tmp_path)
    asked = poms_asked_for(server)
    # Requests that were on their way when the last reading broke off may come to the server only now.
    assert len(asked) - len(set(asked)) <= poms.AT_ONCE
    assert len(set(asked)) <= 50 + poms.AT_ONCE
    assert set(asked) <= unread
    assert [len(version.requirements or ()) for version in package.versions] == [1] * 150


async def test_nothing_that_has_been_read_is_asked_for_by_the_next_process(server: Server, tmp_path: Path) -> None:
    first = await visited(server, tmp_path)
    assert len(poms_asked_for(server)) == 151
    second = await visited(server, tmp_path)
    assert poms_asked_for(server) == []
    assert replace(second, validator=None) == replace(first, validator=None), "with the dates of release"


async def test_a_parent_is_shared_by_packages_and_processes(server: Server, tmp_path: Path) -> None:
    await visited(server, tmp_path, OTHER.name)
    assert sorted(poms_asked_for(server)) == ["other-1.0.pom", "parent-1.pom"]
    await visited(server, tmp_path)
    assert "parent-1.pom" not in poms_asked_for(server)


async def test_two_daemons_on_one_host_share_what_each_has_read(server: Server, tmp_path: Path) -> None:
    async with connected(Maven, server, tmp_path) as one, connected(Maven, server, tmp_path) as other:
        await first_visit(one, MANY.name)
        server.requests.clear()
        await first_visit(other, MANY.name)
    assert poms_asked_for(server) == []


async def test_a_snapshot_is_asked_for_each_time(server: Server, tmp_path: Path) -> None:
    snapshot = maven.Package("org.made:unfinished", (maven.Version("1.0-SNAPSHOT", (maven.need("a:b", "1"),)),))
    server.replace(World((snapshot,)))
    async with connected(Maven, server, tmp_path) as registry:
        for written in ("1", "2"):
            changed = replace(snapshot.versions[0], needs=(maven.need("a:b", written),))
            server.replace(World((replace(snapshot, versions=(changed,)),)))
            [version] = (await first_visit(registry, snapshot.name)).versions
            assert [need.constraints for need in version.requirements or ()] == [f"[{written}]"]
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.0-SNAPSHOT", True),
        ("1.0-snapshot", True),
        ("SNAPSHOT", True),
        ("1.0-20260102.030405-6", True),
        ("1.0", False),
        ("1.0-SNAPSHOT-1", False),
        ("1.0-20260102", False),
    ],
)
def test_versions_are_snapshots_by_maven_s_own_rule(version: str, expected: bool) -> None:
    assert is_snapshot(version) is expected


async def test_a_file_that_is_damaged_or_no_pom_is_thrown_away_and_fetched_anew(server: Server, tmp_path: Path) -> None:
    await visited(server, tmp_path, OTHER.name)
    server.requests.clear()
    cut_off(tmp_path)
    assert (await visited(server, tmp_path, OTHER.name)).versions[0].requirements == ()
    assert sorted(poms_asked_for(server)) == ["other-1.0.pom", "parent-1.pom"]
    await visited(server, tmp_path, OTHER.name)
    assert poms_asked_for(server) == []

    async with connected(Maven, server, tmp_path) as registry:
        kept, url = registry._kept, registry._http.url("maven_central", "org/made/other/1.0/other-1.0.pom")
        held = await kept.get(url)
        assert held is not None
        await kept.put(url, held._replace(body=b"<html>a page of a proxy</html>"))
    assert (await visited(server, tmp_path, OTHER.name)).versions[0].requirements == ()
    assert poms_asked_for(server) == ["other-1.0.pom"]
    await visited(server, tmp_path, OTHER.name)
    assert poms_asked_for(server) == []


async def test_a_page_of_a_proxy_is_not_kept(server: Server, tmp_path: Path) -> None:
    server.faults.add(Fault("/org/made/other/1.0/*", FaultKind.HTML))
    assert (await visited(server, tmp_path, OTHER.name)).versions[0].requirements is None
    assert (await visited(server, tmp_path, OTHER.name)).versions[0].requirements == ()
