"""A refusal slows down all daemons in the end, also if whoever was to tell them has given up or could not."""

from __future__ import annotations

import asyncio

from securechain_ingest.http.pace import Block, Pace
from tests.waiting import Clock


class Turns:
    """This notes what it is told, and answers only when it may."""

    def __init__(self) -> None:
        self.is_away = False
        self.told: list[bool] = []
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def block(self, rate: float, *, successes: int, overloaded: bool) -> Block:
        self.asked.set()
        await self.may_answer.wait()
        if self.is_away:
            return Block(1, 1 / rate, rate, is_shared=False)
        self.told.append(overloaded)
        return Block(1, 0.0, rate / 2 if overloaded else rate)


async def test_the_next_caller_tells_what_one_could_not_tell_because_it_was_cancelled() -> None:
    turns = Turns()
    pace = Pace(8.0, 4, Clock(), turns)
    pace.overloaded()
    first = asyncio.ensure_future(pace.turn())
    await turns.asked.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    turns.may_answer.set()

    await pace.turn()

    assert turns.told == [True]


async def test_while_redis_is_away_a_refusal_slows_down_this_daemon_and_the_others_learn_of_it_after_that() -> None:
    turns, clock = Turns(), Clock()
    turns.may_answer.set()
    turns.is_away = True
    pace = Pace(8.0, 4, clock, turns)
    pace.overloaded()
    waits = []
    for _ in range(3):
        waits.append(await pace.turn())
        clock.now += 10
    turns.is_away = False
    await pace.turn()

    assert waits == [1 / 4] * 3
    assert turns.told == [True]
