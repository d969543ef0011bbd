"""What lanes are worth, and what they cost.

`python -m benchmarks.lanes [--packages 150] [--waiting 100000] [--known 20000]`

Made registries (13 versions a package in the median, lognormal; 20 ms a response), the embedded graph server,
everything on one machine:

- a registry at 2 requests a second beside one without a limit: the pace of the latter, alone and beside the other;
- messages for packages that the graph knows, and Redis commands a message;
- the daemon's resident memory and Redis's while very many messages wait in a paused lane;
- one daemon and two on registries of 250 ms a response;
- requests a second of three daemons against the rate.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import redis

from benchmarks.harness import STREAM, arcadedb, other_stores, print_header, print_table, work_dir
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from tests.end_to_end.daemon_process import DaemonProcess, daemon, until
from tests.queue_contents import messages_waiting
from tests.registry_server import Server, Shape, World, generate, serve
from tests.registry_server.declarations import ExpectedPackage

LATENCY_S = 0.02
SLOW_LATENCY_S = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lanes")
    parser.add_argument("--packages", type=int, default=150, help="of each ecosystem")
    parser.add_argument("--waiting", type=int, default=100_000, help="messages in a paused lane")
    parser.add_argument("--known", type=int, default=20_000, help="messages for packages that the graph knows")
    options = parser.parse_args()
    print_header("Lanes", f"{options.packages} packages of each ecosystem, 13 versions in the median, 20 ms a response")
    print_table(beside_a_slow_registry(options.packages))
    print_table([known_packages(options.packages, options.known)])
    print_table([waiting_messages(options.waiting // 10), waiting_messages(options.waiting)])
    print_table(several_daemons(options.packages))
    print_table([shared_rate()])


def beside_a_slow_registry(count: int) -> list[dict[str, object]]:
    """Rows: npm alone, and with as many Maven packages between, whose registry takes 2 requests a second."""
    rows: list[dict[str, object]] = []
    for ecosystems in (("npm",), ("npm", "maven")):
        world = generate(Shape(packages=count, seed=1, median_versions=13, odd_share=0.0, ecosystems=ecosystems))
        with Bench(world, {"SECURECHAIN_RATES__MAVEN_CENTRAL": "2"}) as bench, bench.daemon() as process:
            packages = sorted(world.truth().values(), key=lambda package: package.registry_name)
            npm = {package.purl for package in packages if package.ecosystem == "npm"}
            began_at = time.perf_counter()
            bench.submit(packages)
            until(partial(_has_stored, process, npm), "all npm packages", 600)
            elapsed_s = time.perf_counter() - began_at
        rows.append({"npm beside": " and ".join(ecosystems[1:]) or "nothing", "packages/s": count / elapsed_s})
    rows[1]["share"] = float(str(rows[1]["packages/s"])) / float(str(rows[0]["packages/s"]))
    rows[0]["share"] = 1.0
    return rows


def known_packages(count: int, messages: int) -> dict[str, object]:
    world = generate(Shape(packages=count, seed=1, median_versions=13, odd_share=0.0, ecosystems=("npm",)))
    packages = list(world.truth().values())
    with Bench(world) as bench, bench.daemon():
        bench.submit(packages)
        bench.wait_until_settled()
        before = bench.commands()
        began_at = time.perf_counter()
        bench.submit(packages[number % len(packages)] for number in range(messages))
        bench.wait_until_settled()
        elapsed_s = time.perf_counter() - began_at
        commands = bench.commands() - before - messages
    return {"known packages/s": messages / elapsed_s, "messages": messages, "commands/message": commands / messages}


def waiting_messages(count: int) -> dict[str, object]:
    """A paused ecosystem whose lane `listed` is full; memory of the daemon that looks at it, and of each structure."""
    keys = Keys(STREAM)
    lane, waiting = keys.lane("npm", Lane.LISTED), keys.waiting("npm")
    with Bench(World(), {"SECURECHAIN_QUEUE__LANE_MAX_LENGTH": "10000000"}) as bench, bench.daemon() as process:
        bench.redis.hset(keys.pauses, "npm", "now")
        with bench.redis.pipeline(transaction=False) as pipeline:
            for number in range(count):
                name = f"package-{number}"
                message = {"node_type": "NPMPackage", "package": name, "refresh": False, "internal": True}
                fields: Mapping[Any, Any] = {"data": json.dumps(message), "mark": name, "run": "20260101T000000-abc"}
                pipeline.xadd(lane, fields)
                pipeline.hset(waiting, name, "listed:1767225600000-0")
                if number % 10_000 == 9_999:
                    pipeline.execute()
            pipeline.execute()
        time.sleep(5)
        return {
            "waiting": count,
            "daemon MB": psutil.Process(process.process.pid).memory_info().rss / 1e6,
            "lane bytes/message": int(str(bench.redis.memory_usage(lane))) / count,
            "marks bytes/message": int(str(bench.redis.memory_usage(waiting))) / count,
        }


def several_daemons(count: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for daemons in (1, 2):
        shape = Shape(packages=2 * count, seed=1, median_versions=13, odd_share=0.0, ecosystems=("npm", "rubygems"))
        world = generate(shape)
        with Bench(world, latency_s=SLOW_LATENCY_S) as bench, ExitStack() as running:
            for number in range(daemons):
                running.enter_context(bench.daemon(number))
            packages = list(world.truth().values())
            began_at = time.perf_counter()
            bench.submit(packages)
            bench.wait_until_settled()
            rows.append({"daemons": daemons, "packages/s": len(packages) / (time.perf_counter() - began_at)})
    rows[1]["ratio"] = float(str(rows[1]["packages/s"])) / float(str(rows[0]["packages/s"]))
    rows[0]["ratio"] = 1.0
    return rows


def shared_rate(rate: int = 15, seconds: int = 20) -> dict[str, object]:
    """What three daemons ask of one registry in any ten seconds."""
    world = generate(Shape(packages=rate * seconds, seed=1, median_versions=3, odd_share=0.0, ecosystems=("npm",)))
    with (
        Bench(world, {"SECURECHAIN_RATES__NPM_REGISTRY": str(rate)}) as bench,
        bench.daemon(0),
        bench.daemon(1),
        bench.daemon(2),
    ):
        bench.submit(world.truth().values())
        seen: list[int] = []
        for _ in range(seconds):
            seen.append(len(bench.server.requests))
            time.sleep(1)
    most = max(later - earlier for earlier, later in zip(seen, seen[10:], strict=False))
    return {"daemons": 3, "rate": rate, "most requests in 10 s": most, "allowed": 10 * rate + 3 * rate // 2}


def _has_stored(process: DaemonProcess, packages: set[str]) -> bool:
    return packages <= {event["package"] for event in process.events("package_stored")}


class Bench:
    """Stores, made registries and daemons of one measurement; a context manager."""

    def __init__(
        self, world: World, variables: Mapping[str, str] | None = None, *, latency_s: float = LATENCY_S
    ) -> None:
        self._world = world
        self._variables = dict(variables or {})
        self._latency_s = latency_s
        self._stack = ExitStack()

    def __enter__(self) -> Bench:
        self._folder: Path = self._stack.enter_context(work_dir())
        self.server: Server = self._stack.enter_context(serve(self._world, latency_s=self._latency_s))
        graph = self._stack.enter_context(arcadedb(self._folder / "graph"))
        stores = self._stack.enter_context(other_stores(self._folder, graph))
        self.redis = self._stack.enter_context(redis.Redis.from_url(stores["REDIS_URL"], decode_responses=True))
        self._environment = {**stores, **self.server.environment(), **self._variables}
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def daemon(self, number: int = 0) -> Any:
        return daemon(self._environment | {"SECURECHAIN_STATE_DIR": str(self._folder / f"state-{number}")})

    def submit(self, packages: Iterable[ExpectedPackage]) -> None:
        with self.redis.pipeline(transaction=False) as pipeline:
            for package in packages:
                message = {"node_type": package.label, "package": package.registry_name}
                pipeline.xadd(STREAM, {"data": json.dumps(message)})
            pipeline.execute()

    def wait_until_settled(self) -> None:
        until(lambda: not messages_waiting(self.redis, STREAM), "an empty queue", 900)

    def commands(self) -> int:
        """Commands that Redis has been given, but for those that ask how many there are left."""
        stats: Any = self.redis.info("commandstats")
        counted = ("evalsha", "xreadgroup", "xadd")
        return sum(int(each["calls"]) for name, each in stats.items() if name.endswith(counted))


if __name__ == "__main__":
    main()
