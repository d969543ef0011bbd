"""This measures the page: how long the overview takes with a big graph, what a look asks of Redis, and what the page
costs while nobody looks.

`python -m benchmarks.page [--packages 1000000] [--server neo4j|arcadedb]`

The page is served in this process, as a daemon does, and asked over HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.harness import arcadedb, neo4j, other_stores, print_header, print_table, work_dir
from securechain_ingest.configuration import load
from securechain_ingest.graph.view import _ALL_VERSIONS, _PACKAGES, _VERSIONS_OF
from securechain_ingest.metrics import REQUESTS
from securechain_ingest.progress import Progress
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import LANES
from securechain_ingest.registries import ECOSYSTEMS
from securechain_ingest.store_addresses import configured
from securechain_ingest.stores import Stores, connect
from securechain_ingest.web.activity import HOURS, MINUTES, WRITE_EVERY_S, ActivityMeter, activity_of
from securechain_ingest.web.app import Website, build_app
from securechain_ingest.web.parts import Parts
from securechain_ingest.web.server import listen, serve

LOOKS, IDLE_S, FILLED_AT_ONCE = 30, 20.0, 20_000
TOKEN = "a-token-of-the-benchmark"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page")
    parser.add_argument("--packages", type=int, default=1_000_000)
    parser.add_argument("--server", choices=("neo4j", "arcadedb"), default="neo4j")
    options = parser.parse_args()
    servers = {"neo4j": neo4j, "arcadedb": arcadedb}
    with (
        work_dir() as folder,
        servers[options.server](Path(folder) / "graph") as target,
        other_stores(Path(folder), target) as environment,
    ):
        asyncio.run(measure({**environment, "SECURECHAIN_STATE_DIR": str(folder)}, options.packages, options.server))


async def measure(environment: Mapping[str, str], packages: int, server: str) -> None:
    settings = load(environment=environment)
    async with connect(configured(settings), settings) as stores:
        # Without an index filling is several times as fast.
        await fill_graph(stores, packages)
        await stores.graph.ensure_schema(ECOSYSTEMS)
        await stores.advisories.ensure_indexes()
        await fill_queue(stores, settings.queue.stream)
        app = build_app(Parts(stores, settings, Progress(lambda: 60.0), TOKEN))
        listener = listen("127.0.0.1", 0)
        assert listener is not None
        idle_without = await idle_share()
        serving = asyncio.create_task(serve(app, listener))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=60) as client:
            await client.get("/healthz")
            print_header("The preparation", "once, beside the start of a daemon")
            print_table([await preparation(app)])
            print_header("The overview", f"{packages:,} packages in {server}")
            print_table([await looks(client, stores)])
            print_header("While nobody looks", f"percentages of one processor over {IDLE_S:g} s")
            print_table(
                [{"without the page %": idle_without, "with it %": await idle_share(), **await metering(stores)}]
            )
        serving.cancel()
        await asyncio.wait([serving])
        await app.close()
        if server == "neo4j":
            print_header("What Neo4j does for it", "operators of each plan")
            print_table([{"statement": each, "operators": await operators(stores, each)} for each in STATEMENTS])


STATEMENTS = (
    _ALL_VERSIONS,
    _PACKAGES.replace("PACKAGE", ECOSYSTEMS[1].label),
    _VERSIONS_OF.replace("PACKAGE", ECOSYSTEMS[1].label),
)


async def fill_graph(stores: Stores, packages: int) -> None:
    """Put in packages with a version each."""
    for first in range(0, packages, FILLED_AT_ONCE):
        await stores.graph.reader._connection.change(
            f"UNWIND range($first, $last) AS number"
            f" CREATE (:{ECOSYSTEMS[1].label} {{name: 'existing-' + number, purl: 'pkg:made/existing-' + number,"
            f" import_names: []}})-[:HAVE]->(:Version {{name: '1', purl: 'pkg:made/existing-' + number + '@1'}})",
            {"first": first, "last": min(first + FILLED_AT_ONCE, packages) - 1},
        )


async def fill_queue(stores: Stores, stream: str) -> None:
    """Put in lanes with messages, and plots that are full."""
    keys = Keys(stream)
    sources = list(await activity_of(stores.redis, stream))
    fields = {f"{each}:{word}": 12_345 for each in sources for word in ("requests", "limited", "failed", "packages")}
    seconds, _ = await stores.redis.time()
    async with stores.redis.pipeline(transaction=False) as pipeline:
        for ecosystem in ECOSYSTEMS:
            for lane in LANES:
                for number in range(50):
                    pipeline.xadd(keys.lane(ecosystem.name, lane), {"data": f"{{{number}}}"})
        for number in range(MINUTES):
            pipeline.hset(keys.activity("minute", seconds // 60 - number), mapping=fields)  # type: ignore[arg-type]
        for number in range(HOURS):
            pipeline.hset(keys.activity("hour", seconds // 3600 - number), mapping=fields)  # type: ignore[arg-type]
        await pipeline.execute()


async def preparation(app: Website) -> dict[str, object]:
    """Measure what a daemon does when its page starts, so that the first look is quick."""
    started, before = time.perf_counter(), time.process_time()
    await app.prepare()
    return {"ms": 1000 * (time.perf_counter() - started), "processor ms": 1000 * (time.process_time() - before)}


async def looks(client: httpx.AsyncClient, stores: Stores) -> dict[str, object]:
    """Measure the first look, and later ones as far apart as a browser's live figures."""
    processor_s = time.process_time()
    first_s = await look(client)
    processor_s = time.process_time() - processor_s
    took_s = []
    before = await calls(stores)
    for _ in range(LOOKS):
        await asyncio.sleep(0.5)
        took_s.append(await look(client))
    asked = await calls(stores) - before
    size = [await stores.redis.memory_usage(name) or 0 async for name in stores.redis.scan_iter("*-activity:*")]
    return {
        "first ms": 1000 * first_s,
        "its processor ms": 1000 * processor_s,
        "median ms": 1000 * median(took_s),
        "longest ms": 1000 * max(took_s),
        "commands to Redis a look": asked / LOOKS,
        "bytes of the plots": sum(size),
    }


