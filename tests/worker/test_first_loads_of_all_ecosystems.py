"""This tests a whole load of every registry, odd packages among it: the fewest requests first, then completed to the
truth.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from securechain_ingest.jobs.completion import ask_for_pending
from securechain_ingest.jobs.wiring import build_jobs
from securechain_ingest.registries import DECLARATIONS
from securechain_ingest.registries.declaration import Declaration
from securechain_ingest.runs import Run, utc_now
from tests.registry_server import ExpectedPackage, Shape, generate, same_constraints, serve
from tests.registry_server.registered import REGISTRIES
from tests.stores import AdvisoryTarget, GraphTarget
from tests.worker.everything import QUEUE, Everything, everything

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORLD = generate(Shape(packages=12, seed=11, odd_share=0.25, large_share=0.2))
_ECOSYSTEMS = pytest.mark.parametrize("declared", DECLARATIONS, ids=lambda declared: declared.name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(
    redis_server: str, arcadedb_server: GraphTarget, advisory_server: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Everything]:
    advisories = AdvisoryTarget(advisory_server, f"loads-{uuid.uuid4().hex}")
    with serve(WORLD) as server:
        state_dir = tmp_path_factory.mktemp("loads")
        async with everything(server, redis_server, arcadedb_server, advisories, state_dir) as bench:
            yield bench


def expected(declared: Declaration) -> dict[str, ExpectedPackage]:
    """Return the packages of one registry, by purl."""
    return {purl: each for purl, each in WORLD.truth().items() if each.label == declared.ecosystem.label}


async def load(bench: Everything, declared: Declaration) -> list[str]:
    """List the registry, and read what was found; return the paths that were asked for after the list."""
    bench.server.requests.clear()
    run = Run(id="load", job=declared.ingestion_job, started_at=utc_now())
    await build_jobs(bench.stores, bench.service, lambda: bench.settings).by_name[run.job](run)
    await bench.settled()
    return asked_for(bench)


def asked_for(bench: Everything) -> list[str]:
    asked = [request.target for request in bench.server.requests]
    bench.server.requests.clear()
    return asked


async def complete(bench: Everything, declared: Declaration) -> None:
    while await ask_for_pending(bench.stores.redis, bench.stores.graph.pending, declared.ecosystem, QUEUE):
        await bench.settled()


async def graph_of(bench: Everything, declared: Declaration) -> dict[str, dict[str, Any]]:
    """Return the properties of each package, with its versions' requirements (None: not read yet)."""
    rows = await bench.read(
        f"MATCH (p:{declared.ecosystem.label})-[:HAVE]->(v:Version) RETURN p.purl AS purl, properties(p) AS package,"
        " v.name AS version, v.requirements_pending AS is_pending,"
        " [(v)<-[w:AWAITED_BY]-(a) | [a.purl, w.constraints]] + [(v)-[r:REQUIRE]->(t) | [t.purl, r.constraints]]"
        " AS requirements"
    )
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        package = found.setdefault(row["purl"], {**row["package"], "versions": {}})
        package["versions"][row["version"]] = None if row["is_pending"] else dict(row["requirements"])
    return found


def unlike(found: Mapping[str, dict[str, str] | None], package: ExpectedPackage) -> list[str]:
    """Return the versions among those found whose requirements are not what was published."""
    wanted = {version.name: version.requirements or {} for version in package.versions}
    return [
        version
        for version, needs in found.items()
        if needs is None
        or needs.keys() != wanted[version].keys()
        or not all(same_constraints(text, wanted[version][target]) for target, text in needs.items())
    ]


@_ECOSYSTEMS
async def test_a_whole_load_asks_for_no_archive_and_for_little_else_and_is_completed_to_the_truth(
    bench: Everything, declared: Declaration
) -> None:
    truth, name = expected(declared), declared.name
    asked = await load(bench, declared)
    traits = REGISTRIES[name].TRAITS
    assert [path for path in asked if path.endswith(traits.archive_endings)] == []
    of_packages = {
        purl: [path for path in asked if re.search(rf"/{short(each)}(/|$|\.[a-z]+$)", path, re.IGNORECASE)]
        for purl, each in truth.items()
    }
    assert all(of_packages.values()), "each was asked for"
    # Parents are shared, and NuGet's longer registrations have pages.
    too_many = {purl for purl, paths in of_packages.items() if len(paths) > traits.most_requests and name != "nuget"}
    assert too_many == set()
    poms = Counter(path for path in asked if path.endswith(".pom"))
    assert set(poms.values()) <= {1}, "parents are shared"

    held = await graph_of(bench, declared)
    assert held.keys() == truth.keys()
    for purl, each in truth.items():
        package, ref = held[purl], declared.identify(each.registry_name)
        fallback = list(bench.registry(each.label).fallback_names(ref))
        if package.get("archive_pending"):
            assert package["import_names"] == fallback, purl
        assert package.get("import_names_error") is None, purl
        assert package["versions"].keys() == {version.name for version in each.versions}, purl
        read = {version: needs for version, needs in package["versions"].items() if needs is not None}
        if name in {"pypi", "maven"} and len(each.versions) > 1:
            assert len(read) < len(each.versions), "older versions are left for later"
        assert read, "the newest release first"
        assert unlike(read, each) == [], purl
    assert await remembered(bench, declared) == set()

    asked_now = next(purl for purl, package in held.items() if package.get("archive_pending"))
    name_asked = truth[asked_now].registry_name
    await bench.ask(declared.identify(name_asked))
    held = await graph_of(bench, declared)
    assert is_whole(held[asked_now]), "whoever asks gets it whole"
    assert unlike(held[asked_now]["versions"], truth[asked_now]) == []
    assert not all(map(is_whole, held.values())), "the others wait for their turn"
    assert await remembered(bench, declared) <= {name_asked}

    await complete(bench, declared)
    held = await graph_of(bench, declared)
    for purl, each in truth.items():
        package = held[purl]
        assert is_whole(package), purl
        assert sorted(package["import_names"]) == sorted(each.import_names or ()), purl
        assert package["versions"].keys() == {version.name for version in each.versions}, purl
        assert unlike(package["versions"], each) == [], purl
    assert await remembered(bench, declared) <= {name_asked}


def is_whole(package: Mapping[str, Any]) -> bool:
    """Nothing of the package has been left for later."""
    return (package.get("archive_pending"), package.get("complete_at")) == (None, None)


async def remembered(bench: Everything, declared: Declaration) -> set[str]:
    """Return the packages whose import names the cache has."""
    keys: Any = await bench.stores.redis.keys(f"*import_names:{declared.name}:*")
    return {key.decode().partition(f"import_names:{declared.name}:")[2].rpartition(":")[0] for key in keys}


def short(package: ExpectedPackage) -> str:
    """Return a pattern of what the paths of a package's documents have of its name."""
    if package.label == "PyPIPackage":
        return re.escape(package.purl.rpartition("/")[2])
    return re.escape(package.registry_name.rpartition(":")[2]).replace("/", "(/|%2F)")
