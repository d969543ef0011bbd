"""Packages have 1,500 versions, each of which costs a request: daemons that are killed meanwhile do not begin anew."""

from __future__ import annotations

from typing import TypeAlias

import pytest
import redis

from securechain_ingest.registries.kit.portions import PORTION
from tests import queue_contents
from tests.end_to_end.conftest import STREAM, Send, wait_until_settled
from tests.end_to_end.daemon_process import DaemonProcess, daemon
from tests.end_to_end.graph_contents import PlainCypher, assert_graph_equals
from tests.registry_server import ExpectedPackage, Server, World, maven, pypi, serve
from tests.stores import GraphTarget, empty_graph
from tests.waiting import PATIENCE_S, block_until

VERSIONS = 1500
UNDER_WAY = 32
"""At most so many requests may be lost besides with a kill."""

PROJECT = pypi.Project(
    "many", tuple(pypi.ProjectRelease(f"1.{n}", (pypi.need("few", ">=1"),)) for n in range(VERSIONS))
)
ARTIFACT = maven.Package(
    "org.made:many", tuple(maven.Version(f"1.{n}", (maven.need("org.made:few", "[1,2)"),)) for n in range(VERSIONS))
)
FEW = pypi.Project("few", (pypi.ProjectRelease("1.0"),)), maven.Package("org.made:few", (maven.Version("1.0"),))
Made: TypeAlias = pypi.Project | maven.Package


@pytest.fixture
def graph_target(neo4j_server: GraphTarget) -> GraphTarget:
    empty_graph(neo4j_server)
    return neo4j_server


def pending(reader: PlainCypher) -> list[str]:
    """Return the names of the versions whose requirements have not been read."""
    rows = reader.rows("MATCH (v:Version) WHERE v.requirements_pending RETURN v.name AS name")
    return [row["name"] for row in rows]


def asked(server: Server) -> int:
    """Return how many requests were for one version."""
    return sum(request.target.endswith((".metadata", ".pom")) for request in server.requests)


def world_with(made: Made) -> tuple[World, ExpectedPackage]:
    """A package of very many versions among few others, and what must be stored of it."""
    world = World((made, *FEW))
    return world, next(each for each in world.truth().values() if len(each.versions) == VERSIONS)


def kill_after(process: DaemonProcess, server: Server, requests: int, queue: redis.Redis) -> None:
    """Kill the daemon; what it had in hand is taken up by the next one at once. Leases are long here, because one that
    stands still for seconds must lose no portion.
    """
    block_until(lambda: asked(server) >= requests, "requests")
    process.kill()
    queue_contents.let_leases_run_out(queue, STREAM)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("made", [ARTIFACT], ids=["maven"])
def test_what_a_whole_load_left_is_completed_in_portions_and_a_kill_costs_one_of_them(
    environment: dict[str, str], send: Send, queue: redis.Redis, reader: PlainCypher, made: Made
) -> None:
    world, package = world_with(made)
    with serve(world) as server:
        variables = environment | server.environment()
        send(package.label, package.registry_name, internal=True, first=True)
        with daemon(variables) as process:
            kill_after(process, server, int(PORTION * 2.5), queue)
        left = pending(reader)
        assert 0 < len(left) <= VERSIONS - 2 * PORTION
        assert all(int(name.partition(".")[2]) < VERSIONS - PORTION for name in left), "the newest are read first"
        with daemon(variables) as process:
            block_until(
                lambda: not pending(reader),
                lambda: f"{len(pending(reader))} requirements; left are {queue_contents.left(queue, STREAM)}",
                2 * PATIENCE_S,
            )
            wait_until_settled(queue)
            stored = [event["package"] for event in process.events("package_stored")]
            assert process.stop() == 0
        assert stored.count(package.purl) >= len(left) // PORTION, "each portion is a message of its own"
        assert asked(server) <= VERSIONS + PORTION + UNDER_WAY
        assert_graph_equals(reader, world.truth(), [purl for purl in world.truth() if reader.packages().get(purl)])
        assert queue.xlen(f"{STREAM}-dlq") == 0


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("made", [PROJECT], ids=["pypi"])
def test_who_asks_for_one_gets_it_whole_and_a_kill_costs_one_portion(
    environment: dict[str, str], send: Send, queue: redis.Redis, reader: PlainCypher, made: Made
) -> None:
    world, package = world_with(made)
    with serve(world) as server:
        variables = environment | server.environment()
        send(package.label, package.registry_name)
        with daemon(variables) as process:
            kill_after(process, server, int(PORTION * 2.5), queue)
        with daemon(variables) as process:
            wait_until_settled(queue, 2 * PATIENCE_S)
            assert process.stop() == 0
        assert pending(reader) == []
        assert asked(server) <= VERSIONS + PORTION + UNDER_WAY
        assert queue.xlen(f"{STREAM}-dlq") == 0
