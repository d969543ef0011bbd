"""This tests Redis behind Sentinel, over TLS, with ACL users, and one that would drop messages."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import anyio
import pytest
import trustme
from redis.exceptions import RedisError

from securechain_ingest.drivers.redis_connection import blocking_twin, connect, require_durable
from securechain_ingest.embedded.process import free_ports
from securechain_ingest.errors import ConfigError
from securechain_ingest.settings import QueueSettings
from tests.redis_servers import ACL, MASTER, NEVER_MS, PASSWORD, USER, over_tls, over_tls_or_not, pair, server
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow


async def test_a_failover_in_the_midst_of_work_is_sat_out_by_loop_and_threads(tmp_path: Path) -> None:
    with pair(tmp_path / "pair") as servers:
        async with connect(servers.url, 5.0) as client:
            twin = blocking_twin(client)
            await client.set("before", "yes")
            assert twin.get("before") == b"yes"
            servers.wait_until(lambda: servers.ask(servers.second, lambda other: other.get("before")))
            servers.fail_over()
            # What the old master still takes until it has heard of it is lost, as Redis says.
            with anyio.fail_after(PATIENCE_S):
                while not servers.ask(servers.second, lambda other: other.get("after")):
                    with suppress(RedisError):
                        await client.set("after", "yes")
            assert await client.get("before") == b"yes"
            servers.wait_until(lambda: twin.get("after") == b"yes")
            twin.close()


async def test_tls_and_an_acl_user_serve_the_loop_and_the_threads(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    [port] = free_ports(1)
    with server(tmp_path / "r", f"port {port}\n{ACL}", port, username=USER, password=PASSWORD):
        async with over_tls(authority, port) as outer:
            address = f"rediss://{USER}:{PASSWORD}@localhost:{outer}/0?ssl_ca_certs={tmp_path}/ca.pem"
            async with connect(address, 5.0) as client:
                await client.set("key", "value")
                twin = blocking_twin(client)
                assert await asyncio.to_thread(twin.get, "key") == b"value"
                twin.close()


async def test_master_and_sentinels_are_asked_over_tls_each_with_its_own_user(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    master, master_outer, watcher = free_ports(3)
    known = {"username": USER, "password": PASSWORD}
    watched = (
        f"port {watcher}\nuser default off\nuser guard on >guarded ~* &* +@all\n"
        f"sentinel monitor {MASTER} 127.0.0.1 {master_outer} 1\n"
        f"sentinel auth-user {MASTER} {USER}\nsentinel auth-pass {MASTER} {PASSWORD}\n"
        f"sentinel down-after-milliseconds {MASTER} {NEVER_MS}"
    )
    guard = {"username": "guard", "password": "guarded"}
    with (
        server(tmp_path / "master", f"port {master}\n{ACL}", master, **known),
        server(tmp_path / "sentinel", watched, watcher, "--sentinel", **guard),
    ):
        async with (
            over_tls_or_not(authority, master, master_outer) as were_over_tls,
            over_tls(authority, watcher) as watcher_outer,
        ):
            address = (
                f"rediss+sentinel://{USER}:{PASSWORD}@localhost:{watcher_outer}/{MASTER}/0"
                f"?ssl_ca_certs={tmp_path}/ca.pem&sentinel_username=guard&sentinel_password=guarded"
            )
            async with connect(address, 5.0) as client:
                with anyio.fail_after(PATIENCE_S):
                    while True:
                        # The Sentinel may not have reached the master yet.
                        with suppress(RedisError):
                            await client.set("key", "value")
                            break
                of_loop = were_over_tls.count(True)
                assert of_loop
                twin = blocking_twin(client)
                assert await asyncio.to_thread(twin.get, "key") == b"value"
                assert were_over_tls.count(True) > of_loop
                twin.close()


async def test_as_many_commands_at_once_as_messages_may_be_in_work_are_no_outage(redis_url: str) -> None:
    async with connect(redis_url, 10.0) as client:
        # Each holds its connection for a moment.
        await asyncio.gather(*(client.blpop(["nothing"], 0.1) for _ in range(QueueSettings().concurrency)))


@pytest.mark.parametrize(
    ("policy", "is_refused"), [("noeviction", False), ("allkeys-lru", True), ("volatile-ttl", True)]
)
async def test_a_redis_that_would_drop_messages_is_refused(redis_url: str, policy: str, is_refused: bool) -> None:
    async with connect(redis_url, 5.0) as client:
        await client.config_set("maxmemory-policy", policy)
        try:
            if is_refused:
                with pytest.raises(ConfigError, match=f"maxmemory-policy {policy}"):
                    await require_durable(client)
            else:
                await require_durable(client)
        finally:
            await client.config_set("maxmemory-policy", "noeviction")


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://",
        "redis+sentinel://host:26379",
        "redis+sentinel://host:x/mymaster",
        "redis://host:x",
    ],
)
def test_a_malformed_address_is_one_line(url: str) -> None:
    with pytest.raises(ConfigError, match=r"\[redis\] url"):
        connect(url, 1.0)


@pytest.mark.parametrize(
    ("url", "key", "known"),
    [
        ("redis+sentinel://host/mymaster?ssl_ca_certs=ca.pem", "ssl_ca_certs", "sentinel_username, sentinel_password"),
        (
            "rediss+sentinel://host/mymaster?sentinel_user=a&ssl_ca_certs=ca.pem",
            "sentinel_user",
            "sentinel_username, sentinel_password, ssl_ca_certs",
        ),
        ("rediss+sentinel://host/mymaster?x", "x", "sentinel_username, sentinel_password, ssl_ca_certs"),
        ("redis://host/0?ssl_ca_certs=ca.pem", "ssl_ca_certs", "db, username, password"),
        ("rediss://host/0?ssl_ca_cert=ca.pem", "ssl_ca_cert", "db, username, password"),
        ("redis://host/0?timeout=5", "timeout", "db, username, password"),
    ],
)
def test_a_wrong_key_of_an_address_is_named_with_those_that_there_are(url: str, key: str, known: str) -> None:
    with pytest.raises(ConfigError) as caught:
        connect(url, 1.0)
    told = str(caught.value)
    assert f"{key!r} behind its question mark" in told
    assert f"an address with {url.partition(':')[0]}:// takes {known}" in told


def test_a_key_of_an_address_without_a_value_is_named() -> None:
    with pytest.raises(ConfigError, match="no value for its key ssl_ca_certs"):
        connect("rediss+sentinel://host/mymaster?ssl_ca_certs", 1.0)


def test_an_address_may_have_the_drivers_keys() -> None:
    twin = blocking_twin(connect("rediss://host/0?db=3&ssl_ca_certs=ca.pem&ssl_cert_reqs=none&socket_timeout=7", 1.0))
    assert twin.connection_pool.connection_kwargs.items() >= {"db": 3, "ssl_ca_certs": "ca.pem"}.items()
    twin.close()