async def look(client: httpx.AsyncClient) -> float:
    started = time.perf_counter()
    answer = await client.get("/")
    took_s = time.perf_counter() - started
    assert answer.status_code == 200
    return took_s


async def calls(stores: Stores) -> int:
    """Return how many commands Redis has had."""
    stats: Any = await stores.redis.info("commandstats")
    return sum(each["calls"] for each in stats.values())


async def idle_share() -> float:
    """Return the percentage of a processor that this process takes while it waits."""
    before = time.process_time()
    await asyncio.sleep(IDLE_S)
    return 100 * (time.process_time() - before) / IDLE_S


async def metering(stores: Stores) -> dict[str, object]:
    """Return what it costs to note what was done."""
    meter = ActivityMeter(stores.redis, "benchmark")
    before, times = time.process_time(), 100
    for _ in range(times):
        for ecosystem in ECOSYSTEMS:
            REQUESTS.labels(ecosystem.endpoint, "200").inc()
        await meter.write()
    cost_s = (time.process_time() - before) / times
    return {"a note ms": 1000 * cost_s, "notes %": 100 * cost_s / WRITE_EVERY_S}


async def operators(stores: Stores, statement: str) -> str:
    driver = stores.graph.reader._connection._driver
    async with driver.session() as session:
        plan: Any = (await (await session.run(f"EXPLAIN {statement}")).consume()).plan
    found = []
    while plan:
        found.append(plan["operatorType"].partition("@")[0])
        plan = next(iter(plan.get("children", ())), None)
    return ", ".join(found)


if __name__ == "__main__":
    main()
