"""This says which process of tests runs which tests, and in which order.

A real Neo4j takes minutes of a processor until it is warm. All tests that need it run in one process, so that only one
is started. The same holds for what the tests with a browser look at. All other tests of a file stay together. What
takes long comes first, so that no process is left alone with it at the end: those tests, and then the rooms whose tests
wait for other processes.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

_NEO4J = "neo4j"
_BROWSER = "tests/browser/"
_ROOMS_THAT_WAIT = frozenset({"chaos", "demo", "embedded", "end_to_end", "snapshot", "soak"})


class ByFileAndStore(LoadScopeScheduling):  # type: ignore[misc]
    """It hands out whole files, except those with a browser, which one process gets together, and the tests that need
    Neo4j, which one process gets whatever file they are in.

    Only the processes that run tests know what a test needs. They list the tests that need Neo4j in pytest's cache
    before they are handed any.
    """

    @cached_property
    def _with_neo4j(self) -> frozenset[str]:
        return frozenset(_list_of(self.config).read_text(encoding="utf-8").splitlines())

    def _split_scope(self, nodeid: str) -> str:
        if nodeid in self._with_neo4j:
            return _NEO4J
        return _BROWSER if nodeid.startswith(_BROWSER) else nodeid.partition("::")[0]


def arrange(items: list[pytest.Item], here: Path, config: pytest.Config) -> None:
    """Put the tests in the order in which they are handed out, and list those that need Neo4j."""

    def turn(item: pytest.Item) -> int:
        if _needs_neo4j(item):
            return 0
        if item.nodeid.startswith(_BROWSER):
            return 1
        return 2 if item.path.relative_to(here).parts[0] in _ROOMS_THAT_WAIT else 3

    items.sort(key=turn)
    if hasattr(config, "workerinput"):
        with_neo4j = [item.nodeid for item in items if _needs_neo4j(item)]
        _list_of(config).write_text("\n".join(with_neo4j), encoding="utf-8")


def _list_of(config: pytest.Config) -> Path:
    assert config.cache is not None, "pytest's cache is needed to run tests in several processes"
    return config.cache.mkdir("distribution") / "with_neo4j"


def _needs_neo4j(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    if call is not None and "graph_server" in call.params:
        return bool(call.params["graph_server"] == "neo4j")
    return "neo4j_server" in getattr(item, "fixturenames", ())
