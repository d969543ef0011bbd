"""This is a worker over real stores.

One graph server is enough: what is asked of it is tested on both in tests/graph.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.end_to_end.one_graph_server import graph_target
from tests.graph.conftest import CypherRunner, read
from tests.stores import AdvisoryTarget, GraphTarget
from tests.worker.made import Bench, made_bench

__all__ = ["graph_target", "read"]


@pytest.fixture
async def bench(
    redis_url: str, graph_target: GraphTarget, advisory_target: AdvisoryTarget, tmp_path: Path, read: CypherRunner
) -> AsyncIterator[Bench]:
    async with made_bench(redis_url, graph_target, advisory_target, tmp_path, read) as bench:
        yield bench
