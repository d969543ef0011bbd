"""A package whose ratings cannot be worked out within the limits is written all the same, and keeps those it has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import structlog

from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.graph.batch import GraphBatcher
from securechain_ingest.queue.breakers import Breakers
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.messages import Message
from securechain_ingest.settings import GraphSettings
from securechain_ingest.worker.archives import Archives
from securechain_ingest.worker.import_names_cache import ImportNamesCache
from securechain_ingest.worker.ratings import Ratings
from securechain_ingest.worker.release_changes import ReleaseChanges
from securechain_ingest.worker.visitor import Visitor
from securechain_ingest.worker.worker import Worker
from tests.graph.builders import PYPI, pypi, write
from tests.jobs.advisories import FLASK, AdvisoryBench
from tests.queue.running import entry_of
from tests.worker.made import MadeRegistry

VERSIONS = ["1.0", *(f"3.{number}" for number in range(1_001))]


class RefusingPool:
    async def run(self, *_: object) -> None:
        raise ArchiveRefused("that takes over 10 s of processor time", reason="cpu_time")


@pytest.fixture
def bench(advisory_bench: AdvisoryBench) -> AdvisoryBench:
    advisory_bench.publish(FLASK)
    return advisory_bench


async def test_its_old_ratings_stay_and_the_log_says_so(bench: AdvisoryBench) -> None:
    await bench.run()
    registry = MadeRegistry(ecosystem=PYPI, identify=pypi)
    registry.has(replace(write(pypi("flask"), *VERSIONS).package, validator=None))
    pool: Any = RefusingPool()
    async with GraphBatcher(bench.sync.graph, GraphSettings()) as graph:
        names = ImportNamesCache(bench.sync.redis, "q", 60)
        archives = Archives(Breakers(bench.sync.redis, Keys("q")))
        worker = Worker(
            {PYPI.label: registry},
            Visitor(
                graph,
                Ratings(bench.sync.store, pool),
                ReleaseChanges(bench.sync.store.sibling("changes")),
                names,
                archives,
                max_versions=200_000,
            ),
            max_strikes=1,
            depth=lambda: 0,
        )
        message = Message("PyPIPackage", "flask", refresh=True, internal=True)
        with structlog.testing.capture_logs() as logs:
            await worker.handle(entry_of(message))
        await names.close()
    ratings = await bench.ratings(pypi("flask"))
    assert len(ratings) == len(VERSIONS) + 1
    assert (ratings["1.0"], ratings["3.7"]) == ((9.8, ["GHSA-1"]), (0.0, []))
    assert [line["reason"] for line in logs if line["event"] == "package_not_rated"]
