"""Messages for known packages are linked by the batch: one question and one transaction, whatever is among them."""

from __future__ import annotations

from typing import Any

import pytest

from securechain_ingest.errors import StoreError
from securechain_ingest.graph.connection import Connection
from securechain_ingest.queue.messages import Message
from tests.graph.builders import NPM
from tests.queue.running import entry_of
from tests.worker.conftest import bench, graph_target, read
from tests.worker.made import Bench, package

__all__ = ["bench", "graph_target", "read"]


async def test_a_batch_takes_one_question_and_one_transaction(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.registry.has(*(package(f"app{number}") for number in range(3)))
    for number in range(3):
        await bench.serve(f"app{number}")
    file = await bench.requirement_file()
    asked: list[str] = []
    for name in ("read", "change"):
        call = getattr(Connection, name)

        async def counted(self: Connection, *args: Any, _name: str = name, _call: Any = call, **keys: Any) -> Any:
            asked.append(_name)
            return await _call(self, *args, **keys)

        monkeypatch.setattr(Connection, name, counted)
    names = ["app0", "nobody", "app1", "app2", "app0", "bad name\x00"]
    messages = [Message(NPM.label, name, parent_id=file, constraints=f"^{place}") for place, name in enumerate(names)]
    outcomes = await bench.worker.link_known([entry_of(message) for message in messages])
    assert asked == ["read", "change"]
    assert [outcome is not None for outcome in outcomes] == [True, False, True, True, True, False]
    monkeypatch.undo()
    assert await bench.edges_of(file) == {"pkg:npm/app0": "^4", "pkg:npm/app1": "^2", "pkg:npm/app2": "^3"}


async def test_what_a_package_requires_is_queued_once_for_a_batch(bench: Bench) -> None:
    bench.registry.has(package("app", requires={"lib": "any"}))
    await bench.serve("app", depth=0)
    outcomes = await bench.worker.link_known([entry_of(Message(NPM.label, "app")) for _ in range(3)])
    assert [[each.package for each in outcome.queue] for outcome in outcomes if outcome] == [["lib"], [], []]


async def test_a_batch_that_the_graph_refuses_is_served_by_nobody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.registry.has(package("app"))
    await bench.serve("app")

    async def refused(*_: Any) -> Any:
        raise StoreError("the graph is away")

    monkeypatch.setattr(Connection, "change", refused)
    with pytest.raises(StoreError):
        await bench.worker.link_known([entry_of(Message(NPM.label, "app"))])
