"""What a request costs this process: by httpx, by httpx over our transport, and by the daemon's client.

`python -m benchmarks.requests [--requests 2000] [--at-once 8]`

Every way reads the same small documents of a made registry, many at once; it is the processor time of this process that
counts, and the registry is another one.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

import httpx

from benchmarks.harness import client_settings, print_header, print_table
from securechain_ingest.http.client import HttpClient
from securechain_ingest.http.transport import Transport
from tests.registry_server import Shape, generate, spawn

Get = Callable[[str], Awaitable[object]]
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.requests")
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--at-once", type=int, default=8)
    options = parser.parse_args()
    print_header("What a request costs", f"{options.requests} documents of PyPI, {options.at_once} at once, 20 ms each")
    shape = Shape(packages=200, seed=1, ecosystems=("pypi",))
    names = [package.registry_name for package in generate(shape).truth().values()]
    arguments = ("--packages", str(shape.packages), "--seed", "1", "--ecosystems", "pypi", "--latency-ms", "20")
    with spawn(*arguments) as registry:
        endpoints = registry.endpoints()
        urls = [f"{endpoints['pypi']}/simple/{name}/" for name in names]
        print_table(asyncio.run(every_way(endpoints, urls, options.requests, options.at_once)))


async def every_way(
    endpoints: dict[str, str], urls: Sequence[str], requests: int, at_once: int
) -> list[dict[str, object]]:
    """A row for each way. They take turns, and of each the least time counts."""
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    async with AsyncExitStack() as stack:
        own = Transport(httpx.create_ssl_context())
        ways: dict[str, Get] = {
            "httpx with its own pool": (await stack.enter_async_context(httpx.AsyncClient(limits=limits))).get,
            "httpx over our transport": (await stack.enter_async_context(httpx.AsyncClient(transport=own))).get,
            "the daemon's client, with limits, digests and counters": (
                await stack.enter_async_context(HttpClient(*client_settings(endpoints)))
            ).get,
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, get in ways.items():
                await ask(get, urls, at_once * 4, at_once)
                times[name].append(await ask(get, urls, requests, at_once))
    return [{"way": name, "ms of CPU a request": 1000 * min(each)} for name, each in times.items()]


async def ask(get: Get, urls: Sequence[str], requests: int, at_once: int) -> float:
    """The processor seconds of one request on average."""
    left = iter(range(requests))

    async def one_after_the_other() -> None:
        for number in left:
            await get(urls[number % len(urls)])

    started_at = time.process_time()
    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    return (time.process_time() - started_at) / requests


if __name__ == "__main__":
    main()
