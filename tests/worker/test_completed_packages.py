"""A package that was read from the fewest requests and completed later is as one read whole, in every ecosystem."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from securechain_ingest.jobs.completion import ask_for_pending
from securechain_ingest.model import PackageRef
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.submission import enqueue
from securechain_ingest.registries import DECLARATIONS, declaration_of
from tests.registry_server import Fault, FaultKind, World, cargo, maven, npm, nuget, pypi, rubygems, serve
from tests.stores import AdvisoryTarget, GraphTarget
from tests.worker.everything import QUEUE, Everything, everything

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIRST, WHOLE, AWAY = "loaded", "asked", "withoutfiles"
NUMBERS = ("1.0.0", "1.1.0", "2.0.0")


def world() -> World:
    """Return three packages of each ecosystem that differ in their names alone."""
    made: list[Any] = []
    for name in (FIRST, WHOLE, AWAY):
        made += [
            pypi.Project(
                name, tuple(pypi.ProjectRelease(number, (pypi.need("lib", f">={number}"),)) for number in NUMBERS)
            ),
            npm.Package(name, tuple(npm.Version(number, (npm.need("lib", f"^{number}"),)) for number in NUMBERS)),
            maven.Package(
                f"org.made:{name}",
                tuple(maven.Version(number, (maven.need("org.made:lib", f"[{number},)"),)) for number in NUMBERS),
            ),
            cargo.Crate(name, tuple(cargo.Version(number) for number in NUMBERS)),
            rubygems.Gem(name, tuple(rubygems.Version(number, files=(f"lib/{name}.rb",)) for number in NUMBERS)),
            nuget.Package(name, tuple(nuget.Version(number) for number in NUMBERS)),
        ]
    return World(tuple(made))


def ref_of(ecosystem: str, name: str) -> PackageRef:
    prefix = "org.made:" if ecosystem == "maven" else ""
    return declaration_of(ecosystem).identify(prefix + name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(
    redis_server: str,
    arcadedb_server: GraphTarget,
    advisory_server: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Everything]:
    advisories = AdvisoryTarget(advisory_server, f"completed-{uuid.uuid4().hex}")
    with serve(world()) as server:
        async with everything(
            server, redis_server, arcadedb_server, advisories, tmp_path_factory.mktemp("completed")
        ) as bench:
            yield bench


async def load(bench: Everything, ref: PackageRef) -> None:
    """Load as a whole load does."""
    message = Message(ref.ecosystem.label, ref.registry_name, internal=True, first=True)
    await enqueue(bench.stores.redis, QUEUE, ref.ecosystem.name, Lane.LISTED, [message])
    await bench.settled()


async def complete(bench: Everything, ref: PackageRef) -> int:
    asked = await ask_for_pending(bench.stores.redis, bench.stores.graph.pending, ref.ecosystem, QUEUE)
    await bench.settled()
    return asked


async def held(bench: Everything, ref: PackageRef, name: str) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Return what a client sees of the package and of its versions, with the package's own name taken out."""
    rows = await bench.read(
        f"MATCH (p:{ref.ecosystem.label} {{purl: $purl}})-[:HAVE]->(v:Version) RETURN properties(v) AS version,"
        " [(v)<-[w:AWAITED_BY]-(a) | [a.purl, w.constraints]] AS awaited",
        purl=ref.purl,
    )
    versions = {row["version"]["name"]: (row["version"].get("requirements_pending"), row["awaited"]) for row in rows}
    package = await bench.node(ref)
    seen = {
        key: value.replace(name, "NAME") if isinstance(value, str) else value
        for key, value in package.items()
        if key in {"vendor", "repository_url", "archive_pending", "complete_at", "import_names_error", "group_id"}
    }
    seen["import_names"] = [each.replace(name, "NAME") for each in package["import_names"]]
    return seen, versions


@pytest.mark.parametrize("ecosystem", [declared.name for declared in DECLARATIONS])
async def test_a_package_of_a_whole_load_is_completed_to_what_it_is_when_somebody_asks_for_it(
    bench: Everything, ecosystem: str
) -> None:
    loaded, asked = ref_of(ecosystem, FIRST), ref_of(ecosystem, WHOLE)
    await bench.ask(asked)
    whole = await held(bench, asked, WHOLE)
    requests = len(bench.server.requests)
    await load(bench, loaded)
    seen, versions = await held(bench, loaded, FIRST)
    assert seen["archive_pending"] is True
    left = {name for name, (is_pending, _) in versions.items() if is_pending}
    assert left == (set(NUMBERS[:-1]) if ecosystem in {"pypi", "maven"} else set())
    assert len(bench.server.requests) - requests <= 3
    assert await complete(bench, loaded) == 1
    assert await held(bench, loaded, FIRST) == whole
    assert await complete(bench, loaded) == 0


@pytest.mark.parametrize(
    ("ecosystem", "archives"), [("pypi", "*.whl"), ("cargo", "*.crate"), ("rubygems", "/gems/*.gem")]
)
async def test_a_package_whose_archives_were_away_is_completed_when_they_are_back(
    bench: Everything, ecosystem: str, archives: str
) -> None:
    ref, asked = ref_of(ecosystem, AWAY), ref_of(ecosystem, WHOLE)
    bench.server.faults.add(Fault(archives, FaultKind.STATUS, times=None, status=429))
    await bench.ask(ref)
    seen, _ = await held(bench, ref, AWAY)
    assert (seen.get("archive_pending"), seen.get("import_names_error")) == (True, None)
    bench.server.faults.clear()
    for breaker in await bench.stores.redis.keys("*-breaker:*"):
        await bench.stores.redis.delete(breaker)
    await bench.ask(asked)
    whole = await held(bench, asked, WHOLE)
    assert await complete(bench, ref) == 1
    assert await held(bench, ref, AWAY) == whole
