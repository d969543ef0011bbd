"""Registries change every day, feeds are reset or lose entries, daemons are killed: the graph follows.

CI lives a few days; `make kills` (or `pytest -m kills --kill-rounds N`) many more. The seed is shown on failure.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
import redis
from redis.asyncio import Redis

from securechain_ingest.queue.keys import Keys
from securechain_ingest.registries import DECLARATIONS
from securechain_ingest.runs import new_run_id, utc_now
from securechain_ingest.schedules.board import Board, RunRequest, State
from securechain_ingest.times import iso
from tests.end_to_end.conftest import SOON_LEFT, STREAM, dead_letters, settled
from tests.end_to_end.daemon_process import DaemonProcess, daemon
from tests.end_to_end.graph_contents import LABELS, PlainCypher
from tests.end_to_end.one_graph_server import graph_target
from tests.registry_server import ExpectedPackage, Shape, serve
from tests.registry_server.life import Life
from tests.waiting import block_until

__all__ = ["graph_target"]

ECOSYSTEMS = tuple(declared.name for declared in DECLARATIONS)
JOBS = [job for declared in DECLARATIONS for job in (declared.ingestion_job, declared.updates_job)]
Live = dict[str, tuple[list[str], set[tuple[str, str, str]]]]
"""This has by purl the versions that are there, in their order, and the edges."""


def ask_for_all_jobs(redis_url: str, chance: random.Random) -> None:
    """Ask for all jobs as `schedules run` does, in any order."""

    async def ask() -> None:
        async with Redis.from_url(redis_url) as client:
            board = Board(client, STREAM)
            for job in chance.sample(JOBS, len(JOBS)):
                await board.request(job, RunRequest(new_run_id(utc_now()), {}))

    asyncio.run(ask())


def a_week_passes(queue: redis.Redis) -> None:
    """Make the kept lists of names a week older, for each day here has the whole loads, which run once a week."""
    for ecosystem in ECOSYSTEMS:
        key = Keys(STREAM).listing(ecosystem)
        for field in ("begun", "complete"):
            if moment := queue.hget(key, field):
                earlier = datetime.fromisoformat(str(moment)) - timedelta(weeks=1)
                queue.hset(key, field, iso(earlier, "milliseconds"))


def all_done(redis_url: str, queue: redis.Redis) -> bool:
    """Return whether no run is asked for, under way or broken off, and nothing is queued."""

    async def state() -> State:
        async with Redis.from_url(redis_url) as client:
            return await Board(client, STREAM).state()

    now = asyncio.run(state())
    return not now.requests and not now.under_way and settled(queue)


def nothing_is_due(reader: PlainCypher) -> bool:
    """Return whether no package waits to be completed, so that no daemon will queue one soon."""
    now = datetime.now(UTC)
    due = "MATCH (p:{label}) WHERE p.complete_at IS NOT NULL AND NOT p.complete_at > $now RETURN count(p)"
    return not any(reader.count(due.format(label=label), now=now) for label in LABELS)


def wanted(truth: Mapping[str, ExpectedPackage]) -> Live:
    return {
        purl: (
            [version.name for version in package.versions],
            {
                (version.purl, target, "".join(sorted(constraints.replace(" ", ""))))
                for version in package.versions
                for target, constraints in version.requirements.items()
            },
        )
        for purl, package in truth.items()
    }


def live(reader: PlainCypher) -> Live:
    """Return what the graph has of packages and versions that are not marked as gone."""
    found: Live = {}
    for label in LABELS:
        versions = reader.rows(
            f"MATCH (p:{label})-[:HAVE]->(v:Version) WHERE p.removed_at IS NULL AND v.removed IS NULL"
            " RETURN p.purl AS package, v.name AS name, v.purl AS purl ORDER BY v.serial_number, v.name"
        )
        for row in versions:
            found.setdefault(row["package"], ([], set()))[0].append(row["name"])
        for pattern in ("(v)-[r:REQUIRE]->(t)", "(v)<-[r:AWAITED_BY]-(t:AbsentPackage)"):
            edges = reader.rows(
                f"MATCH (p:{label})-[:HAVE]->(v:Version) WHERE p.removed_at IS NULL AND v.removed IS NULL"
                f" MATCH {pattern} RETURN p.purl AS package, v.purl AS purl, t.purl AS target, r.constraints AS text"
            )
            for row in edges:
                text = "".join(sorted(row["text"].replace(" ", "")))
                found[row["package"]][1].add((row["purl"], row["target"], text))
    return found


def differences(found: Live, expected: Live) -> list[str]:
    return [
        f"{purl}: {found.get(purl)} instead of {expected.get(purl)}"
        for purl in sorted(found.keys() | expected.keys())
        if found.get(purl) != expected.get(purl)
    ]


def kill_some_time(process: DaemonProcess, chance: random.Random) -> None:
    """Kill the daemon in the middle of runs and of the packages that they queue."""
    block_until(lambda: process.events("job_started") or process.process.poll() is not None, "a run")
    time.sleep(chance.uniform(0, 1.5))
    process.kill()


@pytest.mark.kills
@pytest.mark.timeout(0)
def test_after_any_number_of_days_the_graph_equals_the_registries(
    request: pytest.FixtureRequest,
    environment: dict[str, str],
    redis_url: str,
    queue: redis.Redis,
    reader: PlainCypher,
) -> None:
    days = request.config.getoption("--kill-rounds")
    seed = request.config.getoption("--kill-seed")
    chance = random.Random(seed)
    life = Life(Shape(packages=3 + days, seed=seed, median_versions=4, requirements=3, odd_share=0.0, large_share=0.0))
    variables = environment | SOON_LEFT
    variables |= {
        "SECURECHAIN_QUEUE__MAX_DELIVERIES": "100",
        "SECURECHAIN_FEEDS__LISTING_TTL_S": "0.001",
        "SECURECHAIN_HTTP__NOT_FOUND_TTL_S": "0.001",
        # What crates.io's feed does not tell, only a comparison finds.
        "SECURECHAIN_RECONCILE__CARGO": "0.001",
        "SECURECHAIN_RECONCILE__PYPI": "0.001",
        "SECURECHAIN_PACKAGES__ABSENT_RETRY_S": "0.001",
    }
    with serve(life.world()) as server:
        variables |= server.environment()
        for day in range(days):
            if day:
                life.next_day()
                a_week_passes(queue)
                for _ in range(chance.randint(0, 2)):
                    chance.choice((life.reset, life.forget))(chance.choice(ECOSYSTEMS))
                server.replace(life.world())
            ask_for_all_jobs(redis_url, chance)
            with daemon(variables) as process:
                kill_some_time(process, chance)
                assert not process.events("handler_failed")
                assert not process.events("job_failed"), process.events("job_failed")
            with daemon(variables) as process:
                # What is due is looked for first: it is queued before it is due no more.
                block_until(
                    lambda: nothing_is_due(reader) and all_done(redis_url, queue), f"day {day}'s end, seed {seed}"
                )
                assert not process.events("handler_failed")
                assert not process.events("job_failed"), process.events("job_failed")
                assert process.stop() == 0
            assert differences(live(reader), wanted(life.truth())) == [], f"day {day}, seed {seed}"
    assert dead_letters(queue) == [], f"seed {seed}"
