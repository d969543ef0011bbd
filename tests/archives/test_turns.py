"""Somebody who waits is served beside, and instead of, what is parsed by the clock: real children."""

from __future__ import annotations

import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from securechain_ingest.archives.pool import MAX_ENDED_TURNS, ParserPool
from securechain_ingest.archives.turns import Turns
from securechain_ingest.errors import ArchiveRefused, ParserLost
from securechain_ingest.http.priority import Priority, prioritised
from securechain_ingest.settings import ArchiveSettings
from tests.archives.parsers import count_for_ever
from tests.waiting import PATIENCE_S, until

URGENT = Priority(is_urgent=True)


async def _urgently(act: Callable[[], Awaitable[Any]]) -> Any:
    with prioritised(URGENT):
        return await act()


@asynccontextmanager
async def _hostile(pool: ParserPool, count: int, ended: list[Exception]) -> AsyncIterator[None]:
    """Keep the pool busy, within the block, with so many archives that nobody waits for and that never end by
    themselves.
    """

    async def parse() -> None:
        try:
            await pool.run(count_for_ever)
        except (ArchiveRefused, ParserLost) as error:
            ended.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(parse)
        await anyio.wait_all_tasks_blocked()
        yield
        group.cancel_scope.cancel()


@pytest.mark.parametrize("processes", [1, 2])
async def test_who_waits_is_served_before_hostile_bulk_archives_come_to_their_end(processes: int) -> None:
    ended: list[Exception] = []
    # Their end is so far away that nobody could wait for it.
    far = ArchiveSettings(processes=processes, timeout_s=86_400, cpu_s=86_400)
    async with ParserPool(far) as pool, _hostile(pool, 5, ended):
        assert await _urgently(functools.partial(pool.run, len, b"asked")) == 5
    assert ended == []


async def test_a_parse_that_was_ended_for_another_is_done_afterwards(tmp_path: Path) -> None:
    done = []
    may_end = tmp_path / "may-end"
    async with ParserPool(ArchiveSettings(processes=1, timeout_s=PATIENCE_S)) as pool:
        is_there = f"__import__('time').sleep(0.01) or __import__('os').path.exists({str(may_end)!r})"

        async def parse() -> None:
            done.append(await pool.run(eval, f"[None for _ in iter(lambda: {is_there}, True)] is not None and 'done'"))

        with capture_logs() as lines:
            async with anyio.create_task_group() as group:
                group.start_soon(parse)
                await anyio.wait_all_tasks_blocked()
                assert await _urgently(functools.partial(pool.run, len, b"asked")) == 5
                assert done == []
                may_end.touch()
    assert done == ["done"]
    assert [line["event"] for line in lines] == ["parse_ended"]


async def test_a_parse_that_is_ended_time_and_again_waits_for_better_days() -> None:
    ended: list[Exception] = []
    async with ParserPool(ArchiveSettings(processes=1)) as pool, _hostile(pool, 1, ended):
        for _ in range(MAX_ENDED_TURNS + 1):
            await _urgently(functools.partial(pool.run, len, b"asked"))
            await anyio.wait_all_tasks_blocked()
        await until(lambda: ended)
    assert isinstance(ended[0], ParserLost)
    assert ended[0].transient


async def test_one_of_several_parsers_never_takes_what_nobody_waits_for() -> None:
    async with ParserPool(ArchiveSettings(processes=3)) as pool, _hostile(pool, 5, []):
        pids = {await _urgently(functools.partial(pool.run, os.getpid)) for _ in range(5)}
    assert len(pids) == 1


class _Line:
    """These are turns, and the order in which they were had."""

    def __init__(self, total: int) -> None:
        self.turns = Turns(total)
        self.had: list[str] = []

    async def take(self, name: str, priority: Priority, over: anyio.Event) -> None:
        with prioritised(priority):
            async with self.turns.turn(self.turns.number()) as turn:
                with turn.scope:
                    self.had.append(name)
                    await over.wait()


async def test_what_is_waited_for_becomes_urgent_while_it_waits() -> None:
    line, over = _Line(2), anyio.Event()
    late = Priority(is_urgent=False)
    async with anyio.create_task_group() as group:
        for name, priority in (("first", Priority(is_urgent=False)), ("late", late)):
            group.start_soon(line.take, name, priority, over)
        await anyio.wait_all_tasks_blocked()
        assert line.had == ["first"]
        with prioritised(URGENT):
            late.rise()
        await anyio.wait_all_tasks_blocked()
        assert line.had == ["first", "late"]
        over.set()


async def test_a_turn_that_has_become_urgent_is_not_ended() -> None:
    line, over = _Line(1), anyio.Event()
    priority = Priority(is_urgent=False)
    async with anyio.create_task_group() as group:
        group.start_soon(line.take, "risen", priority, over)
        await anyio.wait_all_tasks_blocked()
        with prioritised(URGENT):
            priority.rise()
        group.start_soon(line.take, "other", URGENT, over)
        await anyio.sleep(0.3)
        assert line.had == ["risen"]
        over.set()
    assert line.had == ["risen", "other"]


async def test_who_no_longer_waits_takes_no_turn() -> None:
    line, over = _Line(1), anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(line.take, "first", Priority(is_urgent=False), over)
        await anyio.wait_all_tasks_blocked()
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(line.take, "leaves", Priority(is_urgent=False), over)
            await anyio.wait_all_tasks_blocked()
            leaving.cancel_scope.cancel()
        group.start_soon(line.take, "last", Priority(is_urgent=False), over)
        over.set()
    assert line.had == ["first", "last"]
