"""This module makes clients for Redis: for a single server or one behind Sentinel, with or without TLS and ACL users,
for the event loop and for threads.

    redis://[user:password@]host:port/db                       a server
    rediss://…                                                 over TLS
    redis+sentinel://[user:password@]host:port,host:port/name/db   the master that these Sentinels name
    rediss+sentinel://…                                        both over TLS

    ?ssl_ca_certs=PATH                                  over TLS: the authority that has signed, if it is your own
    ?sentinel_username=USER&sentinel_password=PASSWORD  the Sentinels' own user, if they ask for one

Behind Sentinel every new connection asks for the master, and one that finds itself on a replica is closed and made
again. A failover loses what Redis itself loses: writes that had not reached the replica.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
from redis import asyncio as aioredis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.asyncio.sentinel import SentinelConnectionPool, SentinelManagedConnection, SentinelManagedSSLConnection
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry
from redis.sentinel import Sentinel

from securechain_ingest.drivers.redis_cancellation import cancellable
from securechain_ingest.drivers.redis_errors import explained
from securechain_ingest.errors import ConfigError
from securechain_ingest.progress import waiting

_MOST_CONNECTIONS: Final = 2_000
"""This is more than the number of connections that can be at work at once, which follows from `[queue] concurrency`,
1,000 at most. The driver has a limit of 100, and a command that meets it gets the same error as if the server were
away."""
_SENTINEL_PORT: Final = 26379
_SENTINEL_SCHEMES: Final = ("redis+sentinel", "rediss+sentinel")
_SENTINEL_USER: Final = {"sentinel_username": "username", "sentinel_password": "password"}
_KEYS: Final = (
    "db",
    "username",
    "password",
    "client_name",
    "protocol",
    "socket_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "socket_read_size",
    "health_check_interval",
)
"""An address of a server may have these keys of the driver; with others, the driver fails or answers in another form.
"""
_TLS_KEYS: Final = (
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_ca_data",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_password",
    "ssl_cert_reqs",
    "ssl_check_hostname",
    "ssl_ciphers",
    "ssl_min_version",
)
_SHOWN_CHARACTERS: Final = 60
_COPIED: Final = frozenset({"host", "port", "db", "username", "password", "socket_timeout", "socket_connect_timeout"})


def connect(url: str, timeout_s: float) -> aioredis.Redis:
    """Return a client that tries its commands again during a short outage or a failover. Raise ConfigError for a
    wrong address."""
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "health_check_interval": 30,
        # Otherwise every new connection begins with commands that only tell of the driver.
        "driver_info": None,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        "max_connections": _MOST_CONNECTIONS,
        "retry": _WatchedRetry(ExponentialWithJitterBackoff(cap=1.0, base=0.05), retries=3),
        "retry_on_error": [RedisConnectionError, RedisTimeoutError, ReadOnlyError],
    }
    try:
        if url.startswith(_SENTINEL_SCHEMES):
            return _behind_sentinel(url, options)
        # The driver's parser of addresses puts a class into some of its results, and no argument can replace it.
        options |= parse_url(url)
        _query(url, (*_KEYS, *_TLS_KEYS) if url.startswith("rediss:") else _KEYS)
        kind = cancellable(options.pop("connection_class", aioredis.Connection))
        return aioredis.Redis.from_pool(aioredis.ConnectionPool(kind, **options))
    except ValueError as error:
        raise ConfigError(
            "[redis] url (or REDIS_URL) is not a Redis address such as redis://host:6379/0 or"
            " redis+sentinel://host:26379,host:26379/mymaster/0"
        ) from error


def _behind_sentinel(url: str, options: dict[str, Any]) -> aioredis.Redis:
    """Return a client for the master that the Sentinels name. Raise ValueError for a wrong address, and ConfigError for
    a wrong key behind its question mark."""
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    name, _, db = parts.path.strip("/").partition("/")
    if not hosts or not name:
        msg = "a Sentinel address names its Sentinels and the master"
        raise ValueError(msg)
    is_tls = parts.scheme == "rediss+sentinel"
    of_sentinels = {key: options[key] for key in ("socket_timeout", "socket_connect_timeout")}
    more: dict[str, Any] = {}
    for key, value in _query(url, (*_SENTINEL_USER, *(("ssl_ca_certs",) if is_tls else ()))):
        if key in _SENTINEL_USER:
            of_sentinels[_SENTINEL_USER[key]] = value
        else:
            of_sentinels[key] = more[key] = value
    if is_tls:
        of_sentinels["ssl"] = True
    if password:
        more["password"] = unquote(password)
    if user:
        more["username"] = unquote(user)
    make: Any = AsyncSentinel  # untyped
    sentinel = make([_host(host) for host in hosts.split(",")], sentinel_kwargs=of_sentinels)
    more["connection_class"] = cancellable(SentinelManagedSSLConnection if is_tls else SentinelManagedConnection)
    client: aioredis.Redis = sentinel.master_for(name, connection_pool_class=_Pool, db=int(db or 0), **options, **more)
    return client


def _query(url: str, known: Sequence[str]) -> list[tuple[str, str]]:
    """Return the keys behind an address's question mark, each with its value. Raise ConfigError for one that is not
    known or has no value."""
    parts = urlsplit(url)
    found = parse_qsl(parts.query, keep_blank_values=True)
    for key, value in found:
        if key not in known:
            raise ConfigError(
                f"[redis] url (or REDIS_URL) has the key {key[:_SHOWN_CHARACTERS]!r} behind its question mark;"
                f" an address with {parts.scheme}:// takes {', '.join(known)} there"
            )
        if not value:
            raise ConfigError(f"[redis] url (or REDIS_URL) has no value for its key {key}; write {key}=VALUE")
    return found


class _WatchedRetry(AsyncRetry):
    """The driver makes every connection and sends every command through this, so it is the one place that tells the
    watchdog of all waits for Redis."""

    async def call_with_retry(self, *arguments: Any, **options: Any) -> Any:
        with waiting():
            return await super().call_with_retry(*arguments, **options)


class _Pool(SentinelConnectionPool):
    """This pool closes the connections to the Sentinels, too; the driver leaves them open."""

    async def disconnect(self, inuse_connections: bool = True) -> None:
        await super().disconnect(inuse_connections)
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()


def _host(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        msg = f"{text} is no host"
        raise ValueError(msg)
    return parts.hostname, parts.port or _SENTINEL_PORT


def blocking_twin(client: aioredis.Redis) -> redis.Redis:
    """Return a client for threads, for the same server and database, with the same credentials, TLS and timeouts."""
    pool = client.connection_pool
    known: dict[str, Any] = pool.connection_kwargs
    options = {key: value for key, value in known.items() if key in _COPIED or key.startswith("ssl_")}
    # There is one repetition for a connection that is no longer usable. The caller tries again soon, while a longer
    # wait inside the client would cost the lease.
    options["retry"] = Retry(NoBackoff(), retries=1)
    if isinstance(pool, SentinelConnectionPool):
        hosts = [
            (each.connection_pool.connection_kwargs["host"], each.connection_pool.connection_kwargs["port"])
            for each in pool.sentinel_manager.sentinels
        ]
        if issubclass(pool.connection_class, SentinelManagedSSLConnection):
            options["ssl"] = True
        make: Any = Sentinel  # untyped
        asked = make(hosts, sentinel_kwargs=pool.sentinel_manager.sentinel_kwargs)
        twin: redis.Redis = asked.master_for(pool.service_name, **options)
        return twin
    if issubclass(pool.connection_class, aioredis.UnixDomainSocketConnection):
        options["unix_socket_path"] = known["path"]
    return redis.Redis(ssl=issubclass(pool.connection_class, aioredis.SSLConnection), **options)


async def require_durable(client: aioredis.Redis) -> None:
    """Refuse a Redis that removes keys when its memory is full, because the queue would lose messages without a record.

    It raises ConfigError, or StoreError if Redis does not answer. A server that does not show its configuration (a
    hosted one, or one whose ACL user lacks that right) is accepted.
    """
    try:
        answer = await client.config_get("maxmemory-policy")
    except RedisConnectionError as error:
        raise explained(error) from error
    except RedisError:
        return
    policy = {_text(key): _text(value) for key, value in answer.items()}.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        raise ConfigError(
            f"Redis would drop messages when its memory is full (maxmemory-policy {policy}): set maxmemory-policy"
            " noeviction"
        )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
