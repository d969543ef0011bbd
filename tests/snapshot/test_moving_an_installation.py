"""An installation moves by a snapshot while its daemon goes on writing, with a kill in the midst of the import.

Then the new installation follows the registries by the snapshot's cursors. In the end both graphs are equal.

CI moves a few hundred packages; `make snapshots` moves 10,000.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import redis
from redis.asyncio import Redis

from securechain_ingest.queue.keys import Keys
from securechain_ingest.registries import DECLARATIONS
from securechain_ingest.runs import new_run_id, utc_now
from securechain_ingest.schedules.board import Board, RunRequest
from tests.end_to_end.conftest import STREAM, dead_letters
from tests.end_to_end.cut_store import cut_store
from tests.end_to_end.daemon_process import daemon, without_settings
from tests.end_to_end.graph_contents import PlainCypher
from tests.end_to_end.test_living_registries import JOBS, all_done, differences, live, nothing_is_due, wanted
from tests.forked_product import SCRIPT
from tests.graph_digest import digest_of, graph_lines
from tests.registry_server import Shape, serve
from tests.registry_server.life import Life
from tests.snapshot.conftest import WholeInstallation
from tests.waiting import PATIENCE_S, block_until

TIMES = frozenset({"moment", "queued_at", "tried_at", "complete_at", "complete_depth", "removed_at", "listed"})
MARKS = frozenset({"left_out", "left_out_first", "left_out_depth", "settled", "writing"})
"""What says when something was done, or who is to do it, is an installation's own."""


def ask_for(redis_url: str, jobs: list[str]) -> None:
    async def ask() -> None:
        async with Redis.from_url(redis_url) as client:
            board = Board(client, STREAM)
            for job in jobs:
                await board.request(job, RunRequest(new_run_id(utc_now()), {}))

    asyncio.run(ask())


def snapshot_command(variables: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [SCRIPT, "snapshot", *arguments],
        env=without_settings() | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str], timeout_s: float) -> None:
    output, _ = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, output


@pytest.mark.timeout(0)
@pytest.mark.parametrize("installations", ["to arcadedb"], indirect=True)
def test_an_installation_moves_while_its_daemon_writes(
    request: pytest.FixtureRequest, installations: tuple[WholeInstallation, WholeInstallation], tmp_path: Path
) -> None:
    packages = request.config.getoption("--snapshot-packages")
    seed = request.config.getoption("--snapshot-seed")
    patience_s = PATIENCE_S + packages / 2
    source, target = installations
    life = Life(Shape(packages=packages // 6, seed=seed, requirements=3, odd_share=0.0, large_share=0.0))
    with serve(life.world()) as server:
        common = server.environment() | {
            "SECURECHAIN_SCHEDULES__DISABLED": ",".join(["packages_refresh", *JOBS]),
            "SECURECHAIN_FEEDS__LISTING_TTL_S": "0.001",
            "SECURECHAIN_HTTP__NOT_FOUND_TTL_S": "0.001",
            "SECURECHAIN_PACKAGES__ABSENT_RETRY_S": "0.001",
            # A made day takes more packages away than a run believes of a real one.
            "SECURECHAIN_FEEDS__MAX_REMOVED_SHARE": "1",
            # What these two feeds do not tell, only a comparison finds.
            "SECURECHAIN_RECONCILE__CARGO": "0.001",
            "SECURECHAIN_RECONCILE__PYPI": "0.001",
        }
        with redis.Redis.from_url(source.variables["REDIS_URL"], decode_responses=True) as queue:
            with daemon(source.variables | common) as process:
                ask_for(source.variables["REDIS_URL"], _jobs("ingestion"))
                _until_done(source, queue, "the whole load", patience_s)
                ask_for(source.variables["REDIS_URL"], _jobs("updates"))
                _until_done(source, queue, "the first cursors", patience_s)
                life.next_day()
                server.replace(life.world())
                # The made index tells each change in a chunk of its own and keeps 30 of them, a real one 30 weeks.
                queue.delete(Keys(STREAM).listing("maven"))
                ask_for(source.variables["REDIS_URL"], JOBS)
                ended(snapshot_command(source.variables | common, "export", str(tmp_path / "snapshot")), patience_s)
                _until_done(source, queue, "the changes", patience_s)
                assert process.stop() == 0
                assert not process.events("job_failed"), process.events("job_failed")
            assert dead_letters(queue) == []
            assert _wrong(source, life) == [], f"seed {seed}"

        redis_url = target.variables["REDIS_URL"]
        with redis.Redis.from_url(redis_url, decode_responses=True) as queue:
            key = Keys(STREAM).snapshot_import
            tables = random.Random(seed).randint(2, 8)

            def are_noted() -> bool:
                return int(queue.hlen(key)) > tables

            # No further table is noted: the import is not over before a busy machine has seen that it is under way.
            with cut_store(redis_url) as held:
                held.hold_when(are_noted)
                variables = target.variables | common | {"REDIS_URL": held.url}
                importing = snapshot_command(variables, "import", str(tmp_path / "snapshot"))
                block_until(lambda: are_noted() or importing.poll() is not None, "some tables")
                assert importing.poll() is None
                os.killpg(importing.pid, signal.SIGKILL)
                importing.communicate()
            ended(snapshot_command(target.variables | common, "import", str(tmp_path / "snapshot")), patience_s)
            assert not queue.exists(key)
            with daemon(target.variables | common) as process:
                ask_for(redis_url, JOBS)
                _until_done(target, queue, "the changes since the cursors", patience_s)
                assert process.stop() == 0
                assert not process.events("job_failed"), process.events("job_failed")
            assert dead_letters(queue) == []

            assert _wrong(target, life) == [], f"seed {seed}"
    first, second = (graph_lines(each.graph, without=TIMES | MARKS) for each in installations)
    assert sorted(set(first) ^ set(second)) == [], f"seed {seed}"
    assert digest_of(first) == digest_of(second)


def _wrong(installation: WholeInstallation, life: Life) -> list[str]:
    """Return how the graph differs from the registries."""
    with closing(PlainCypher(installation.graph)) as reader:
        return differences(live(reader), wanted(life.truth()))


def _jobs(kind: str) -> list[str]:
    return [getattr(declared, f"{kind}_job") for declared in DECLARATIONS]


def _until_done(installation: WholeInstallation, queue: redis.Redis, what: str, timeout_s: float) -> None:
    with closing(PlainCypher(installation.graph)) as reader:
        redis_url = installation.variables["REDIS_URL"]
        block_until(lambda: nothing_is_due(reader) and all_done(redis_url, queue), what, timeout_s)
