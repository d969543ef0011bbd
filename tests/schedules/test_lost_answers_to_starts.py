"""This tests a run that Redis has begun and whose daemon did not get the answer: the driver asks again."""

from __future__ import annotations

import asyncio

import pytest
import redis

from securechain_ingest.drivers.redis_connection import connect
from securechain_ingest.queue.keys import Keys
from securechain_ingest.runs import Run, new_run_id, utc_now
from securechain_ingest.schedules.board import Board, Claim, RunRequest
from tests.queue.cut_connection import Proxy
from tests.schedules.conftest import JOB, STREAM
from tests.waiting import PATIENCE_S, until


@pytest.mark.parametrize("how", ["ticks", "requests"])
async def test_its_daemon_knows_that_it_has_begun(redis_url: str, how: str) -> None:
    now = utc_now()
    run = Run(id=new_run_id(now), job=JOB, started_at=now)
    lease = Keys(STREAM).schedules(f"lease:{JOB}")
    with redis.Redis.from_url(redis_url) as server:

        def is_begun() -> bool:
            return bool(server.exists(lease))

        async with Proxy(redis_url).listening() as proxy, connect(proxy.url, PATIENCE_S) as client:
            board = Board(client, STREAM)
            claim: Claim = ("ticks", JOB, 1)
            if how == "requests":
                await board.request(JOB, RunRequest(run.id, {}))
                claim = ("requests", JOB, (await board.state()).requests[JOB].text)
            # What Redis has done is not told until the connection is cut.
            proxy.is_held = is_begun
            starting = asyncio.create_task(board.start(run, claim, 30.0))
            await until(is_begun)
            proxy.is_held = lambda: False
            proxy.cut()
            proxy.mend()
            assert await starting == "started"
