"""What several tasks ask for at the same time is done at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from securechain_ingest import together
from securechain_ingest.together import Together
from tests.waiting import until


class Rounds:
    """This notes the rounds, each of which lasts until `opened` is set."""

    def __init__(self, *, most: int = 10, linger_s: float = 0.0) -> None:
        self.rounds: list[list[str]] = []
        self.opened = asyncio.Event()
        self.error: Exception | None = None
        self.together: Together[str, str] = Together(self._do, most=most, linger_s=linger_s)

    async def _do(self, items: Sequence[str]) -> list[str]:
        self.rounds.append(list(items))
        await self.opened.wait()
        if self.error is not None:
            raise self.error
        return [item.upper() for item in items]


async def test_who_comes_while_a_round_is_under_way_shares_the_next_one() -> None:
    bench = Rounds()
    first = [asyncio.create_task(bench.together.add(item)) for item in "ab"]
    await until(lambda: bench.rounds == [["a", "b"]])
    later = [asyncio.create_task(bench.together.add(item)) for item in "cde"]
    await asyncio.sleep(0)
    assert not any(task.done() for task in first)
    bench.opened.set()
    assert await asyncio.gather(*first, *later) == ["A", "B", "C", "D", "E"]
    assert bench.rounds == [["a", "b"], ["c", "d", "e"]]
    await bench.together.add("f")
    assert bench.rounds[2:] == [["f"]]


async def test_in_a_stream_a_round_waits_a_moment_for_others_and_alone_it_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(together, "STREAM_PAUSE_S", float("inf"))
    bench = Rounds(linger_s=0.01)
    bench.opened.set()
    first = asyncio.create_task(bench.together.add("a"))
    await until(lambda: bench.rounds == [["a"]])
    await first
    second = asyncio.create_task(bench.together.add("b"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await bench.together.add("c") == "C"
    assert await second == "B"
    assert bench.rounds == [["a"], ["b", "c"]]


async def test_a_round_has_a_bound() -> None:
    bench = Rounds(most=2)
    bench.opened.set()
    await asyncio.gather(*map(bench.together.add, "abcde"))
    assert bench.rounds == [["a", "b"], ["c", "d"], ["e"]]


async def test_all_of_a_round_get_its_error_and_may_come_again() -> None:
    bench = Rounds()
    bench.opened.set()
    bench.error = RedisConnectionError("gone")
    answers = await asyncio.gather(*map(bench.together.add, "ab"), return_exceptions=True)
    assert answers == [bench.error, bench.error]
    bench.error = None
    await bench.together.add("a")


async def test_who_is_cancelled_takes_nothing_away_from_the_others() -> None:
    bench = Rounds()
    one, other = (asyncio.create_task(bench.together.add(item)) for item in "ab")
    await until(lambda: bench.rounds)
    one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one
    bench.opened.set()
    await other
