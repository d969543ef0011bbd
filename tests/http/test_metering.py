"""This tests what one piece of work has asked for, apart from all other traffic of the process."""

from __future__ import annotations

import asyncio

from securechain_ingest.http.client import HttpClient
from securechain_ingest.http.metering import metered
from tests.http.scripted_server import ScriptedServer, answer


async def test_the_requests_and_bytes_of_a_piece_of_work_are_counted_with_its_tasks_and_without_others(
    client: HttpClient, server: ScriptedServer
) -> None:
    urls = [server.script(f"/{size}", answer(200, bytes(size))) for size in (10, 200, 3000)]
    with metered() as traffic:
        await client.get(urls[0])
        await asyncio.gather(client.get(urls[1]), asyncio.create_task(client.get(urls[1])))
    await client.get(urls[2])
    assert (traffic.requests, traffic.received_bytes) == (2, 210)


async def test_a_redirect_and_a_repetition_count_as_requests(client: HttpClient, server: ScriptedServer) -> None:
    end = server.script("/end", answer(503), answer(200, b"here"))
    start = server.script("/start", answer(301, location=end))
    with metered() as traffic:
        assert (await client.get(start)).body == b"here"
    # The repetition begins at the start again.
    assert traffic.requests == len(server.requests) == 4
    assert traffic.received_bytes == 4
