"""Messages that wait for another attempt are found and removed in pages, however many there are."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from securechain_ingest.queue.inspection import remove_messages
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import LANES, Lane
from securechain_ingest.settings import QueueSettings

COUNT = 1200
POSTPONE = """
for number = 1, tonumber(ARGV[1]) do
    local token = '1-' .. number .. ':2-' .. number
    redis.call('ZADD', KEYS[1], tonumber(ARGV[2]) + math.floor(number / tonumber(ARGV[3])), token)
    local data = cjson.encode({node_type = 'PyPIPackage', package = 'p-' .. number})
    redis.call('HSET', KEYS[2], token, cmsgpack.pack({'data', data}))
end
"""


@pytest.mark.parametrize("at_once", [1, 7, 5000])
async def test_all_of_them_are_removed_also_if_many_are_due_in_the_same_millisecond(
    redis: Redis, queue: QueueSettings, at_once: int
) -> None:
    keys = Keys(queue.stream)
    retries, payloads = keys.retries("pypi", Lane.LISTED), keys.payloads("pypi", Lane.LISTED)
    await redis.eval(POSTPONE, 2, retries, payloads, str(COUNT), str(4 * 10**12), str(at_once))

    removed = await remove_messages(redis, queue.stream, queue.group, word="purged", ecosystems=["pypi"], lanes=LANES)

    assert len(removed) == COUNT
    assert await redis.zcard(retries) == await redis.hlen(payloads) == 0
