"""This measures what lanes are worth, and what they cost.

`python -m benchmarks.lanes [--packages 150] [--waiting 1000000] [--known 20000] [--only PART …]`

Made registries (13 versions a package in the median, lognormal; 20 ms a response), the embedded graph server,
everything on one machine. The parts:

- `beside`: a registry at 2 requests a second beside one without a limit: the pace of the latter, alone and beside the
  other;
- `on-demand`: how long somebody waits while `listed` holds very many messages of the same ecosystem, and while another
  ecosystem is paused besides;
- `known`: messages a second for packages that the graph lacks, and that it knows;
- `commands`: commands to Redis by name, a second without messages, a new package, and a message for a known one; a
  script is one command;
- `memory`: the daemon's resident memory while a tenth of them and all of them wait in a paused lane;
- `structures`: Redis's memory for an entry of each structure of the queue;
- `daemons`: one daemon and two on registries of 250 ms a response, four times as many packages of npm and of RubyGems,
  on a real Neo4j, since the embedded server lets no two writers work at once; the first half while it is cold;
- `rate`: requests a second of three daemons against the rate.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import redis

from benchmarks import overtaking
from benchmarks.counting_relays import RedisCounter, relaying
from benchmarks.harness import STREAM, arcadedb, neo4j, other_stores, print_header, print_table, work_dir
from benchmarks.queue_memory import structures
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from tests.end_to_end.daemon_process import DaemonProcess, daemon
from tests.forked_product import SCRIPT
from tests.queue_contents import messages_waiting
from tests.registry_server import Server, Shape, World, generate, serve
from tests.registry_server.declarations import ExpectedPackage
from tests.stores import GraphTarget
from tests.waiting import block_until

LATENCY_S = 0.02
SLOW_LATENCY_S = 0.25
STARTED_S, IDLE_S = 20, 20
"""A daemon that has just started looks for more than one that has nothing to do."""
ASKED = 20
"""These are packages that somebody waits for, one after the other."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lanes")
    parser.add_argument("--packages", type=int, default=150, help="of each ecosystem")
    parser.add_argument("--waiting", type=int, default=1_000_000, help="messages in a lane")
    parser.add_argument("--known", type=int, default=20_000, help="messages for packages that the graph knows")
    parser.add_argument("--only", nargs="+", metavar="PART", help="instead of all parts")
    options = parser.parse_args()
    waiting = options.waiting
    parts: Mapping[str, Callable[[], list[dict[str, object]]]] = {
        "beside": lambda: beside_a_slow_registry(options.packages),
        "on-demand": lambda: on_demand(waiting),
        "known": lambda: known_packages(options.packages, options.known),
        "commands": lambda: commands(options.packages, options.known),
        "memory": lambda: [waiting_messages(waiting // 10), waiting_messages(waiting)],
        "structures": lambda: structures(waiting // 10),
        "daemons": lambda: several_daemons(options.packages),
        "rate": lambda: [shared_rate()],
    }
    print_header("Lanes", f"{options.packages} packages of each ecosystem, 13 versions in the median, 20 ms a response")
    for part in options.only or parts:
        began_at = time.perf_counter()
        rows = parts[part]()
        print(f"{part} (took {time.perf_counter() - began_at:.0f} s)")
        print_table(rows)


def beside_a_slow_registry(count: int) -> list[dict[str, object]]:
    """Return rows: npm alone, and with as many Maven packages between, whose registry takes 2 requests a second."""
    rows: list[dict[str, object]] = []
    for ecosystems in (("npm",), ("npm", "maven")):
        world = generate(Shape(packages=count, seed=1, median_versions=13, odd_share=0.0, ecosystems=ecosystems))
        with LanesBench(world, {"SECURECHAIN_RATES__MAVEN_CENTRAL": "2"}) as bench, bench.daemon() as process:
            packages = sorted(world.truth().values(), key=lambda package: package.registry_name)
            npm = {package.purl for package in packages if package.ecosystem == "npm"}
            began_at = time.perf_counter()
            bench.submit(packages)
            block_until(partial(_has_stored, process, npm), "all npm packages", 600)
            elapsed_s = time.perf_counter() - began_at
        rows.append({"npm beside": " and ".join(ecosystems[1:]) or "nothing", "packages/s": count / elapsed_s})
    rows[1]["share"] = float(str(rows[1]["packages/s"])) / float(str(rows[0]["packages/s"]))
    rows[0]["share"] = 1.0
    return rows


def on_demand(waiting: int) -> list[dict[str, object]]:
    return [
        overtaking.measure("nothing else", overtaking.LANE, 1000, ASKED),
        overtaking.measure("listed", overtaking.LANE, waiting, ASKED),
        overtaking.measure("listed, Maven paused", overtaking.LANE, waiting, ASKED, paused=waiting // 10),
    ]


def known_packages(count: int, messages: int) -> list[dict[str, object]]:
    """Return rows: packages that the graph lacks, then the same again and again."""
    world = generate(Shape(packages=count, seed=1, median_versions=13, odd_share=0.0, ecosystems=("npm",)))
    packages = list(world.truth().values())
    rows: list[dict[str, object]] = []
    with LanesBench(world) as bench, bench.daemon():
        for kind, number in (("new", count), ("known", messages)):
            began_at = time.perf_counter()
            bench.submit(packages[each % count] for each in range(number))
            bench.wait_until_settled()
            rows.append({"packages": kind, "messages": number, "messages/s": number / (time.perf_counter() - began_at)})
    return rows


def commands(count: int, messages: int) -> list[dict[str, object]]:
    """Return what a relay before Redis counts. What an idle daemon asks is also part of what a message costs."""
    world = generate(Shape(packages=count, seed=1, median_versions=13, odd_share=0.0, ecosystems=("npm",)))
    packages = list(world.truth().values())
    with (
        LanesBench(world) as bench,
        relaying(RedisCounter(bench.environment["REDIS_URL"])) as counter,
        bench.daemon(variables={"REDIS_URL": counter.uri}),
    ):
        time.sleep(STARTED_S)
        counter.messages.clear()
        time.sleep(IDLE_S)
        counted = {"idle, a second": _each(counter, IDLE_S)}
        for kind, number in (("new, a package", count), ("known, a message", messages)):
            bench.submit(packages[each % count] for each in range(number))
            bench.wait_until_settled()
            counted[kind] = _each(counter, number)
    names = sorted(
        {name for each in counted.values() for name in each} - {"all"},
        key=lambda name: -counted["new, a package"][name],
    )
    return [
        {"command": name, **{kind: f"{each[name]:.3f}" for kind, each in counted.items()}} for name in ["all", *names]
    ]


def _each(counter: RedisCounter, share: float) -> Counter[str]:
    """Return what was counted, divided by `share`; the counter begins anew."""
    found: Counter[str] = Counter({name: count / share for name, count in counter.messages.items()})
    counter.messages.clear()
    found["all"] = sum(found.values())
    return found


def waiting_messages(count: int) -> dict[str, object]:
    """Measure a paused ecosystem whose lane `listed` is full, and the memory of the daemon that looks at it."""
    keys = Keys(STREAM)
    lane, waiting = keys.lane("npm", Lane.LISTED), keys.waiting("npm")
    with LanesBench(World(), {"SECURECHAIN_QUEUE__LANE_MAX_LENGTH": str(count)}) as bench:
        bench.redis.hset(keys.pauses, "npm", "now")
        with bench.redis.pipeline(transaction=False) as pipeline:
            for number in range(1, count + 1):
                name = f"package-{number}"
                message = {"node_type": "NPMPackage", "package": name, "refresh": False, "internal": True}
                fields: Mapping[Any, Any] = {"data": json.dumps(message), "mark": name, "run": "20260101T000000-abc"}
                pipeline.xadd(lane, fields)
                pipeline.hset(waiting, name, "listed:1767225600000-0")
                if number % 10_000 == 0:
                    pipeline.execute()
            pipeline.execute()
        with bench.daemon() as process:
            time.sleep(10)  # Several rounds of everything that the daemon does now and then.
            resident = psutil.Process(process.process.pid).memory_info().rss
            used: Any = bench.redis.info("memory")
            return {"waiting": count, "daemon MB": resident / 1e6, "Redis MB": used["used_memory"] / 1e6}


def several_daemons(count: int) -> list[dict[str, object]]:
    """Return four times `count` packages of each ecosystem, so that the beginning and the end of a half weigh
    little.
    """
    rows: list[dict[str, object]] = []
    for daemons in (1, 2):
        shape = Shape(packages=4 * count, seed=1, median_versions=13, odd_share=0.0, ecosystems=("npm", "rubygems"))
        world = generate(shape)
        with LanesBench(world, latency_s=SLOW_LATENCY_S, graph=neo4j) as bench, ExitStack() as running:
            for number in range(daemons):
                running.enter_context(bench.daemon(number))
            packages = sorted(world.truth().values(), key=lambda package: package.registry_name)
            for each, half in (("cold", packages[::2]), ("then", packages[1::2])):
                began_at, cpu_before = time.perf_counter(), _cpu_seconds()
                bench.submit(half)
                bench.wait_until_settled()
                elapsed_s = time.perf_counter() - began_at
                used = {name: seconds - cpu_before[name] for name, seconds in _cpu_seconds().items()}
                pace = len(half) / elapsed_s
                rows.append({"half": each, "daemons": daemons, "packages/s": pace, "ratio": 1.0, "seconds": elapsed_s})
                # Two cores have two seconds of processor time a second.
                rows[-1] |= {f"CPU s: {name}": seconds for name, seconds in used.items()}
    for alone, together in zip(rows[:2], rows[2:], strict=True):
        together["ratio"] = float(str(together["packages/s"])) / float(str(alone["packages/s"]))
    return rows


def _cpu_seconds() -> dict[str, float]:
    """Return the processor time that everything of this measurement has taken so far."""
    found = dict.fromkeys(("graph server", "daemons and their parsers", "Redis", "advisories", "registries"), 0.0)
    here = psutil.Process()
    for process in [here, *here.children(recursive=True)]:
        try:
            name, times, line = process.name(), process.cpu_times(), " ".join(process.cmdline())
        except psutil.Error:
            continue
        if process == here:
            owner = "registries"
        elif name == "java":
            owner = "graph server"
        elif "redis" in name:
            owner = "Redis"
        else:
            owner = "advisories" if "secantus" in line else "daemons and their parsers"
        found[owner] += times.user + times.system
    return found


def shared_rate(rate: int = 15, seconds: int = 20) -> dict[str, object]:
    """Return what three daemons ask of one registry in any ten seconds."""
    world = generate(Shape(packages=rate * seconds, seed=1, median_versions=3, odd_share=0.0, ecosystems=("npm",)))
    with (
        LanesBench(world, {"SECURECHAIN_RATES__NPM_REGISTRY": str(rate)}) as bench,
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
    return {"daemons": 3, "rate": rate, "most requests in 10 s": most, "allowed": 10 * rate + 3 * max(1, rate // 2)}


def _has_stored(process: DaemonProcess, packages: set[str]) -> bool:
    return packages <= {event["package"] for event in process.events("package_stored")}


class LanesBench:
    """This holds the stores, made registries and daemons of one measurement; it is a context manager."""

    def __init__(
        self,
        world: World,
        variables: Mapping[str, str] | None = None,
        *,
        latency_s: float = LATENCY_S,
        graph: Callable[[Path], AbstractContextManager[GraphTarget]] = arcadedb,
    ) -> None:
        self._graph = graph
        self._world = world
        self._variables = dict(variables or {})
        self._latency_s = latency_s
        self._stack = ExitStack()

    def __enter__(self) -> LanesBench:
        self._folder: Path = self._stack.enter_context(work_dir())
        self.server: Server = self._stack.enter_context(serve(self._world, latency_s=self._latency_s))
        graph = self._stack.enter_context(self._graph(self._folder / "graph"))
        stores = self._stack.enter_context(other_stores(self._folder, graph))
        self.redis = self._stack.enter_context(redis.Redis.from_url(stores["REDIS_URL"], decode_responses=True))
        self.environment = {**stores, **self.server.environment(), **self._variables}
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def daemon(
        self, number: int = 0, variables: Mapping[str, str] | None = None
    ) -> AbstractContextManager[DaemonProcess]:
        own = {"SECURECHAIN_STATE_DIR": str(self._folder / f"state-{number}")}
        return daemon(self.environment | own | dict(variables or {}), command=(SCRIPT,))

    def submit(self, packages: Iterable[ExpectedPackage]) -> None:
        with self.redis.pipeline(transaction=False) as pipeline:
            for package in packages:
                message = {"node_type": package.label, "package": package.registry_name}
                pipeline.xadd(STREAM, {"data": json.dumps(message)})
            pipeline.execute()

    def wait_until_settled(self) -> None:
        block_until(lambda: not messages_waiting(self.redis, STREAM), "an empty queue", 900)


if __name__ == "__main__":
    main()
