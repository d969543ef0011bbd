"""This is for modules to which one of the two graph servers is enough: what they ask of a graph is tested on both
elsewhere.
"""

from __future__ import annotations

import pytest

from tests.stores import GraphTarget, empty_graph


@pytest.fixture
def graph_target(arcadedb_server: GraphTarget) -> GraphTarget:
    empty_graph(arcadedb_server)
    return arcadedb_server
