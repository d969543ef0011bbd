"""This tests messages that request archives from one endpoint at the same time, on a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from securechain_ingest.errors import ArchiveRefused, IngestError, NotFound, Unavailable, UpstreamError
from securechain_ingest.queue.breakers import Breakers, Permit
from securechain_ingest.queue.keys import Keys
from securechain_ingest.worker.archives import Archives
from tests.graph.builders import NPM, npm
from tests.waiting import PATIENCE_S

CHALK, SEMVER = npm("chalk"), npm("semver")


@pytest.fixture
async def breakers(redis_url: str) -> AsyncIterator[Breakers]:
    async with Redis.from_url(redis_url, socket_timeout=PATIENCE_S) as redis:
        yield Breakers(redis, Keys("q"))


async def test_all_that_are_served_after_a_failure_are_served(breakers: Breakers) -> None:
    await breakers.failed(NPM.archives, "pkg:npm/react", "503", is_probe=False)
    archives = Archives(breakers)
    async with archives.asked(CHALK, has_waited=False), archives.asked(SEMVER, has_waited=False):
        pass
    assert await breakers.permit(NPM.archives) is Permit.WELL


async def test_one_that_is_served_outlasts_the_failure_of_another(breakers: Breakers) -> None:
    await breakers.failed(NPM.archives, "pkg:npm/react", "503", is_probe=False)
    archives = Archives(breakers)
    async with archives.asked(CHALK, has_waited=False):
        with pytest.raises(Unavailable):
            await fail(archives, Unavailable("503", url="http://localhost/semver.tgz"))
    assert await breakers.permit(NPM.archives) is Permit.WELL


@pytest.mark.parametrize(
    ("error", "permit"),
    [
        (NotFound("404", url="http://localhost/semver.tgz"), Permit.WELL),
        (ArchiveRefused("it is damaged", reason="damaged"), Permit.PROBE),
        (Unavailable("503", url="http://localhost/semver.tgz"), Permit.AWAY),
    ],
    ids=["it is answered", "it says nothing", "it fails"],
)
async def test_the_end_of_a_probe_is_known_at_once(breakers: Breakers, error: IngestError, permit: Permit) -> None:
    await breakers.failed(NPM.archives, "pkg:npm/react", "429", is_probe=False, pause_s=0.0)
    await breakers.unasked(NPM.archives)  # The pause is over.
    with pytest.raises(IngestError):
        await fail(Archives(breakers), error)
    assert await breakers.permit(NPM.archives) is permit


async def fail(archives: Archives, error: IngestError) -> None:
    """Let the work on an archive end with an error."""
    if isinstance(error, UpstreamError):
        error.endpoint = NPM.archives
    async with archives.asked(SEMVER, has_waited=False):
        raise error
