"""Stores that come late or go away for a while cost time and no message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import redis

from tests.end_to_end.conftest import STREAM, dead_letters, wait_until_settled
from tests.end_to_end.cut_store import CutStore, cut_store
from tests.end_to_end.daemon_process import DaemonProcess, daemon
from tests.end_to_end.graph_contents import PlainCypher, assert_graph_equals
from tests.registry_server import Shape, generate, serve
from tests.stores import AdvisoryTarget, GraphTarget, empty_graph

MADE = generate(Shape(packages=9, seed=5, median_versions=3))
VARIABLES = {"redis": "REDIS_URL", "graph": "GRAPH_DB_URI", "advisories": "VULN_DB_URI"}


@pytest.fixture
def stores(
    redis_url: str, graph_target: GraphTarget, advisory_target: AdvisoryTarget
) -> Iterator[tuple[dict[str, CutStore], dict[str, str]]]:
    """Yield the three stores by name, and the variables that lead to them through what can be cut."""
    with ExitStack() as stack:
        addresses = {"redis": redis_url, "graph": graph_target.uri, "advisories": advisory_target.uri}
        cuts: dict[str, CutStore] = {}
        variables: dict[str, str] = {}
        for name, address in addresses.items():
            cuts[name] = stack.enter_context(cut_store(address))
            variables[VARIABLES[name]] = cuts[name].url
        yield cuts, variables


@contextmanager
def started(
    environment: dict[str, str], variables: dict[str, str], queue: redis.Redis
) -> Iterator[tuple[DaemonProcess, dict[str, str]]]:
    patient = {
        "SECURECHAIN_QUEUE__MAX_DELIVERIES": "2",
        # What was taken when the answer was lost is taken again after this.
        "SECURECHAIN_QUEUE__LEASE_S": "15",
        "SECURECHAIN_REDIS__TIMEOUT_S": "2",
        "SECURECHAIN_VULNERABILITIES__TIMEOUT_S": "2",
        # One after the other, so that there is a middle.
        "SECURECHAIN_QUEUE__CONCURRENCY": "2",
    }
    with serve(MADE, latency_s=0.02) as registries:
        everything = environment | patient | variables | registries.environment()
        for package in MADE.truth().values():
            queue.xadd(STREAM, {"data": f'{{"node_type": "{package.label}", "package": "{package.registry_name}"}}'})
        with daemon(everything, ready=False) as process:
            yield process, everything


@pytest.mark.parametrize(
    ("graph_server", "name"),
    [("arcadedb", "redis"), ("arcadedb", "graph"), ("neo4j", "graph"), ("arcadedb", "advisories")],
    indirect=["graph_server"],
)
def test_a_store_that_goes_away_twice_in_the_middle_loses_no_message(
    name: str,
    stores: tuple[dict[str, CutStore], dict[str, str]],
    environment: dict[str, str],
    queue: redis.Redis,
    reader: PlainCypher,
) -> None:
    cuts, variables = stores
    with started(environment, variables, queue) as (process, _):
        for stored in (2, 6):
            process.wait_for("package_stored", stored)
            cuts[name].cut()
            # Something needs the store, even if all else was done before it was cut.
            again = next(iter(MADE.truth().values()))
            message = {"node_type": again.label, "package": again.registry_name, "refresh": True}
            queue.xadd(STREAM, {"data": json.dumps(message)})
            process.wait_for("store_unavailable")
            cuts[name].mend()
        wait_until_settled(queue)
        assert process.stop() == 0
        assert not process.events("handler_failed")
    assert dead_letters(queue) == []
    assert_graph_equals(reader, MADE.truth(), MADE.truth())


def test_a_daemon_waits_for_stores_that_come_late(
    stores: tuple[dict[str, CutStore], dict[str, str]],
    environment: dict[str, str],
    queue: redis.Redis,
    reader: PlainCypher,
    graph_target: GraphTarget,
) -> None:
    cuts, variables = stores
    empty_graph(graph_target)
    for cut in cuts.values():
        cut.cut()
    with started(environment, variables, queue) as (process, _):
        for count, cut in enumerate(cuts.values(), 1):
            process.wait_for("store_unavailable", count)
            cut.mend()
        process.wait_for("daemon_ready")
        wait_until_settled(queue)
        assert process.stop() == 0
    assert dead_letters(queue) == []
    assert_graph_equals(reader, MADE.truth(), MADE.truth())
