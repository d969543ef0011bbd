"""This module runs several requests of one package at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

Item = TypeVar("Item")


async def for_each(
    items: Collection[Item], work: Callable[[Item], Awaitable[object]], *, at_once: int, name: str
) -> None:
    """`work` is done on every item, on `at_once` of them at a time. The first failure ends them all and is raised
    alone."""
    waiting = iter(items)

    async def run() -> None:
        for item in waiting:
            await work(item)

    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(min(at_once, len(items))):
                tasks.create_task(run(), name=f"{name}-{number}")
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
