"""This tests the questions that a page asks in the background."""

from __future__ import annotations

import asyncio

import pytest

from securechain_ingest.errors import StoreError
from securechain_ingest.web.page import Page
from securechain_ingest.web.remembered import Remembered
from securechain_ingest.web.server import listen
from tests.waiting import PATIENCE_S, until
from tests.web.conftest import WebSite


class Store:
    """This is a store that answers when the test says so."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.asked = 0
        self.being_asked = 0

    async def ask(self) -> int:
        self.asked += 1
        self.being_asked += 1
        try:
            await self.answers.wait()
        finally:
            self.being_asked -= 1
        return self.asked


async def test_who_looks_does_not_wait_long_and_finds_the_answer_later() -> None:
    store = Store()
    remembered = Remembered(store.ask, good_for_s=PATIENCE_S, within_s=0)
    assert await remembered.get() is None
    store.answers.set()
    assert await until(remembered.get) == 1
    assert store.asked == 1


async def test_a_store_that_does_not_answer_is_told_of_in_one_sentence() -> None:
    async def ask() -> int:
        raise StoreError("Redis does not answer")

    remembered = Remembered(ask, good_for_s=PATIENCE_S, within_s=PATIENCE_S)
    assert await remembered.get() is None
    assert remembered.error == "Redis does not answer"


async def test_a_question_does_not_go_on_behind_the_end_of_the_page() -> None:
    store = Store()
    remembered = Remembered(store.ask, good_for_s=PATIENCE_S, within_s=0)
    await remembered.get()
    await until(lambda: store.being_asked)
    await remembered.close()
    assert store.being_asked == 0


async def test_an_end_without_a_question_waits_for_nothing() -> None:
    store = Store()
    remembered = Remembered(store.ask, good_for_s=PATIENCE_S)
    await remembered.close()
    assert store.asked == 0


async def test_a_page_that_ends_leaves_no_question_to_a_store_behind(
    site: WebSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store()
    monkeypatch.setattr(site.stores.graph.reader, "size", lambda _ecosystems: store.ask())
    listener = listen("127.0.0.1", 0)
    assert listener is not None
    serving = asyncio.create_task(Page(site.app, listener, "http://made").serve())
    await until(lambda: store.being_asked)
    serving.cancel()
    await asyncio.wait([serving])
    assert store.being_asked == 0
