"""How late the event loop is while the process pool parses at full load; the goal is a 99th percentile below 20 ms.

`python -m benchmarks.event_loop_lag [--seconds 10]`. The load: npm packuments of 1,000 versions with 10 requirements
each (some 2 MB), always 8 on their way, with the daemon's own settings of the interpreter.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import orjson

from benchmarks.harness import print_header, print_table
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.daemon import favour_the_event_loop
from securechain_ingest.registries.npm.names import identify
from securechain_ingest.registries.npm.packument import parse_packument
from securechain_ingest.settings import ArchiveSettings

AT_ONCE = 8
TICK_S = 0.002


def made_packument(versions: int, requirements: int) -> bytes:
    manifests = {
        f"{number}.0.0": {
            "name": "made",
            "version": f"{number}.0.0",
            "dependencies": {f"dependency-{each}": f"^{each}.{number}.0" for each in range(requirements)},
            "dist": {"tarball": f"https://registry.example/made-{number}.tgz", "integrity": "sha512-" + "x" * 88},
            "description": "A made package. " * 60,
        }
        for number in range(versions)
    }
    return orjson.dumps({"name": "made", "dist-tags": {"latest": f"{versions - 1}.0.0"}, "versions": manifests})


async def lags(load: Coroutine[Any, Any, int]) -> tuple[list[float], int]:
    """How much later than asked each tick came, in milliseconds, while `load` runs; and what `load` returns."""
    late: list[float] = []
    task = asyncio.create_task(load)
    while not task.done():
        asked = time.perf_counter() + TICK_S
        await asyncio.sleep(TICK_S)
        late.append((time.perf_counter() - asked) * 1000)
    return sorted(late), task.result()


async def parse_for(pool: ParserPool, body: bytes, seconds: float) -> int:
    """How many packuments were parsed."""
    ends_at = time.perf_counter() + seconds
    ref, parsed = identify("made"), 0

    async def worker() -> None:
        nonlocal parsed
        while time.perf_counter() < ends_at:
            await pool.parse_document(parse_packument, body, ref, "http://made")
            parsed += 1

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return parsed


async def idle(seconds: float) -> int:
    await asyncio.sleep(seconds)
    return 0


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.event_loop_lag")
    parser.add_argument("--seconds", type=float, default=10.0)
    seconds = parser.parse_args().seconds
    body = made_packument(1000, 10)
    given = f"packuments of {len(body) / 1e6:.1f} MB, {AT_ONCE} on their way"
    print_header("Event-loop lag while the pool parses", given)
    favour_the_event_loop()
    rows: list[dict[str, object]] = []
    async with ParserPool(ArchiveSettings(), preload=("securechain_ingest.registries",)) as pool:
        for name, load in (("idle", idle(seconds / 4)), ("parsing", parse_for(pool, body, seconds))):
            late, parsed = await lags(load)
            rows.append(
                {
                    "load": name,
                    "packuments/s": parsed / seconds,
                    "p50 ms": late[len(late) // 2],
                    "p99 ms": late[len(late) * 99 // 100],
                    "max ms": late[-1],
                }
            )
    print_table(rows)


if __name__ == "__main__":
    asyncio.run(main())
