"""Somebody who waits for a package is served at once, however much there is to do by the clock."""

from __future__ import annotations

import json

import redis

from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from tests.end_to_end.conftest import STREAM, Send
from tests.end_to_end.daemon_process import daemon
from tests.end_to_end.graph_contents import PlainCypher
from tests.end_to_end.one_graph_server import graph_target
from tests.registry_server import World, npm, serve
from tests.waiting import PATIENCE_S, block_until

__all__ = ["graph_target"]

WAITING = 100_000
LANE = Keys(STREAM).lane("npm", Lane.LISTED)
RATE = 20
"""This is in requests a second: such a registry is much slower than the daemon."""


def test_a_package_that_is_asked_for_overtakes_a_hundred_thousand_that_are_not(
    environment: dict[str, str], send: Send, queue: redis.Redis, reader: PlainCypher
) -> None:
    wanted = npm.Package("wanted", (npm.Version("1.0.0"),))
    others = [npm.Package(f"other-{number}", (npm.Version("1.0.0"),)) for number in range(500)]
    pipe = queue.pipeline(transaction=False)
    for number in range(WAITING):
        name = others[number % len(others)].name if number < len(others) else f"unpublished-{number}"
        pipe.xadd(LANE, {"data": json.dumps({"node_type": "NPMPackage", "package": name})})
    pipe.execute()
    with serve(World((wanted, *others))) as server:
        variables = environment | server.environment() | {"SECURECHAIN_RATES__NPM_REGISTRY": str(RATE)}
        with daemon(variables):
            block_until(lambda: len(server.requests) >= 30, "bulk work under way")
            send("NPMPackage", "wanted")
            before = len(server.requests)
            block_until(
                lambda: reader.count("MATCH (p:NPMPackage {name: 'wanted'}) RETURN count(p)"), "the wanted package"
            )
            asked = [request.target for request in server.requests]
    # The requests that were under way, and the one whose turn it was, went before each of its two; and those of the
    # time in which a busy machine did not get to forward it. Without overtaking, thousands would have gone before.
    own = [position for position, target in enumerate(asked) if target.startswith("/wanted")]
    assert len(own) == 2
    assert own[-1] - before < PATIENCE_S * RATE
    assert queue.xlen(LANE) > WAITING / 2
