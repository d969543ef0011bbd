"""This gives stores to a whole module: they are emptied once before it."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
import redis

from tests.contract.running import environment
from tests.stores import AdvisoryTarget, GraphTarget, empty_graph


@pytest.fixture(scope="module")
def contract_advisories(advisory_server: str, graph_server: GraphTarget) -> AdvisoryTarget:
    """Return a database for each graph server's turn."""
    assert graph_server.uri
    return AdvisoryTarget(advisory_server, f"contract-{uuid.uuid4().hex}")


@pytest.fixture(scope="module")
def contract_environment(
    redis_server: str,
    graph_server: GraphTarget,
    contract_advisories: AdvisoryTarget,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    with redis.Redis.from_url(redis_server) as client:
        client.flushdb()
    empty_graph(graph_server)
    state_dir: Path = tmp_path_factory.mktemp("contract")
    return environment(redis_server, graph_server, contract_advisories, state_dir)
