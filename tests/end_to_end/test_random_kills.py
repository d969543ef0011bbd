"""Daemons are killed at random, two at a time, while the registries fail: the graph is as the world says.

CI runs a short form; `make kills` (or `pytest -m kills --kill-rounds N`) a long one. The seed is shown on failure and
can be given again by `--kill-seed`.
"""

from __future__ import annotations

import json
import random
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
import redis

from tests.end_to_end.conftest import SOON_LEFT, STREAM, dead_letters, has_stored, wait_until_settled
from tests.end_to_end.daemon_process import DaemonProcess, daemon
from tests.end_to_end.graph_contents import PlainCypher, assert_graph_equals
from tests.queue_contents import messages_waiting
from tests.registry_server import Fault, FaultKind, Server, Shape, World, generate, serve
from tests.waiting import PATIENCE_S, block_until

FAULTS = (
    Fault("/*", FaultKind.STATUS, status=503),
    Fault("/*", FaultKind.STATUS, status=429, retry_after="1"),
    Fault("/*", FaultKind.DROP),
    Fault("/*", FaultKind.DROP, after_bytes=200),
    Fault("/*", FaultKind.STALL),
    Fault("/*", FaultKind.SLOW, pause_s=0.05),
)


def submit(world: World, queue: redis.Redis, chance: random.Random) -> None:
    """Submit every package at least once, a third of them again, in any order, some with a refresh."""
    packages = list(world.truth().values())
    packages += chance.sample(packages, len(packages) // 3)
    chance.shuffle(packages)
    for package in packages:
        message = {"node_type": package.label, "package": package.registry_name, "refresh": chance.random() < 0.2}
        queue.xadd(STREAM, {"data": json.dumps(message)})


def fail_now_and_then(server: Server, chance: random.Random) -> None:
    for _ in range(chance.randint(0, 4)):
        server.faults.add(chance.choice(FAULTS))


def kill_at_random(processes: list[DaemonProcess], queue: redis.Redis, chance: random.Random) -> None:
    """Kill each after some stored packages and a few milliseconds more, so that every step is met by a kill."""
    for process in processes:
        enough = chance.randint(0, 4)
        block_until(partial(has_stored, process, enough, queue), "some packages")
        time.sleep(chance.uniform(0, 0.15))
        process.kill()


@pytest.mark.kills
@pytest.mark.timeout(0)
def test_daemons_killed_at_random_lose_and_double_nothing(
    request: pytest.FixtureRequest,
    environment: dict[str, str],
    queue: redis.Redis,
    reader: PlainCypher,
    tmp_path: Path,
) -> None:
    rounds = request.config.getoption("--kill-rounds")
    seed = request.config.getoption("--kill-seed")
    chance = random.Random(seed)
    world = generate(Shape(packages=4 + 3 * rounds, seed=seed, median_versions=3, odd_share=0.4))
    variables = environment | SOON_LEFT
    variables |= {"SECURECHAIN_HTTP__TIMEOUT_S": "1", "SECURECHAIN_QUEUE__MAX_DELIVERIES": "100"}
    with serve(world, latency_s=0.01) as server:
        variables |= server.environment()
        submit(world, queue, chance)
        for number in range(rounds):
            fail_now_and_then(server, chance)
            with ExitStack() as running:
                processes = [
                    running.enter_context(
                        daemon(variables | {"SECURECHAIN_STATE_DIR": str(tmp_path / f"state-{each}")}, ready=False)
                    )
                    for each in range(1 + number % 2)
                ]
                for process in processes:
                    process.wait_for("daemon_ready")
                kill_at_random(processes, queue, chance)
                assert [event for process in processes for event in process.events("handler_failed")] == []
            if messages_waiting(queue, STREAM) < len(world.truth()) // 2:
                submit(world, queue, chance)
        server.faults.clear()
        # Nothing fails any more, so that only a slow machine would keep an answer for longer than a second.
        with daemon(variables | {"SECURECHAIN_HTTP__TIMEOUT_S": str(PATIENCE_S)}) as process:
            wait_until_settled(queue, PATIENCE_S + 10 * rounds)
            # What a fault took from a package's import names, the next check finds.
            for package in world.truth().values():
                message = {"node_type": package.label, "package": package.registry_name, "refresh": True}
                queue.xadd(STREAM, {"data": json.dumps(message)})
            wait_until_settled(queue, PATIENCE_S + 10 * rounds)
            assert process.events("handler_failed") == []
            assert process.stop() == 0
    assert dead_letters(queue) == [], f"seed {seed}"
    assert_graph_equals(reader, world.truth(), world.truth())
