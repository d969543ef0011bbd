"""The records of a job's runs tell that one ended before the next began, whenever its daemons read their clocks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from securechain_ingest.runs import Run
from securechain_ingest.schedules.execution import execute
from securechain_ingest.schedules.scheduler import MAX_BREAKDOWNS
from tests.schedules.conftest import JOB, Installation, ended, settings
from tests.waiting import PATIENCE_S, Gate

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE = f"package-extraction-schedules-lease:{JOB}"


def at(milliseconds: int) -> datetime:
    return NOON + timedelta(milliseconds=milliseconds)


def read_at(milliseconds: int, run_id: str, **fields: object) -> Run:
    """A run whose daemon has read its clock at that moment and has not asked for the lease yet."""
    return Run.model_validate({"id": run_id, "job": JOB, "started_at": at(milliseconds), **fields})


def stepped() -> Callable[[], datetime]:
    """A clock that is a millisecond later at every reading."""
    moments = iter(range(1, 1_000_000))
    return lambda: at(next(moments))


async def nothing(_run: Run) -> None: ...


async def begin(installation: Installation, run: Run, tick: int, left: Run | None = None) -> None:
    """Begin the run at that tick, in place of the run that its daemon has left."""
    assert await installation.board.start(run, ("ticks", JOB, tick), 30.0, left) == "started"


async def do(installation: Installation, run: Run, ends_at: datetime) -> None:
    """Do the run, until its daemon reads that time from its clock."""
    leased_at = anyio.current_time()
    await execute(
        run,
        nothing,
        installation.board,
        anyio.CancelScope(),
        lease_s=30.0,
        leased_at=leased_at,
        now=lambda: ends_at,
    )


async def lose_the_daemon(installation: Installation) -> None:
    """The daemon of the run under way dies, and the lease runs out."""
    await installation.redis.delete(LEASE)


async def test_a_run_starts_at_the_end_of_the_run_before_it_if_the_clock_was_read_earlier(
    installation: Installation,
) -> None:
    first, second = read_at(0, "first"), read_at(2, "second")
    await begin(installation, first, 1)
    await do(installation, first, at(5))
    await begin(installation, second, 2)
    assert first.ended_at == second.started_at == at(5)
    assert (await installation.board.state()).under_way[JOB].started_at == at(5)


async def test_a_run_does_not_end_before_its_start_in_a_daemon_whose_clock_is_behind(
    installation: Installation,
) -> None:
    first, second = read_at(0, "first"), read_at(2, "second")
    await begin(installation, first, 1)
    await do(installation, first, at(5000))
    await begin(installation, second, 2)
    await do(installation, second, at(3))
    assert second.started_at == second.ended_at == at(5000)


async def test_a_run_that_lost_its_daemon_has_ended_when_the_next_one_starts(installation: Installation) -> None:
    await begin(installation, read_at(0, "left"), 1)
    await lose_the_daemon(installation)
    async with installation.scheduler(nothing, settings(enabled=False), now=stepped()):
        records = await ended(installation, 2)
    left, resumed = sorted(records, key=lambda record: record.trigger == "resume")
    assert (left.id, left.outcome, resumed.resumes) == ("left", "interrupted", "left")
    assert left.ended_at == resumed.started_at


async def test_a_run_that_is_given_up_has_ended_before_the_next_one_starts(installation: Installation) -> None:
    await begin(installation, read_at(0, "left", breakdowns=MAX_BREAKDOWNS), 1)
    await lose_the_daemon(installation)
    async with installation.scheduler(nothing, settings(enabled=False), now=lambda: at(5)):
        [left] = await ended(installation)
    following = read_at(2, "following")
    await begin(installation, following, 2)
    assert left.ended_at == following.started_at == at(5)


@pytest.mark.parametrize(
    ("outcome", "is_given_up"),
    [("interrupted", True), ("interrupted", False), ("succeeded", False)],
    ids=["another daemon gives it up", "its own daemon is late", "its own daemon hung and has done it"],
)
@pytest.mark.parametrize("has_ended", [True, False], ids=["after the next run", "during the next run"])
async def test_the_end_of_a_run_whose_place_another_has_taken_is_not_written_once_more(
    installation: Installation, outcome: str, is_given_up: bool, has_ended: bool
) -> None:
    left, following = read_at(0, "left"), read_at(2, "following")
    await begin(installation, left, 1)
    await lose_the_daemon(installation)
    await begin(installation, following, 2, left)
    if has_ended:
        await do(installation, following, at(3))
    late = left.model_copy(update={"outcome": outcome, "ended_at": at(9)})
    assert not await installation.board.end(late, is_given_up=is_given_up)
    [closed] = [run for run in await installation.board.kept() if run.id == "left"]
    assert closed.ended_at == following.started_at == at(2)


async def test_a_renewal_that_comes_after_the_end_does_not_begin_the_run_again(installation: Installation) -> None:
    run = read_at(0, "first")
    await begin(installation, run, 1)
    await do(installation, run, at(5))
    assert await installation.board.renew(run, 30.0, written="") == ""
    assert (await installation.board.state()).under_way == {}
    assert await installation.redis.get(LEASE) is None


@pytest.mark.parametrize("how", ["with all its data", "in a failover"])
async def test_a_run_goes_on_and_has_a_record_after_redis_has_lost_its_start(
    installation: Installation, how: str
) -> None:
    before, run = read_at(0, "before"), read_at(6, "run")
    await begin(installation, before, 1)
    await do(installation, before, at(5))
    replica = {key: await installation.redis.dump(key) or b"" for key in await installation.redis.keys()}
    await begin(installation, run, 2)
    await installation.redis.flushdb()
    if how == "in a failover":
        for key, content in replica.items():
            await installation.redis.restore(key, 0, content)
    assert await installation.board.renew(run, 30.0, written="")
    assert await installation.redis.get(LEASE) == b"run"
    await do(installation, run, at(9))
    assert "run" in {kept.id for kept in await installation.board.kept()}


async def test_a_lease_ends_counted_from_the_moment_at_which_it_was_asked_for(installation: Installation) -> None:
    run = read_at(0, "first")
    await begin(installation, run, 1)
    asked_at = anyio.current_time() - 30.0  # The answer of Redis was so long on its way.
    with anyio.fail_after(PATIENCE_S):
        await execute(
            run,
            Gate(None),
            installation.board,
            anyio.CancelScope(),
            lease_s=30.0,
            leased_at=asked_at,
            now=lambda: at(5),
        )
    assert (run.outcome, run.error) == ("interrupted", "the lease was lost")
