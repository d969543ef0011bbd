"""This module calls Lua scripts, which Redis runs as one step, by the names of their keys and arguments.

A script declares the names that it takes. The call gives a value for each name, and the Lua text finds the value in a
local variable of that name. So no caller and no script counts positions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.commands.core import AsyncScript
from redis.commands.core import Script as SyncScript

Value = str | bytes | int | float

_PRELUDE = """
local _key, _argument = 0, 0
local function _one_key() _key = _key + 1; return KEYS[_key] end
local function _one() _argument = _argument + 1; return ARGV[_argument] end
local function _many(of)
    local found = {}
    for i = 1, tonumber(_one()) do found[i] = of() end
    return found
end
"""

NOW_MS = """
local function now_ms()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end
"""
"""The times come from Redis, so that daemons whose clocks differ agree."""


class Script:
    """`keys` and `arguments` are names, separated by spaces. A name with a star, such as `ids*`, is a list.

    Arguments arrive in Lua as text, so numbers need a `tonumber`. All keys of one call begin with the name of the same
    stream.
    """

    def __init__(self, text: str, *, keys: str, arguments: str = "") -> None:
        self._keys = _names(keys)
        self._arguments = _names(arguments)
        lines = [_PRELUDE]
        for names, one in ((self._keys, "_one_key"), (self._arguments, "_one")):
            for name, is_list in names:
                lines.append(f"local {name} = {f'_many({one})' if is_list else f'{one}()'}")
        self._text = "\n".join(lines) + text
        # Any client may load the script, because the server knows it by the hash of its text.
        self._async: AsyncScript | None = None
        self._sync: SyncScript | None = None

    async def run(self, redis: AsyncRedis, **given: Value | Sequence[Value]) -> Any:
        """Run the script and return its answer.

        This raises RedisError, and TypeError for a name that is missing or unknown.
        """
        if self._async is None:
            self._async = redis.register_script(self._text)
        keys, arguments = self._positions(given)
        return await self._async(keys=keys, args=arguments, client=redis)

    def run_now(self, redis: Redis, **given: Value | Sequence[Value]) -> Any:
        """Do the same as `run` with a blocking client, and return the answer."""
        if self._sync is None:
            self._sync = redis.register_script(self._text)
        keys, arguments = self._positions(given)
        return self._sync(keys=keys, args=arguments, client=redis)

    def _positions(self, given: dict[str, Value | Sequence[Value]]) -> tuple[list[Any], list[Any]]:
        expected = {name for name, _ in (*self._keys, *self._arguments)}
        if expected != given.keys():
            msg = f"the script takes {', '.join(sorted(expected))} and was given {', '.join(sorted(given))}"
            raise TypeError(msg)
        keys: list[Any] = []
        counts: list[Any] = []
        for name, is_list in self._keys:
            if is_list:
                counts.append(len(given[name]))  # type: ignore[arg-type]
                keys.extend(given[name])  # type: ignore[arg-type]
            else:
                keys.append(given[name])
        arguments: list[Any] = []
        for name, is_list in self._arguments:
            if is_list:
                arguments.append(len(given[name]))  # type: ignore[arg-type]
                arguments.extend(given[name])  # type: ignore[arg-type]
            else:
                arguments.append(given[name])
        return keys, counts + arguments


def _names(text: str) -> list[tuple[str, bool]]:
    found = [(name.rstrip("*"), name.endswith("*")) for name in text.split()]
    assert all(re.fullmatch("[a-z][a-z_]*", name) for name, _ in found)  # noqa: S101  # a slip of the programmer's
    return found
