"""A command that goes past the lanes obeys a pause as they do: it asks the registry nothing, and says why."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from securechain_ingest import oneshot
from securechain_ingest.errors import Paused
from securechain_ingest.oneshot import IngestOutcome
from securechain_ingest.queue.breakers import Breakers, pause, resume
from securechain_ingest.queue.keys import Keys
from securechain_ingest.registries import declaration_of
from tests.queue.running import dead_letters
from tests.registry_server import World, npm, serve
from tests.stores import AdvisoryTarget, GraphTarget
from tests.worker.everything import QUEUE, Everything, everything

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEYS = Keys(QUEUE.stream)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(
    redis_server: str, arcadedb_server: GraphTarget, advisory_server: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Everything]:
    names = ("known", "new", "known-too", "new-too")
    world = World(tuple(npm.Package(name, (npm.Version("1.0.0"),)) for name in names))
    advisories = AdvisoryTarget(advisory_server, f"paused-{uuid.uuid4().hex}")
    with serve(world) as server:
        async with everything(
            server, redis_server, arcadedb_server, advisories, tmp_path_factory.mktemp("paused")
        ) as bench:
            yield bench


async def ingest(bench: Everything, *names: str, refresh: bool = False) -> IngestOutcome:
    return await oneshot.ingest(
        bench.service,
        [declaration_of("npm").identify(name) for name in names],
        depth=0,
        refresh=refresh,
        places={"npm": 4},
        report=lambda done, total: None,
    )


async def assert_only_what_is_known_is_served(bench: Everything, known: str, new: str, *words: str) -> None:
    asked = len(bench.server.requests)
    outcome = await ingest(bench, known, new)
    assert list(outcome.stored) == [f"pkg:npm/{known}"]
    [(ref, error)] = outcome.failed
    assert (ref.name, type(error)) == (new, Paused)
    assert all(word in str(error) for word in words), str(error)
    assert "\n" not in str(error)
    assert (await ingest(bench, known, refresh=True)).stored == {}
    assert len(bench.server.requests) == asked
    assert await dead_letters(bench.stores.redis, QUEUE) == []


async def test_ingest_asks_nothing_of_a_registry_that_an_operator_has_paused(bench: Everything) -> None:
    assert (await ingest(bench, "known")).failed == []
    await pause(bench.stores.redis, KEYS, "npm")
    await assert_only_what_is_known_is_served(bench, "known", "new", "npm has been paused since", "resume npm")
    await resume(bench.stores.redis, KEYS, "npm")
    assert list((await ingest(bench, "new")).stored) == ["pkg:npm/new"]


async def test_ingest_asks_nothing_of_a_registry_that_wishes_a_pause(bench: Everything) -> None:
    assert (await ingest(bench, "known-too")).failed == []
    breakers = Breakers(bench.stores.redis, KEYS)
    await breakers.failed("npm_registry", "any", "it asks for fewer requests", is_probe=False, pause_s=1800.0)
    await assert_only_what_is_known_is_served(
        bench, "known-too", "new-too", "npm_registry is not asked until 2", "it asks for fewer requests"
    )
    # Its time is over: whoever asks first finds out whether the registry is well again.
    await bench.stores.redis.hset(KEYS.breaker("npm_registry"), "open_until", 1)
    assert list((await ingest(bench, "new-too")).stored) == ["pkg:npm/new-too"]
    await bench.stores.redis.delete(KEYS.breaker("npm_registry"))
