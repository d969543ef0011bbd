"""What one installation exports, another one imports: the same graph, advisories and cursors."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from neo4j import GraphDatabase

from securechain_ingest.errors import ConfigError, SnapshotError, StoreError
from securechain_ingest.graph.copying import GraphCopy
from securechain_ingest.jobs.advisory_rating import note_unfinished_ratings, unfinished_ratings
from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.model import Artifact, ImportNames, NamesChange, PackageRef, Rating
from securechain_ingest.queue.inspection import queued_messages
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.submission import enqueue
from securechain_ingest.service import build_service
from securechain_ingest.snapshot import export as exporting
from securechain_ingest.snapshot import load as loading
from securechain_ingest.snapshot.manifest import SnapshotManifest
from tests.graph.builders import npm, pypi, version, write
from tests.graph_digest import graph_lines
from tests.snapshot.conftest import WholeInstallation

NEWER = datetime(2026, 2, 2, tzinfo=UTC)
# An export marks what is to be asked for in the other installation.
MARKS = ("queued_at", "left_out", "left_out_first", "left_out_depth", "settled")


def run(target: WholeInstallation, cypher: str, **parameters: Any) -> list[dict[str, Any]]:
    graph = target.graph
    with (
        GraphDatabase.driver(graph.uri, auth=(graph.user, graph.password)) as driver,
        driver.session(database=graph.database) as session,
    ):
        return session.run(cypher, parameters).data()


def equal(source: WholeInstallation, target: WholeInstallation) -> bool:
    lines = [graph_lines(each.graph, without=MARKS) for each in (source, target)]
    assert lines[0]
    assert lines[1] == lines[0]
    return True


async def some_packages(source: WholeInstallation) -> None:
    graph = source.stores.graph
    rated = {"1.0": Rating(7.5, 7.5, ("GHSA-aaaa-bbbb-cccc", "CVE-2024-1"))}
    await graph.write(
        [
            write(pypi("six"), "1.0", "1.1", names=ImportNames(("six", "six.moves"))),
            write(
                pypi("Flask"), version(pypi("Flask"), "1.0", {pypi("six"): ">= 1", pypi("gone"): "any"}), ratings=rated
            ),
            write(npm("@babel/core"), version(npm("@babel/core"), "1.0", {npm("left"): '^1 || "x", 2\n'}, yanked=True)),
            write(
                npm("empty"), "2.0", names=ImportNames(()), properties={"license": 'A "quoted",\nbroken\r\nlicence\\'}
            ),
            write(pypi("late"), version(pypi("late"), "1.0", unknown=True), archive_pending=True),
        ]
    )


async def test_the_imported_graph_equals_the_exported_one(
    source: WholeInstallation, target: WholeInstallation, tmp_path: Path
) -> None:
    await some_packages(source)
    manifest = await source.export(tmp_path / "snapshot")
    assert (manifest.rows("packages"), manifest.rows("require"), manifest.rows("awaited_by")) == (5, 1, 2)
    await target.load(tmp_path / "snapshot")
    assert equal(source, target)


async def test_what_other_programs_have_written_comes_along_and_their_nodes_stay_out(
    source: WholeInstallation, target: WholeInstallation, tmp_path: Path
) -> None:
    await some_packages(source)
    run(source, "CREATE (:User {_id: 'u'})-[:OWN]->(r:Repository {owner: 'o', name: 'n'})")
    run(
        source,
        "MATCH (p:PyPIPackage {purl: 'pkg:pypi/six'})"
        " SET p.stars = 7, p.topics = ['a', 'b'], p.weight = 0.5, p.fork = false"
        " CREATE (f:RequirementFile {name: 'f'})-[:REQUIRE {constraints: 'any'}]->(p)",
    )
    run(source, "MATCH (p:PyPIPackage {purl: 'pkg:pypi/late'}) SET p.stars = 'many'")
    run(source, "MATCH (v:Version {purl: 'pkg:pypi/six@1.0'}) SET v.release_date = 1620000000000")
    run(source, "CREATE (:NPMPackage {name: 'without purl'})")
    manifest = await source.export(tmp_path / "snapshot")
    await target.load(tmp_path / "snapshot")
    assert manifest.left_out == {"packages_without_purl": 1}
    run(source, "MATCH (p:NPMPackage {name: 'without purl'}) DELETE p")
    assert equal(source, target)
    assert run(target, "MATCH (n) WHERE n:User OR n:Repository OR n:RequirementFile RETURN n") == []


async def test_an_absent_package_is_asked_for_by_the_importing_installation(
    source: WholeInstallation, target: WholeInstallation, tmp_path: Path
) -> None:
    await some_packages(source)
    await source.stores.graph.mark_absent(pypi("gone"), NEWER, "the registry does not have it")
    await source.export(tmp_path / "snapshot")
    await target.load(tmp_path / "snapshot")
    found = run(target, "MATCH (a:AbsentPackage) RETURN a.purl AS purl, a.left_out AS left_out, a.queued_at AS queued")
    assert sorted(found, key=lambda row: row["purl"]) == [
        {"purl": "pkg:npm/left", "left_out": "npm", "queued": None},
        {"purl": "pkg:pypi/gone", "left_out": None, "queued": None},
    ]


async def test_a_package_that_waits_to_be_completed_is_due_at_once_in_the_importing_installation(
    source: WholeInstallation, target: WholeInstallation, tmp_path: Path
) -> None:
    ecosystem = npm("app").ecosystem
    await source.stores.graph.write([write(npm("app"), "1.0.0", archive_pending=True)])
    [due] = await source.stores.graph.pending.due(ecosystem, NEWER, 10)
    await source.stores.graph.pending.ask_again_at([due.element_id], NEWER, NEWER + timedelta(days=1))
    await source.export(tmp_path / "snapshot")
    await target.load(tmp_path / "snapshot")
    assert await source.stores.graph.pending.due(ecosystem, NEWER, 10) == []
    assert [each.name for each in await target.stores.graph.pending.due(ecosystem, NEWER, 10)] == ["app"]


async def test_the_address_of_an_archive_that_is_still_to_be_read_stays_with_its_installation(
    source: WholeInstallation, target: WholeInstallation, tmp_path: Path
) -> None:
    archive = Artifact("https://mirror.made.test/app.tgz", "app.tgz", "1.0.0", size=None, digest=None)
    first = write(npm("app"), "1.0.0", archive_pending=True)
    await source.stores.graph.write([replace(first, package=replace(first.package, artifacts=(archive,)))])
    await source.export(tmp_path / "snapshot")
    await target.load(tmp_path / "snapshot")
    pending = "MATCH (p:NPMPackage) RETURN p.pending_archive AS address, p.archive_pending AS is_pending"
    assert run(source, pending) == [
        {"address": ["1.0.0", "https://mirror.made.test/app.tgz", "app.tgz", ""], "is_pending": True}
    ]
    assert run(target, pending) == [{"address": None, "is_pending": True}]
    [due] = await target.stores.graph.pending.due(npm("app").ecosystem, NEWER, 10)
    assert due.name == "app"


async def test_cursors_and_unfinished_work_of_the_feeds_come_along(
    source: WholeInstallation, target: WholeInstallation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await some_packages(source)
    settings = source.settings
    cursors = Cursors(source.stores.redis, settings.queue.stream)
    await cursors.move("npm", "1234", "a-run", reconciled=True, vouches=True)
    await note_unfinished_ratings(source.stores.redis, settings.queue.stream, 2, [b'["PyPI","flask"]'])
    announced = Message("NPMPackage", "express", refresh=True, internal=True, at_least="1-abc", run="a-run")
    await enqueue(source.stores.redis, settings.queue, "npm", Lane.CHANGED, [announced])
    await enqueue(source.stores.redis, settings.queue, "npm", Lane.LISTED, [Message("NPMPackage", "listed")])
    whole = GraphCopy.packages

    async def while_the_feed_goes_on(self: GraphCopy, ecosystem: Any, after: str, limit: int) -> Any:
        await cursors.move("npm", "1300", "another-run")
        return await whole(self, ecosystem, after, limit)

    # What the feed announces after the first row, it announces to the importing installation, too.
    with monkeypatch.context() as patch:
        patch.setattr(GraphCopy, "packages", while_the_feed_goes_on)
        await source.export(tmp_path / "snapshot")
    await target.load(tmp_path / "snapshot")

    redis, queue = target.stores.redis, target.settings.queue
    moved = await Cursors(redis, queue.stream).get("npm")
    assert moved is not None
    assert (moved.value, moved.vouched_at) == ("1234", (await cursors.get("npm")).vouched_at)  # type: ignore[union-attr]
    assert await unfinished_ratings(redis, queue.stream) == (2, [b'["PyPI","flask"]'])
    queued = [each.message async for each in queued_messages(redis, queue.stream, queue.group, ["npm"])]
    assert [(each.package, each.at_least, each.run) for each in queued if each] == [("express", "1-abc", None)]
    keys = {key.decode() async for key in redis.scan_iter()}
    assert Keys(queue.stream).snapshot_import not in keys


async def test_advisories_come_along_with_the_fields_of_other_programs(
    source: WholeInstallation, target: WholeInstallation, tmp_path: Path
) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    documents = [
        {"id": f"GHSA-{n}", "modified": f"2026-01-0{n}", "exploits": [{"at": moment, "n": 2**40}]} for n in (1, 2)
    ]
    await source.stores.advisories.restore(documents)
    await target.stores.advisories.restore([{"id": "GHSA-1", "modified": "2026-01-09", "cwes": ["CWE-1"]}])
    await some_packages(source)
    await source.export(tmp_path / "snapshot")
    await target.load(tmp_path / "snapshot")
    found = {document["id"]: document async for document in target.stores.advisories.documents()}
    assert found["GHSA-1"] == {"id": "GHSA-1", "modified": "2026-01-09", "cwes": ["CWE-1"]}
    assert found["GHSA-2"]["exploits"] == [{"at": moment.replace(tzinfo=None), "n": 2**40}]


async def test_what_releases_have_changed_comes_along(
    source: WholeInstallation, target: WholeInstallation, tmp_path: Path
) -> None:
    change = NamesChange("2.0", "1.0", added=("six.new",), removed=("six.old",))
    await source.stores.changes.keep("pkg:pypi/six@2.0", change, pypi("six").ecosystem)
    await some_packages(source)
    await source.export(tmp_path / "snapshot")
    await target.load(tmp_path / "snapshot")
    kept = await target.stores.changes.get("pkg:pypi/six@2.0")
    assert kept is not None
    assert (kept.before, kept.added, kept.removed) == ("1.0", ("six.new",), ("six.old",))


async def test_an_interrupted_import_goes_on_where_it_stopped(
    source: WholeInstallation, target: WholeInstallation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_ROWS", 2)
    await source.stores.graph.write([write(pypi(f"p{n}"), "1.0", "2.0") for n in range(20)])
    await some_packages(source)
    await source.export(tmp_path / "snapshot")
    written: list[str] = []
    for broken_after in (3, 11, 25):
        with monkeypatch.context() as patch:
            _break_after(patch, broken_after, written)
            with pytest.raises(StoreError):
                await target.load(tmp_path / "snapshot")
        with pytest.raises(SnapshotError, match="another snapshot was interrupted"):
            await target.load(await _other_snapshot(source, tmp_path / f"other-{broken_after}"))
        with pytest.raises(ConfigError, match="import of a snapshot into these stores is unfinished"):
            async with build_service(target.stores, target.settings, lambda: 0):
                pass
    await target.load(tmp_path / "snapshot")
    async with build_service(target.stores, target.settings, lambda: 0):
        assert equal(source, target)
    # Each batch was written once, but for those of the breaks.
    assert len(written) == 3 + 11 + 25


def _break_after(patch: pytest.MonkeyPatch, batches: int, written: list[str]) -> None:
    whole = GraphCopy._merge
    left = iter(range(batches))

    async def broken(self: GraphCopy, text: str, rows: Any) -> None:
        if next(left, None) is None:
            raise StoreError("the graph went away")
        written.append(text)
        await whole(self, text, rows)

    patch.setattr(GraphCopy, "_merge", broken)


async def _other_snapshot(source: WholeInstallation, folder: Path) -> Path:
    await source.export(folder)
    return folder


async def test_packages_that_are_written_during_an_export_leave_no_requirement_without_its_package(
    source: WholeInstallation, target: WholeInstallation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_PAGE", 2)
    graph = source.stores.graph
    await graph.write([write(pypi(f"m{n}"), version(pypi(f"m{n}"), "1.0", {pypi("awaited"): "any"})) for n in range(9)])
    pages = 0

    def between_pages(what: str, _count: int) -> None:
        nonlocal pages
        pages += what == "versions"

    whole = GraphCopy.packages

    async def writing(self: GraphCopy, ecosystem: Any, after: str, limit: int) -> Any:
        # Pages in front of this one have been read: `a…` is new in there, and `awaited` comes for those that wait.
        if ecosystem.name == "pypi" and "" < after < "pkg:pypi/z":
            name = f"a{pages}"
            await graph.write([write(pypi(name), "1.0")])
            await graph.write([write(pypi("z"), version(pypi("z"), "1.0", _requirements(pages)))])
        if after > "pkg:pypi/m5":
            await graph.write([write(pypi("awaited"), "1.0")])
        return await whole(self, ecosystem, after, limit)

    monkeypatch.setattr(GraphCopy, "packages", writing)
    await source.export(tmp_path / "snapshot", between_pages)
    monkeypatch.setattr(GraphCopy, "packages", whole)
    await target.load(tmp_path / "snapshot")
    assert run(target, "MATCH (a:AbsentPackage) RETURN a.purl") == []
    assert equal(source, target)


def _requirements(pages: int) -> dict[PackageRef, str]:
    return {pypi(f"a{n}"): "any" for n in range(1, pages + 1)}


async def test_a_graph_with_packages_is_not_imported_into(
    source: WholeInstallation, target: WholeInstallation, tmp_path: Path
) -> None:
    await some_packages(source)
    await source.export(tmp_path / "snapshot")
    await target.stores.graph.write([write(pypi("there"), "1.0")])
    before = graph_lines(target.graph)
    with pytest.raises(SnapshotError, match="the graph is not empty"):
        await target.load(tmp_path / "snapshot")
    assert graph_lines(target.graph) == before


async def test_an_export_that_breaks_off_leaves_nothing_and_is_made_by_the_same_command(
    source: WholeInstallation, tmp_path: Path
) -> None:
    await some_packages(source)

    def broken(what: str, _count: int) -> None:
        if what == "versions":
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await source.export(tmp_path / "snapshot", broken)
    assert list((tmp_path / "snapshot").iterdir()) == []
    assert (await source.export(tmp_path / "snapshot")).rows("packages") == 5


async def test_a_full_disk_is_named_in_one_line(
    source: WholeInstallation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_manifest: SnapshotManifest, _folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SnapshotManifest, "write", full)
    with pytest.raises(SnapshotError, match="cannot be written to: No space left on device"):
        await source.export(tmp_path / "snapshot")
    assert list((tmp_path / "snapshot").iterdir()) == []


async def test_an_empty_graph_is_exported_and_imported(
    source: WholeInstallation, target: WholeInstallation, tmp_path: Path
) -> None:
    manifest = await source.export(tmp_path / "snapshot")
    assert manifest.parts == ()
    await target.load(tmp_path / "snapshot")
    assert run(target, "MATCH (n) RETURN n") == []


async def test_a_graph_of_another_program_is_not_imported_into(
    source: WholeInstallation, target: WholeInstallation, tmp_path: Path
) -> None:
    await some_packages(source)
    await source.export(tmp_path / "snapshot")
    run(target, "CREATE (:User {_id: 'u'}), (:Movie {title: 't'})")
    before = graph_lines(target.graph)
    with pytest.raises(SnapshotError, match="nodes of another program, with the label Movie"):
        await target.load(tmp_path / "snapshot")
    assert graph_lines(target.graph) == before
    run(target, "MATCH (m:Movie) DELETE m")
    await target.load(tmp_path / "snapshot")
    assert run(target, "MATCH (p:PyPIPackage) RETURN count(p) AS count") == [{"count": 3}]


async def test_an_import_that_was_begun_without_the_offline_one_does_not_leave_out_the_rest_of_the_graph(
    source: WholeInstallation, target: WholeInstallation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await some_packages(source)
    await source.export(tmp_path / "snapshot")
    with monkeypatch.context() as patch:
        _break_after(patch, 2, [])
        with pytest.raises(StoreError):
            await target.load(tmp_path / "snapshot")
    with pytest.raises(SnapshotError, match="this import was begun without --after-offline"):
        await target.load(tmp_path / "snapshot", has_graph=True)
    await target.load(tmp_path / "snapshot")
    assert equal(source, target)
