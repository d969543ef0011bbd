"""This gives a test a Redis of its own and fast queue settings."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from securechain_ingest.settings import QueueSettings
from tests.waiting import PATIENCE_S


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url, socket_timeout=PATIENCE_S) as client:
        yield client


@pytest.fixture
def queue() -> QueueSettings:
    """Retries come at once, leases outlast any test."""
    return QueueSettings(lease_s=60, retry_base_s=0.001, retry_max_s=0.002, max_deliveries=3)
