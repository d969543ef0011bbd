"""This gives each test a daemon, real stores and a made world."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.end_to_end.daemon_process import DaemonProcess
from tests.end_to_end.graph_contents import PlainCypher
from tests.queue_contents import is_settled, left, messages_pending
from tests.registry_server import World
from tests.schedules_off import SCHEDULES_OFF
from tests.stores import AdvisoryTarget, GraphTarget, store_variables
from tests.waiting import PATIENCE_S, block_until

Send = Callable[..., None]
STREAM = "package-extraction"
SOON_LEFT = {"SECURECHAIN_QUEUE__LEASE_S": "5"}
"""What a daemon that was killed had in hand is taken up soon."""


@pytest.fixture
def environment(
    redis_url: str, graph_target: GraphTarget, advisory_target: AdvisoryTarget, tmp_path: Path
) -> dict[str, str]:
    """Return variables that point a daemon to this test's stores. A daemon may stand still for as long as a lease."""
    return store_variables(redis_url, graph_target, advisory_target, tmp_path / "state") | {
        "SECURECHAIN_QUEUE__LEASE_S": "60",
        "SECURECHAIN_QUEUE__RETRY_BASE_S": "0.2",
        "SECURECHAIN_QUEUE__RETRY_MAX_S": "1",
        **SCHEDULES_OFF,
    }


@pytest.fixture
def queue(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def reader(graph_target: GraphTarget) -> Iterator[PlainCypher]:
    graph = PlainCypher(graph_target)
    yield graph
    graph.close()


@pytest.fixture
def send(queue: redis.Redis) -> Send:
    """Add a message as another program would."""

    def send(node_type: str, package: str, **keys: Any) -> None:
        queue.xadd(STREAM, {"data": json.dumps({"node_type": node_type, "package": package, **keys})})

    return send


def submit_all(world: World, send: Send) -> None:
    for package in world.truth().values():
        send(package.label, package.registry_name)


def settled(queue: redis.Redis) -> bool:
    """Return whether nothing is queued, in hand or waiting for another try."""
    return is_settled(queue, STREAM)


def pending(queue: redis.Redis) -> int:
    """Return how many messages some consumer has in hand."""
    return messages_pending(queue, STREAM)


def dead_letters(queue: redis.Redis) -> list[dict[str, str]]:
    """Return the fields of every dead letter."""
    entries: Any = queue.xrange(f"{STREAM}-dlq")
    return [fields for _, fields in entries]


def wait_until_settled(queue: redis.Redis, timeout_s: float = PATIENCE_S) -> None:
    try:
        block_until(lambda: settled(queue), "an empty queue", timeout_s)
    except AssertionError:
        print("left in the queue:", *left(queue, STREAM), sep="\n")
        raise


def has_stored(process: DaemonProcess, count: int, queue: redis.Redis) -> bool:
    """Return whether so many packages are stored, or will not be, since nothing is left to be done."""
    return len(process.events("package_stored")) >= count or settled(queue)
