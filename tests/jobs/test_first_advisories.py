"""Until an ecosystem's advisories have once been read its vulnerabilities are unknown, which is not none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from securechain_ingest.ecosystem_settings import ScheduleSettings
from securechain_ingest.errors import StoreError
from securechain_ingest.jobs.advisory_sync import never_read
from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.jobs.first_advisories import (
    JOB,
    NOT_REACHABLE,
    NOT_READ,
    ask_for_first_advisories,
    read_first_advisories,
)
from securechain_ingest.schedules.board import Board
from securechain_ingest.settings import QueueSettings
from tests.graph.builders import pypi
from tests.jobs.advisories import FLASK, STREAM, AdvisoryBench
from tests.registry_server import Fault, FaultKind
from tests.waiting import PATIENCE_S

ECOSYSTEMS = ("PyPI", "npm")


@pytest.fixture
def bench(advisory_bench: AdvisoryBench) -> AdvisoryBench:
    advisory_bench.publish(FLASK)
    return advisory_bench


async def unread(bench: AdvisoryBench) -> list[str]:
    return await never_read(Cursors(bench.sync.redis, STREAM), bench.sync.store, ECOSYSTEMS)


async def test_an_ecosystem_is_unknown_until_its_first_completed_sync(bench: AdvisoryBench) -> None:
    assert await unread(bench) == ["PyPI", "npm"]
    bench.server.faults.add(Fault("/PyPI/*", FaultKind.STATUS, times=None))
    with pytest.raises(Exception, match="503"):
        await bench.run()
    # One without any advisory is known to have none.
    assert await unread(bench) == ["PyPI"]
    bench.server.faults.clear()
    await bench.run()
    assert await unread(bench) == []


async def test_a_command_reads_what_it_asks_about_and_nothing_else(bench: AdvisoryBench) -> None:
    assert await read_first_advisories(bench.sync, {"PyPI"}, within_s=PATIENCE_S) == {}
    assert await bench.ratings(pypi("flask")) == {"1.0": (9.8, ["GHSA-1"]), "2.0": (0.0, [])}
    assert {target.split("/")[1] for target in bench.targets()} == {"PyPI"}
    assert await unread(bench) == ["npm"]


async def test_what_was_read_is_not_read_again(bench: AdvisoryBench) -> None:
    await bench.run()
    bench.server.requests.clear()
    assert await read_first_advisories(bench.sync, ECOSYSTEMS, within_s=PATIENCE_S) == {}
    assert bench.targets() == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault("/PyPI/*", FaultKind.STATUS, times=None, status=503),
        Fault("/PyPI/*", FaultKind.STATUS, times=None, status=404),
        Fault("/PyPI/*", FaultKind.DROP, times=None),
        Fault("/PyPI/*", FaultKind.STALL, times=None),
        Fault("/PyPI/modified_id.csv", FaultKind.HTML, times=None),
    ],
    ids=["away", "missing", "cut off", "silent", "a proxy's page"],
)
async def test_a_command_goes_on_without_advisories_that_it_cannot_reach(bench: AdvisoryBench, fault: Fault) -> None:
    bench.server.faults.add(fault)
    found = await read_first_advisories(bench.sync, ECOSYSTEMS, within_s=1.0)
    assert found["PyPI"] == NOT_REACHABLE == "unknown: advisories not reachable"


async def test_one_ecosystem_that_cannot_be_reached_leaves_the_others_known(bench: AdvisoryBench) -> None:
    bench.server.faults.add(Fault("/npm/*", FaultKind.STATUS, times=None))
    assert await read_first_advisories(bench.sync, ECOSYSTEMS, within_s=PATIENCE_S) == {"npm": NOT_REACHABLE}


async def test_a_command_that_is_not_to_read_them_asks_nothing(bench: AdvisoryBench) -> None:
    assert await read_first_advisories(bench.sync, {"PyPI"}, within_s=0) == {"PyPI": NOT_READ}
    assert bench.targets() == []


async def test_a_store_that_is_away_leaves_all_unknown(bench: AdvisoryBench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> int:
        raise StoreError("the advisory database is away")

    monkeypatch.setattr(type(bench.sync.store), "count", away)
    assert await read_first_advisories(bench.sync, {"PyPI"}, within_s=PATIENCE_S) == {"PyPI": NOT_REACHABLE}


class Starting:
    """This is a daemon that starts, as far as this goes."""

    def __init__(self, bench: AdvisoryBench, **schedules: Any) -> None:
        self.settings: Any = SimpleNamespace(
            queue=QueueSettings(stream=STREAM), schedules=ScheduleSettings(**schedules)
        )
        self.board = Board(bench.sync.redis, STREAM)
        self.stores: Any = SimpleNamespace(redis=bench.sync.redis, advisories=bench.sync.store)

    async def requests(self) -> list[str]:
        await ask_for_first_advisories(self.stores, self.board, self.settings, ECOSYSTEMS)
        return [request.run_id for request in (await self.board.state()).requests.values()]


async def test_daemons_that_start_with_none_ask_once_for_a_sync(bench: AdvisoryBench) -> None:
    [first] = await Starting(bench).requests()
    assert await Starting(bench).requests() == [first]


async def test_a_daemon_that_starts_with_all_of_them_asks_for_nothing(bench: AdvisoryBench) -> None:
    await bench.run()
    assert await Starting(bench).requests() == []


async def test_a_job_that_is_disabled_is_not_asked_for(bench: AdvisoryBench) -> None:
    assert await Starting(bench, disabled=[JOB]).requests() == []


async def test_what_a_command_says_of_the_job_goes_before_the_configuration(bench: AdvisoryBench) -> None:
    await Board(bench.sync.redis, STREAM).override(JOB, enabled=True)
    assert len(await Starting(bench, disabled=[JOB]).requests()) == 1
