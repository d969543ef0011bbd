"""This module makes a cancelled Redis command end wherever it stands, which needs help on Python 3.11. It can be
deleted when Python 3.11 is no longer supported."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import TimeoutError as RedisTimeoutError


def cancellable(base: type[AbstractConnection]) -> type[AbstractConnection]:
    """Return the class of connections to give the driver in place of `base`.

    The driver limits the sending of a command by `asyncio.wait_for`. Until Python 3.12 that loses a cancellation that
    comes just when the sending ends, so a Ctrl-C at that moment would have no effect.
    """
    if sys.version_info >= (3, 12):
        return base

    class CancellableConnection(base):  # type: ignore[misc, valid-type]  # a base known at run time
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

    return CancellableConnection
