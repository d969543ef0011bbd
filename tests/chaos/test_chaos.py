"""Three daemons work while everything around them fails at random: at the end every message is in the graph.

CI runs a short form; `make chaos` (or `pytest -m chaos --chaos-messages N --chaos-minutes M --chaos-seed S`) a long
one. A seed repeats the choices, not their moments.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from neo4j import GraphDatabase
from neo4j.exceptions import DriverError, Neo4jError

from securechain_ingest.embedded.stores import EmbeddedStores, embedded_stores
from securechain_ingest.errors import StoreError
from securechain_ingest.queue.keys import Keys
from securechain_ingest.settings import EmbeddedSettings
from tests.chaos.contents import left_over, whole_graph
from tests.end_to_end.conftest import STREAM, dead_letters, settled
from tests.end_to_end.cut_store import CutStore, cut_store
from tests.end_to_end.daemon_process import DaemonProcess, Event, daemon
from tests.end_to_end.graph_contents import PlainCypher, assert_graph_equals
from tests.queue_contents import left
from tests.registry_server import Fault, FaultKind, Server, Shape, World, generate, serve
from tests.registry_server.world import ENDPOINTS
from tests.schedules_off import SCHEDULES_OFF
from tests.stores import GraphTarget, empty_graph
from tests.waiting import PATIENCE_S, block_until

ANSWERS = (
    Fault("/*", FaultKind.STATUS, status=503),
    Fault("/*", FaultKind.STATUS, status=500),
    Fault("/*", FaultKind.STATUS, status=429, retry_after="1"),
    Fault("/*", FaultKind.STATUS, status=429),
    Fault("/*", FaultKind.DROP),
    Fault("/*", FaultKind.DROP, after_bytes=200),
)
SHORT_S = (0.05, 1.5)
"""This is how long what goes away stays away."""
FAULT_S = 3.0
"""A fault and what comes of it are given so much time where a run is to last for some minutes."""


class ChaosStores:
    """These are the three local servers, each behind what can be cut; a server that is killed comes back with its
    data.
    """

    def __init__(self, embedded: EmbeddedStores, cuts: dict[str, CutStore]) -> None:
        self._embedded = embedded
        self.cuts = cuts

    @property
    def names(self) -> list[str]:
        return sorted(self._embedded.pids)

    def kill(self, name: str) -> None:
        pid = self._embedded.pids[name]
        if pid is not None:
            # The server runs below a leash that ends with this process.
            with suppress(psutil.NoSuchProcess):
                for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
                    process.kill()

    def cut(self, name: str, chance: random.Random) -> None:
        self.cuts[name].cut()
        time.sleep(chance.uniform(*SHORT_S))
        self.cuts[name].mend()

    def slow_down(self, name: str, chance: random.Random) -> None:
        self.cuts[name].slow_down(chance.uniform(0.01, 0.3))
        time.sleep(chance.uniform(*SHORT_S))
        self.cuts[name].slow_down(0)


async def keep_alive(embedded: EmbeddedStores) -> None:
    """Restart servers however often they die: here that is no sign that one is broken."""
    while True:
        with suppress(StoreError):
            await embedded.watch()


@contextmanager
def running_stores(folder: Path) -> Iterator[tuple[ChaosStores, dict[str, str], GraphTarget]]:
    """Yield the stores, the variables that lead a daemon to them, and where the graph is without a cut."""
    folder.mkdir()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="stores", daemon=True)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    needed = frozenset({"redis", "graph", "vulnerabilities"})
    context = embedded_stores(folder, EmbeddedSettings(start_timeout_s=PATIENCE_S), needed=needed)
    embedded = run(context.__aenter__())
    watch = asyncio.run_coroutine_threadsafe(keep_alive(embedded), loop)
    addresses = embedded.addresses
    _answer_only_what_is_on_disk(addresses.redis_url)
    try:
        with ExitStack() as stack:
            cuts = {
                name: stack.enter_context(cut_store(url))
                for name, url in (
                    ("redis", addresses.redis_url),
                    ("graph", addresses.graph_uri),
                    ("advisories", addresses.vulnerability_uri),
                )
            }
            variables = {
                "REDIS_URL": cuts["redis"].url,
                "GRAPH_DB_URI": cuts["graph"].url,
                "GRAPH_DB_USER": addresses.graph_user,
                "GRAPH_DB_PASSWORD": addresses.graph_password,
                "SECURECHAIN_GRAPH__DATABASE": addresses.graph_database,
                "VULN_DB_URI": cuts["advisories"].url,
            }
            target = GraphTarget(
                addresses.graph_uri,
                addresses.graph_user,
                addresses.graph_password,
                addresses.graph_database,
                "arcadedb",
            )
            yield ChaosStores(embedded, cuts), variables | {"plain": addresses.redis_url}, target
    finally:
        watch.cancel()
        run(context.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _answer_only_what_is_on_disk(url: str | None) -> None:
    """Let Redis write down what it answers. Otherwise it may hold it back for two seconds while the disk is busy, and a
    kill then loses submissions that had been acknowledged, which is no fault of the daemons (docs/redis.md)."""
    with redis.Redis.from_url(url or "") as server:
        server.config_set("appendfsync", "always")
        # The server reads its file again when it comes back.
        server.config_rewrite()


def messages_of(world: World, count: int, chance: random.Random) -> list[str]:
    """Return every package at least once, further ones by chance, in any order, some with a refresh."""
    packages = list(world.truth().values())
    packages += chance.choices(packages, k=max(0, count - len(packages)))
    chance.shuffle(packages)
    return [
        json.dumps(
            {
                "node_type": package.label,
                "package": package.registry_name,
                "refresh": chance.random() < 0.1,
            }
        )
        for package in packages
    ]


def hopeless(count: int) -> dict[str, str]:
    """Return what cannot be served, and the kind of each dead letter that must come of it."""
    found = {}
    for number in range(count):
        absent = {"node_type": "NPMPackage", "package": f"never-published-{number}"}
        found[json.dumps(absent)] = "not_found"
        found[json.dumps({"node_type": "DebianPackage", "package": f"{number}"})] = "unknown_node_type"
        found[f"no JSON {number}"] = "bad_json"
    return found


def send(url: str, messages: Iterable[str]) -> None:
    """Send messages as a program beside the daemons does, which tries again while Redis is away."""
    rest = list(messages)
    while rest:
        with suppress(redis.RedisError), redis.Redis.from_url(url) as queue:
            while rest:
                queue.xadd(STREAM, {"data": rest[0]})
                rest.pop(0)
        time.sleep(0.05)


class Daemons:
    """One of them that is killed is started again, and so is one that gave up its stores while it started, as a service
    manager does. No other end is right."""

    def __init__(self, variables: dict[str, str], folder: Path, count: int) -> None:
        self._variables = variables
        self._folder = folder
        self.processes = [self._start(number) for number in range(count)]
        self._faults_of_killed: list[Event] = []

    def _start(self, number: int) -> DaemonProcess:
        return DaemonProcess(self._variables | {"SECURECHAIN_STATE_DIR": str(self._folder / f"state-{number}")})

    def kill_one(self, chance: random.Random) -> None:
        number = chance.randrange(len(self.processes))
        self.processes[number].kill()
        self._faults_of_killed += _faults_of(self.processes[number])
        self.processes[number] = self._start(number)

    def keep_running(self) -> None:
        for number, process in enumerate(self.processes):
            if process.process.poll() is not None:
                process.wait()
                failures = process.events("daemon_failed") + process.events("daemon_ready")
                assert [each.get("kind") for each in failures] == ["store_unavailable"], process.lines[-25:]
                self.processes[number] = self._start(number)

    def are_ready(self) -> bool:
        self.keep_running()
        return all(process.events("daemon_ready") for process in self.processes)

    def kill_a_parser(self, chance: random.Random) -> None:
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(chance.choice(self.processes).process.pid).children()
            parsers = [child for child in children if "securechain_ingest.archives.child" in child.cmdline()]
            if parsers:
                os.kill(chance.choice(parsers).pid, signal.SIGKILL)

    def faults_of_the_program(self) -> list[Event]:
        """Return what the daemons have logged as faults of their own, the killed ones too."""
        return sum(map(_faults_of, self.processes), self._faults_of_killed)

    def end(self) -> None:
        for process in self.processes:
            process.kill()


def _faults_of(process: DaemonProcess) -> list[Event]:
    return process.events("handler_failed")


def faults_of(
    daemons: Daemons, stores: ChaosStores, server: Server, chance: random.Random
) -> dict[str, Callable[[], object]]:
    """Return everything that can go wrong, by name."""
    faults: dict[str, Callable[[], object]] = {
        "a daemon is killed": lambda: daemons.kill_one(chance),
        "a parser is killed": lambda: daemons.kill_a_parser(chance),
        "registries answer badly": lambda: server.faults.add(chance.choice(ANSWERS)),
        "a registry goes away": lambda: server.faults.add(
            Fault("/*", FaultKind.DROP, times=None, endpoint=chance.choice(ENDPOINTS))
        ),
    }
    for name in stores.names:
        faults[f"{name} is killed"] = partial(stores.kill, name)
    for name in stores.cuts:
        faults[f"{name} is cut off"] = partial(stores.cut, name, chance)
        faults[f"{name} is slow"] = partial(stores.slow_down, name, chance)
    return faults


@pytest.mark.chaos
@pytest.mark.timeout(0)
def test_whatever_fails_around_three_daemons_every_message_ends_in_the_graph_or_in_the_dead_letters(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    count = request.config.getoption("--chaos-messages")
    least_s = 60 * request.config.getoption("--chaos-minutes")
    seed = request.config.getoption("--chaos-seed")
    chance = random.Random(seed)
    enough_s = PATIENCE_S + count / 5
    world = generate(Shape(packages=max(4, count // 20), seed=seed, median_versions=3, odd_share=0.4))
    lost = hopeless(max(2, count // 100))
    with running_stores(tmp_path / "stores") as (stores, addresses, target), serve(world, latency_s=0.01) as server:
        plain = addresses.pop("plain")
        variables = addresses | server.environment() | SCHEDULES_OFF
        variables |= {
            "SECURECHAIN_HTTP__RETRIES": "1",
            "SECURECHAIN_ARCHIVES__PROCESSES": "2",
            "SECURECHAIN_QUEUE__LEASE_S": "2",
            "SECURECHAIN_QUEUE__RETRY_BASE_S": "0.2",
            "SECURECHAIN_QUEUE__RETRY_MAX_S": "1",
            "SECURECHAIN_QUEUE__MAX_DELIVERIES": "1000",
            "SECURECHAIN_REDIS__TIMEOUT_S": "5",
        }
        faultless = _without_faults(world, lost, variables, plain, target, tmp_path, enough_s)
        daemons = Daemons(variables, tmp_path, 3)
        try:
            block_until(daemons.are_ready, "the daemons")
            faults = faults_of(daemons, stores, server, chance)
            rest = [*messages_of(world, count, chance), *lost]
            chance.shuffle(rest)
            # Each fault once in every round of all of them, in another order each time.
            rounds = 1 + max(count // 400, int(least_s / FAULT_S / len(faults)))
            order = [name for _ in range(rounds) for name in chance.sample(sorted(faults), len(faults))]
            portion = -(-len(rest) // len(order))
            began = time.monotonic()
            for number, name in enumerate(order):
                time.sleep(max(0.0, began + number * least_s / len(order) - time.monotonic()))
                send(plain, rest[:portion])
                del rest[:portion]
                print(name)
                faults[name]()
                time.sleep(chance.uniform(0.2, 1.0))
                daemons.keep_running()
                server.faults.clear()
            with redis.Redis.from_url(plain, decode_responses=True) as queue:
                _until_settled(queue, enough_s)
                # What a fault took from a package's import names, the next check finds.
                send(plain, _refreshes(world))
                _until_settled(queue, enough_s)
                assert {letter["data"]: letter["kind"] for letter in dead_letters(queue)} == lost
                assert all(letter["error"] for letter in dead_letters(queue))
                assert left_over(queue, STREAM) == []
                _assert_counted_once(queue, len(lost))
            # One that was started a moment ago does not listen to signals yet.
            block_until(daemons.are_ready, "the daemons")
            for process in daemons.processes:
                assert process.stop() == 0
            assert daemons.faults_of_the_program() == []
        except BaseException:
            for process in daemons.processes:
                print(f"seed {seed}; a daemon's last words:", *process.lines[-25:], sep="\n")
            raise
        finally:
            daemons.end()
        block_until(lambda: _answers(target), "the graph")
        with closing(PlainCypher(target)) as reader:
            assert_graph_equals(reader, world.truth(), world.truth())
            assert whole_graph(reader) == faultless, f"seed {seed}"


def _refreshes(world: World) -> list[str]:
    return [
        json.dumps({"node_type": package.label, "package": package.registry_name, "refresh": True})
        for package in world.truth().values()
    ]


def _without_faults(
    world: World,
    lost: Iterable[str],
    variables: dict[str, str],
    plain: str,
    target: GraphTarget,
    folder: Path,
    enough_s: float,
) -> Counter[str]:
    """Return the graph that one daemon writes undisturbed; the stores are empty again afterwards."""
    with (
        daemon({**variables, "SECURECHAIN_STATE_DIR": str(folder / "state-before")}),
        redis.Redis.from_url(plain, decode_responses=True) as queue,
    ):
        send(plain, [*messages_of(world, 0, random.Random(0)), *lost])
        _until_settled(queue, enough_s)
        send(plain, _refreshes(world))
        _until_settled(queue, enough_s)
    with closing(PlainCypher(target)) as reader:
        found = whole_graph(reader)
    with redis.Redis.from_url(plain) as queue:
        queue.flushdb()
    empty_graph(target)
    return found


def _assert_counted_once(queue: redis.Redis, dead: int) -> None:
    """Each message has come to one end, which was counted with it."""
    held: Any = queue.hgetall(Keys(STREAM).counters)
    counts = {word: int(count) for word, count in held.items()}
    total = counts.pop("total_processed")
    assert total == sum(counts.values())
    assert total - counts["successful"] == dead


def _until_settled(queue: redis.Redis, timeout_s: float) -> None:
    def is_settled() -> bool:
        try:
            return settled(queue)
        except redis.RedisError:
            return False

    block_until(is_settled, lambda: "an empty queue; there are " + "\n".join(left(queue, STREAM)), timeout_s)


def _answers(target: GraphTarget) -> bool:
    try:
        with GraphDatabase.driver(target.uri, auth=(target.user, target.password)) as driver:
            driver.verify_connectivity()
    except (DriverError, Neo4jError, OSError):
        return False
    return True
