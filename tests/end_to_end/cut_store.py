"""This is a store that goes away and comes back: what lies between it and the daemon can be cut."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager

from tests.queue.cut_connection import Proxy


class CutStore:
    """This is a proxy that runs in a thread, for tests that follow a process."""

    def __init__(self, proxy: Proxy, loop: asyncio.AbstractEventLoop) -> None:
        self._proxy = proxy
        self._loop = loop
        self.url = proxy.url

    def cut(self) -> None:
        """End every connection and accept none."""
        self._loop.call_soon_threadsafe(self._proxy.cut)

    def slow_down(self, delay_s: float) -> None:
        """Hold up each piece for so long; 0 as before."""
        self._proxy.delay_s = delay_s

    def hold_when(self, condition: Callable[[], bool]) -> None:
        """Hold every piece once the condition is true, which is asked before each of them."""
        self._proxy.is_held = condition

    def mend(self) -> None:
        self._loop.call_soon_threadsafe(self._proxy.mend)


@contextmanager
def cut_store(url: str) -> Iterator[CutStore]:
    """The store is not cut at first; `url` of the yielded one leads to it."""
    proxy = Proxy(url)
    listening = proxy.listening()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="cut store", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(listening.__aenter__(), loop).result()
        try:
            yield CutStore(proxy, loop)
        finally:
            asyncio.run_coroutine_threadsafe(_end(listening), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(listening: AbstractAsyncContextManager[Proxy]) -> None:
    await listening.__aexit__(None, None, None)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
