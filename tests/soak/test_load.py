"""The load ends when it is to end."""

from __future__ import annotations

import asyncio

from tests.soak.load import again_and_again


async def test_the_load_ends_though_a_driver_loses_the_cancellation() -> None:
    acting, lost = asyncio.Event(), asyncio.Event()

    async def act() -> None:
        acting.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if lost.is_set():
                raise
            lost.set()

    load = asyncio.create_task(again_and_again(0.001, act))
    await acting.wait()
    acting.clear()
    load.cancel()
    await lost.wait()
    again = asyncio.create_task(acting.wait())
    await asyncio.wait({load, again}, return_when=asyncio.FIRST_COMPLETED)
    again.cancel()
    assert load.done()
