"""This module makes a snapshot while daemons go on writing.

What is read first may be older than what is read last, and the feeds close that gap: the cursors are read before the
first row, so that whoever follows them from there meets every change that a row may lack. Changes that the feeds had
announced by then and that were still in the queue are written, too.

A version that is read may require a package that has been written since its page was read. Such packages are looked for
at the end. A requirement whose package is not in the snapshot waits for the package, as it does in the graph.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

import orjson
from bson import json_util

from securechain_ingest.graph.copying import (
    VERSIONS_AT_ONCE,
    CopiedPackage,
    CopiedRequirement,
    CopiedVersion,
    GraphCopy,
)
from securechain_ingest.graph.store import Graph
from securechain_ingest.jobs.advisory_rating import unfinished_ratings
from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.jobs.name_digests import NameDigests
from securechain_ingest.model import Ecosystem
from securechain_ingest.queue.inspection import queued_messages
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import encode
from securechain_ingest.settings import GraphSettings, QueueSettings
from securechain_ingest.snapshot import columns
from securechain_ingest.snapshot.folder import WAITS, claimed
from securechain_ingest.snapshot.manifest import Kind, SnapshotManifest
from securechain_ingest.snapshot.writing import SnapshotFiles
from securechain_ingest.stores import Stores

Report = Callable[[str, int], None]
"""It is called with what was just written (packages, advisories, …) and how many of them."""

_PAGE: Final = 500
_ABSENT_PAGE: Final = 5_000
_READINGS: Final = 5


@dataclass(slots=True)
class _State:
    """It says what the snapshot has so far."""

    files: SnapshotFiles
    packages: NameDigests
    waits: IO[bytes]
    """This file has the waiting requirements, of which only the end shows whether their packages are there."""
    names_parents: bool
    """This says whether a requirement has the name, and not the purl, of the package that it comes from."""


async def export(
    stores: Stores,
    ecosystems: Sequence[Ecosystem],
    queue: QueueSettings,
    graph: GraphSettings,
    folder: Path,
    report: Report,
) -> SnapshotManifest:
    """Write a snapshot into a folder that is empty or does not exist yet, and return its manifest.

    It raises SnapshotError, StoreError and ConfigError. After an error the folder is empty.
    """
    with claimed(folder):
        files = SnapshotFiles(folder)
        try:
            manifest = SnapshotManifest(cursors=await Cursors(stores.redis, queue.stream).documents())
            rule, unrated = await unfinished_ratings(stores.redis, queue.stream)
            for member in unrated:
                files.add_line("unrated", member.decode())
            await _changed(stores, ecosystems, queue, files)
            await _documents(stores.advisories.documents(), "advisories", files, report)
            await _documents(stores.changes.documents(), "release_changes", files, report)
            left_out = await _graph(stores.graph, ecosystems, graph, folder, files, report)
            parts = files.close()
        except BaseException:
            files.abandon()
            raise
        manifest = manifest.model_copy(
            update={"rating_rule": rule, "parts": parts, "left_out": {**left_out, **files.left_out}}
        )
        manifest.write(folder)
    return manifest


async def _changed(stores: Stores, ecosystems: Sequence[Ecosystem], queue: QueueSettings, files: SnapshotFiles) -> None:
    """Write the changes that stand before the cursors but may not be in the graph yet."""
    names = [ecosystem.name for ecosystem in ecosystems]
    async for queued in queued_messages(stores.redis, queue.stream, queue.group, names, (Lane.CHANGED,)):
        if queued.message is not None:
            # Neither the run nor a parent exists in another installation.
            message = replace(queued.message, run=None, parent_id=None, parent_version=None)
            files.add_line("changed", encode(message))


async def _documents(
    documents: AsyncIterator[dict[str, Any]], kind: Kind, files: SnapshotFiles, report: Report
) -> None:
    async for document in documents:
        files.add_line(kind, json_util.dumps(document, json_options=json_util.CANONICAL_JSON_OPTIONS))
        report(kind.replace("_", " "), 1)


async def _graph(
    graph: Graph,
    ecosystems: Sequence[Ecosystem],
    settings: GraphSettings,
    folder: Path,
    files: SnapshotFiles,
    report: Report,
) -> dict[str, int]:
    """Write the tables of the graph. Return how many packages without a purl were left out."""
    waits_path = folder / WAITS
    with waits_path.open("wb") as waits:
        state = _State(files, NameDigests(), waits, settings.parent_version_name == "name")
        for ecosystem in ecosystems:
            await _packages(graph.copy, ecosystem, state, report)
        late = [(ecosystem, await _late_packages(graph, ecosystem, state)) for ecosystem in ecosystems]
        state.packages.add(purl for _, purls in late for purl in purls)
        for ecosystem, purls in late:
            await _late(graph.copy, ecosystem, purls, state, report)
    await _absent(graph.copy, waits_path, state, report)
    waits_path.unlink()
    counts = [await graph.copy.without_purl(ecosystem) for ecosystem in ecosystems]
    return {"packages_without_purl": sum(counts)} if any(counts) else {}


async def _packages(copy: GraphCopy, ecosystem: Ecosystem, state: _State, report: Report) -> None:
    after = ""
    while page := await copy.packages(ecosystem, after, _PAGE):
        after = page[-1].purl
        await _page(copy, ecosystem, page, state, report, lambda _: True)
        state.packages.add(package.purl for package in page)


async def _late_packages(graph: Graph, ecosystem: Ecosystem, state: _State) -> list[str]:
    """Return the purls of the packages that were written after their page had been read."""
    found: list[str] = []
    async for page in graph.names.known(ecosystem):
        found += [name.purl for name in page if name.purl not in state.packages]
    return found


async def _late(copy: GraphCopy, ecosystem: Ecosystem, purls: Sequence[str], state: _State, report: Report) -> None:
    for start in range(0, len(purls), _PAGE):
        page = await copy.named(ecosystem, purls[start : start + _PAGE])
        await _page(copy, ecosystem, page, state, report, state.packages.__contains__)


async def _page(
    copy: GraphCopy,
    ecosystem: Ecosystem,
    page: Sequence[CopiedPackage],
    state: _State,
    report: Report,
    is_there: Callable[[str], bool],
) -> None:
    """Write packages with their versions. `is_there` says whether the snapshot has, or will have, a required
    package."""
    for bundle in _bundles(page):
        packages, versions = await _read(copy, ecosystem, bundle)
        for package in packages:
            state.files.add("packages", ecosystem.name, columns.packages_of(ecosystem), _to_be_completed(package))
        report("packages", len(packages))
        for version in versions:
            _version(ecosystem, version, state, is_there)
        report("versions", len(versions))


async def _read(
    copy: GraphCopy, ecosystem: Ecosystem, packages: Sequence[CopiedPackage]
) -> tuple[Sequence[CopiedPackage], list[CopiedVersion]]:
    """Return packages with their versions. If they are written meanwhile, they are read once more, because a package
    and its versions belong together."""
    purls = [package.purl for package in packages]
    for _ in range(_READINGS):
        versions = await _versions(copy, ecosystem, purls, sum(package.versions for package in packages))
        again = await copy.named(ecosystem, purls)
        if _moments(packages) == _moments(again):
            break
        packages = again
    return packages, versions


def _moments(packages: Iterable[CopiedPackage]) -> dict[str, Any]:
    return {package.purl: package.properties.get("moment") for package in packages}


def _bundles(page: Sequence[CopiedPackage]) -> Iterable[Sequence[CopiedPackage]]:
    """Divide a page so that the versions of a bundle fit into one answer, if they are not those of one package."""
    bundle: list[CopiedPackage] = []
    versions = 0
    for package in page:
        if bundle and versions + package.versions > VERSIONS_AT_ONCE:
            yield bundle
            bundle, versions = [], 0
        bundle.append(package)
        versions += package.versions
    if bundle:
        yield bundle


async def _versions(copy: GraphCopy, ecosystem: Ecosystem, purls: Sequence[str], count: int) -> list[CopiedVersion]:
    found: list[CopiedVersion] = []
    for skip in range(0, max(count, 1), VERSIONS_AT_ONCE):
        found += await copy.versions(ecosystem, purls, skip)
    return found


def _version(ecosystem: Ecosystem, version: CopiedVersion, state: _State, is_there: Callable[[str], bool]) -> None:
    files, name = state.files, ecosystem.name
    purl = version.properties["purl"]
    files.add("versions", name, columns.VERSIONS, _copied(version.properties))
    files.add("have", name, columns.HAVE, {"from": version.package, "to": purl})
    for each in version.requirements:
        if is_there(each.purl):
            files.add("require", name, columns.REQUIRE, {"from": purl, "to": each.purl, **each.properties})
        else:
            _wait(state, name, version, each)
    for each in version.waits:
        _wait(state, name, version, each)


def _wait(state: _State, ecosystem: str, version: CopiedVersion, wanted: CopiedRequirement) -> None:
    parent = version.package_name if state.names_parents else version.package
    constraints = wanted.properties.get("constraints")
    wait = [ecosystem, parent, version.properties["purl"], wanted.purl, wanted.name, constraints]
    state.waits.write(orjson.dumps(wait) + b"\n")


async def _absent(copy: GraphCopy, waits_path: Path, state: _State, report: Report) -> None:
    """Write the absent packages and what waits for them. What waits for a package that the snapshot has requires it."""
    absent = NameDigests()
    after = ""
    while page := await copy.absent(after, _ABSENT_PAGE):
        after = page[-1]["purl"]
        for properties in page:
            if properties["purl"] not in state.packages:
                state.files.add("absent", None, columns.ABSENT, _to_be_queued(_copied(properties)))
        absent.add(properties["purl"] for properties in page)
    added: set[str] = set()
    with waits_path.open("rb") as lines:
        for line in lines:
            ecosystem, parent, version, target, name, constraints = orjson.loads(line)
            if target in state.packages:
                row = {"from": version, "to": target, "constraints": constraints, "parent_version_name": parent}
                state.files.add("require", ecosystem, columns.REQUIRE, row)
                continue
            if target not in absent and target not in added:
                added.add(target)
                node = _to_be_queued({"purl": target, "name": name, "ecosystem": ecosystem})
                state.files.add("absent", None, columns.ABSENT, node)
            row = {"from": target, "to": version, "constraints": constraints}
            state.files.add("awaited_by", None, columns.AWAITED_BY, row)
            report("waiting requirements", 1)


def _copied(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name not in columns.NOT_COPIED}


def _to_be_completed(package: CopiedPackage) -> dict[str, Any]:
    """Return a package as another installation holds it. There it is due at once if it is not read whole: the time
    until which it is not asked for again stands for a message in a lane of this one."""
    properties = _copied(package.properties)
    if properties.get("complete_at") is not None and properties.get("moment") is not None:
        properties["complete_at"] = properties["moment"]
    return properties


def _to_be_queued(properties: dict[str, Any]) -> dict[str, Any]:
    """Mark an absent package that nobody has asked for in another installation, so that the importing one does."""
    is_left = properties.get("tried_at") is None and properties.get("left_out") is None
    if is_left and properties.get("ecosystem") is not None:
        return {**properties, "left_out": properties["ecosystem"], "left_out_first": True}
    return properties
