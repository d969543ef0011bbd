"""What a cache of import names has been given is in Redis once it is closed, and nothing goes on behind that."""

from __future__ import annotations

import asyncio

import pytest

from securechain_ingest.model import ImportNames
from securechain_ingest.worker import import_names_cache
from tests.worker.made import Bench, package


async def test_closing_waits_for_a_save_that_is_under_way(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_names_cache, "_SAVED_AFTER_S", 0)
    before = asyncio.all_tasks()
    await bench.stores.redis.client_pause(200, all=False)
    await bench.names.put(package("app"), ImportNames(("app",)))
    [saving] = asyncio.all_tasks() - before
    for _ in range(3):
        await asyncio.sleep(0)
    await bench.names.close()
    await asyncio.sleep(0)
    assert saving.done()
    assert await bench.stores.redis.keys("q-import_names:*") == [b"q-import_names:npm:app:1.0.0"]
