"""This says which process of tests runs which tests, and in which order.

A real Neo4j takes minutes of a processor until it is warm. All tests that need it run in one process, so that only one
is started; all other tests of a file stay together. Rooms whose tests wait for other processes come first, so that no
process is left alone with them at the end.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

_NEO4J = "neo4j"
_ROOMS_THAT_WAIT = frozenset({"browser", "chaos", "demo", "embedded", "end_to_end", "snapshot", "soak"})


class ByFileAndStore(LoadScopeScheduling):  # type: ignore[misc]
    """It hands out whole files, and the tests of each group of pytest-xdist apart from them."""

    def _split_scope(self, nodeid: str) -> str:
        _, mark, group = nodeid.rpartition("]")[2].rpartition("@")
        return group if mark else nodeid.partition("::")[0]


def arrange(items: list[pytest.Item], here: Path) -> None:
    """Put the tests in the order in which they are handed out, and mark those that need Neo4j."""

    def turn(item: pytest.Item) -> int:
        if _needs_neo4j(item):
            return 0
        return 1 if item.path.relative_to(here).parts[0] in _ROOMS_THAT_WAIT else 2

    items.sort(key=turn)
    for item in items:
        if _needs_neo4j(item):
            item.add_marker(pytest.mark.xdist_group(_NEO4J))


def _needs_neo4j(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    if call is not None and call.params.get("graph_server") == "neo4j":
        return True
    return "neo4j_server" in getattr(item, "fixturenames", ())
