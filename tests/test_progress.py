"""This tests the watchdog's rule: loops turn, and no message is in work beyond its own time limits."""

from __future__ import annotations

import asyncio

from securechain_ingest.progress import LOOP_S, Progress, step
from tests.waiting import Clock


async def test_a_process_with_nothing_to_do_gets_on_as_long_as_its_loops_turn() -> None:
    clock = Clock(1000.0)
    progress = Progress(lambda: 100.0, clock)
    assert progress.stuck() is None
    progress.turned("forwarder")
    clock.now += LOOP_S
    assert progress.stuck() is None
    clock.now += 1
    assert progress.stuck() == "the loop forwarder has not turned for 31 s"
    progress.turned("forwarder")
    assert progress.stuck() is None


async def test_a_loop_that_has_ended_in_order_is_not_waited_for() -> None:
    clock = Clock(1000.0)
    progress = Progress(lambda: 100.0, clock)
    progress.turned("forwarder")
    progress.ended("forwarder")
    clock.now += 1000.0
    assert progress.stuck() is None


async def test_a_message_may_take_long_as_long_as_it_gets_a_step_further() -> None:
    clock = Clock(1000.0)
    progress = Progress(lambda: 100.0, clock)
    with progress.work("message 1-1"):
        for _ in range(5):
            clock.now += 100.0
            # Steps count also when a task that the message has started makes them.
            await asyncio.create_task(step_in_a_task())
            assert progress.stuck() is None
        clock.now += 101.0
        assert progress.stuck() == "message 1-1 has been in work for 101 s without a step"
        assert progress.ages() == {"work": 101.0}
    assert progress.stuck() is None
    assert progress.ages() == {}


async def step_in_a_task() -> None:
    step()


def test_a_step_of_no_work_in_particular_does_nothing() -> None:
    step()
