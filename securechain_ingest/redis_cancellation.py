"""A cancelled command ends, wherever it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import TimeoutError as RedisTimeoutError


def obey_cancellation(client: Redis) -> None:
    """To be called before the first command; once Python 3.12 is the oldest that is supported, to be deleted.

    The driver bounds the sending of a command by `asyncio.wait_for`, which until 3.12 loses a cancellation that meets
    the end of what it waits for: a Ctrl-C at that moment would go unheard.
    """
    pool = client.connection_pool
    pool.connection_class = _obedient(pool.connection_class)


def _obedient(base: type[AbstractConnection]) -> type[AbstractConnection]:
    class Connection(base):  # type: ignore[misc, valid-type]  # a base known at run time
        socket_timeout: float | None

        async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
            limit_s = self.socket_timeout
            self.socket_timeout = None  # Then the driver does not use `wait_for`.
            try:
                async with asyncio.timeout(limit_s):
                    await super().send_packed_command(command, check_health)
            except TimeoutError:
                raise RedisTimeoutError("Timeout writing to socket") from None
            finally:
                self.socket_timeout = limit_s

    return Connection
