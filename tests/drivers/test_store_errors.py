"""What Redis and MongoDB refuse is told as that: to be mended by an operator, by nobody, or by time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from bson.errors import InvalidDocument
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DocumentTooLarge,
    ExecutionTimeout,
    OperationFailure,
    WriteError,
)
from redis.asyncio import Redis

from securechain_ingest.drivers.mongodb_errors import explained
from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.errors import ConfigError, StoreAway, StoreError, StoreFull, StoreRefused
from securechain_ingest.model import Artifact, ImportNames, Package
from securechain_ingest.queue.keys import Keys
from securechain_ingest.worker.import_names_cache import ImportNamesCache
from tests.graph.builders import pypi, version


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def full_redis(redis: Redis) -> AsyncIterator[Redis]:
    """Yield a Redis without room for anything more."""
    await redis.config_set("maxmemory", 1)
    yield redis
    await redis.config_set("maxmemory", 0)


def as_user(redis_url: str, user: str, password: str) -> str:
    parts = urlsplit(redis_url)
    return parts._replace(netloc=f"{user}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()


@pytest.fixture
async def guest(redis: Redis, redis_url: str) -> AsyncIterator[Redis]:
    """Yield a user that may only ping."""
    await redis.acl_setuser("guest", enabled=True, passwords=["+secret"], commands=["+ping"])
    async with Redis.from_url(as_user(redis_url, "guest", "secret")) as client:
        yield client
    await redis.acl_deluser("guest")


async def test_another_programs_value_under_a_key_is_a_refusal(redis: Redis) -> None:
    await redis.lpush("key", "value")
    with pytest.raises(StoreRefused, match="WRONGTYPE"), store_errors():
        await redis.get("key")


async def test_a_full_redis_is_told_as_that_and_passes(full_redis: Redis) -> None:
    with pytest.raises(StoreFull, match="OOM") as caught, store_errors():
        await full_redis.set("key", "value")
    assert caught.value.transient


async def test_a_missing_permission_is_for_the_operator_to_mend(guest: Redis) -> None:
    with pytest.raises(ConfigError, match="NOPERM"), store_errors():
        await guest.set("key", "value")


async def test_a_wrong_password_is_for_the_operator_to_mend(redis_url: str) -> None:
    async with Redis.from_url(as_user(redis_url, "nobody", "wrong")) as client:
        with pytest.raises(ConfigError, match="user name or password") as caught, store_errors():
            await client.ping()
    assert "wrong" not in str(caught.value)


async def test_a_redis_that_is_not_there_is_away() -> None:
    async with Redis.from_url("redis://127.0.0.1:1") as client:
        with pytest.raises(StoreAway), store_errors():
            await client.ping()


def package() -> Package:
    ref = pypi("six")
    artifact = Artifact("http://made/six.whl", "six.whl", "1.0", 1)
    return Package(ref, None, None, (version(ref, "1.0"),), (artifact,), None)


async def cached(redis: Redis) -> ImportNames | None:
    """Return what the cache has of the package, and give it other names, which it writes."""
    cache = ImportNamesCache(redis, "q", 60)
    found = await cache.get(package())
    await cache.put(package(), ImportNames(("six",)))
    await cache.close()
    return found


async def test_import_names_are_not_cached_where_another_program_has_their_key(redis: Redis) -> None:
    await redis.lpush(Keys("q").import_names("pypi", "six", "1.0"), "somebody else's")
    assert await cached(redis) is None


async def test_import_names_are_not_cached_where_redis_has_no_room_for_them(full_redis: Redis) -> None:
    assert await cached(full_redis) is None
    assert await cached(full_redis) is None


async def test_import_names_are_not_cached_where_redis_forbids_their_keys(guest: Redis) -> None:
    assert await cached(guest) is None


async def test_import_names_that_were_remembered_without_bounds_are_read_again(redis: Redis) -> None:
    entry = {"parser": 1, "import_names": ["six", "x" * 300, "a\0b"]}
    await redis.set(Keys("q").import_names("pypi", "six", "1.0"), orjson.dumps(entry))
    assert await cached(redis) is None
    assert await cached(redis) == ImportNames(("six",))


@pytest.mark.parametrize(
    ("error", "kind", "transient"),
    [
        (OperationFailure("no", 13), "config", False),
        (OperationFailure("no", 18), "config", False),
        (WriteError("full", 14031), "store_full", True),
        (WriteError("double", 11000), "store_refused", False),
        (BulkWriteError({"writeErrors": [{"code": 121}, {"code": 10334}]}), "store_refused", False),
        (BulkWriteError({"writeErrors": [{"code": 121}, {"code": 189}]}), "store_unavailable", True),
        (DocumentTooLarge("17 MB"), "store_refused", False),
        (InvalidDocument("key"), "store_refused", False),
        (OverflowError("9 bytes"), "store_refused", False),
        (ExecutionTimeout("slow", 50), "store_unavailable", True),
        (OperationFailure("stepping down", 189), "store_unavailable", True),
    ],
)
def test_what_mongodb_says_is_told_by_whom_it_is_to_be_mended(error: Any, kind: str, transient: bool) -> None:
    told = explained(error)
    assert (told.kind, told.transient) == (kind, transient)


def test_a_mongodb_that_is_gone_is_away() -> None:
    told: StoreError | ConfigError = explained(AutoReconnect("gone"))
    assert isinstance(told, StoreAway)
