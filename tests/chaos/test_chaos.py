"""Three daemons while everything around them fails at random: at the end every message is in the graph.

CI runs a short form; `make chaos` (or `pytest -m chaos --chaos-messages N --chaos-seed S`) a long one. A seed repeats
the choices, not their moments.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from neo4j import GraphDatabase
from neo4j.exceptions import DriverError, Neo4jError

from securechain_ingest.embedded import EmbeddedStores, embedded_stores
from securechain_ingest.settings import EmbeddedSettings
from tests.end_to_end.conftest import STREAM, dead_letters, settled
from tests.end_to_end.cut_store import CutStore, cut_store
from tests.end_to_end.daemon_process import DaemonProcess, until
from tests.end_to_end.graph_contents import GraphReader, assert_graph_equals
from tests.queue_contents import ECOSYSTEMS, messages_pending
from tests.registry_server import Fault, Kind, Shape, World, generate, serve
from tests.schedules_off import SCHEDULES_OFF
from tests.stores import GraphTarget

FAULTS = (
    Fault("/*", Kind.STATUS, status=503),
    Fault("/*", Kind.STATUS, status=500),
    Fault("/*", Kind.STATUS, status=429, retry_after="1"),
    Fault("/*", Kind.STATUS, status=429),
    Fault("/*", Kind.DROP),
    Fault("/*", Kind.DROP, after_bytes=200),
)


class Stores:
    """The three local servers, each behind what can be cut; a server that is killed comes back with its data."""

    def __init__(self, embedded: EmbeddedStores, cuts: dict[str, CutStore]) -> None:
        self._embedded = embedded
        self.cuts = cuts

    def kill(self, chance: random.Random) -> str:
        name, pid = chance.choice(sorted(self._embedded.pids.items()))
        if pid is not None:
            # The server runs below a leash that ends with this process.
            with suppress(psutil.NoSuchProcess):
                for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
                    process.kill()
        return name


@contextmanager
def running_stores(folder: Path) -> Iterator[tuple[Stores, dict[str, str], GraphTarget]]:
    """With the variables that lead a daemon to them, and where the graph is without a cut."""
    folder.mkdir()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="stores", daemon=True)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    needed = frozenset({"redis", "graph", "vulnerabilities"})
    context = embedded_stores(folder, EmbeddedSettings(start_timeout_s=120), needed=needed)
    embedded = run(context.__aenter__())
    watch = asyncio.run_coroutine_threadsafe(embedded.watch(), loop)
    addresses = embedded.addresses
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
            yield Stores(embedded, cuts), variables | {"plain": addresses.redis_url}, target
    finally:
        watch.cancel()
        run(context.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def messages_of(world: World, count: int, chance: random.Random) -> list[dict[str, object]]:
    """Every package at least once, further ones by chance, in any order, some with a refresh."""
    packages = list(world.truth().values())
    packages += chance.choices(packages, k=max(0, count - len(packages)))
    chance.shuffle(packages)
    return [
        {"node_type": package.label, "package": package.registry_name, "refresh": chance.random() < 0.1}
        for package in packages
    ]


def send(url: str, messages: list[dict[str, object]]) -> None:
    """As a program beside the daemons does, which tries again while Redis is away."""
    rest = list(messages)
    while rest:
        with suppress(redis.RedisError), redis.Redis.from_url(url) as queue:
            while rest:
                queue.xadd(STREAM, {"data": json.dumps(rest[0])})
                rest.pop(0)
        time.sleep(0.05)


class Daemons:
    """Some daemons, of which one that is killed is started again."""

    def __init__(self, variables: dict[str, str], folder: Path, count: int) -> None:
        self._variables = variables
        self._folder = folder
        self.processes = [self._start(number) for number in range(count)]

    def _start(self, number: int) -> DaemonProcess:
        return DaemonProcess(self._variables | {"SECURECHAIN_STATE_DIR": str(self._folder / f"state-{number}")})

    def kill_one(self, chance: random.Random) -> None:
        number = chance.randrange(len(self.processes))
        self.processes[number].kill()
        self.processes[number] = self._start(number)

    def kill_a_parser(self, chance: random.Random) -> None:
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(chance.choice(self.processes).process.pid).children()
            parsers = [child for child in children if "securechain_ingest.archives.child" in child.cmdline()]
            if parsers:
                os.kill(chance.choice(parsers).pid, signal.SIGKILL)

    def end(self) -> None:
        for process in self.processes:
            if process.process.poll() is None:
                process.kill()


@pytest.mark.chaos
@pytest.mark.timeout(0)
def test_whatever_fails_around_three_daemons_every_message_ends_in_the_graph(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    count = request.config.getoption("--chaos-messages")
    seed = request.config.getoption("--chaos-seed")
    chance = random.Random(seed)
    world = generate(Shape(packages=max(4, count // 20), seed=seed, median_versions=3, odd_share=0.4))
    with running_stores(tmp_path / "stores") as (stores, addresses, target), serve(world, latency_s=0.01) as server:
        plain = addresses.pop("plain")
        variables = (
            addresses
            | server.environment()
            | {
                **SCHEDULES_OFF,
                "SECURECHAIN_HTTP__TIMEOUT_S": "2",
                "SECURECHAIN_HTTP__RETRIES": "1",
                "SECURECHAIN_QUEUE__LEASE_S": "2",
                "SECURECHAIN_QUEUE__RETRY_BASE_S": "0.2",
                "SECURECHAIN_QUEUE__RETRY_MAX_S": "1",
                "SECURECHAIN_QUEUE__MAX_DELIVERIES": "1000",
                "SECURECHAIN_REDIS__TIMEOUT_S": "5",
            }
        )
        daemons = Daemons(variables, tmp_path, 3)
        try:
            for process in daemons.processes:
                process.wait_for("daemon_ready")
            rest = messages_of(world, count, chance)
            faults: list[tuple[str, Callable[[], object]]] = [
                ("a daemon", lambda: daemons.kill_one(chance)),
                ("a parser", lambda: daemons.kill_a_parser(chance)),
                ("a store", lambda: stores.kill(chance)),
                ("a connection", lambda: _cut(stores, chance)),
                ("a registry", lambda: server.faults.add(chance.choice(FAULTS))),
            ]
            portion = max(1, len(rest) // 12)
            while rest:
                send(plain, rest[:portion])
                del rest[:portion]
                chance.choice(faults)[1]()
                time.sleep(chance.uniform(0.2, 1.5))
                server.faults.clear()
            for cut in stores.cuts.values():
                cut.mend()
            with redis.Redis.from_url(plain, decode_responses=True) as queue:
                _until_settled(queue, 120 + count / 5)
                # What a fault took from a package's import names, the next check finds.
                send(plain, [{**message, "refresh": True} for message in messages_of(world, 0, chance)])
                _until_settled(queue, 120 + count / 5)
                assert dead_letters(queue) == [], f"seed {seed}"
                _assert_nothing_is_left(queue)
            for process in daemons.processes:
                # One that was started a moment ago does not listen to signals yet.
                process.wait_for("daemon_ready")
                assert process.events("handler_failed") == []
                assert process.stop() == 0
        except BaseException:
            for process in daemons.processes:
                print(f"seed {seed}; a daemon's last words:", *process.lines[-25:], sep="\n")
            raise
        finally:
            daemons.end()
        until(lambda: _answers(target), "the graph")
        reader = GraphReader(target)
        assert_graph_equals(reader, world.truth(), world.truth())
        reader.close()


def _cut(stores: Stores, chance: random.Random) -> None:
    cut = chance.choice(sorted(stores.cuts.items()))[1]
    if chance.random() < 0.5:
        cut.slow_down(chance.uniform(0.01, 0.3))
        time.sleep(chance.uniform(0.05, 1.5))
        cut.slow_down(0)
    else:
        cut.cut()
        time.sleep(chance.uniform(0.05, 1.5))
        cut.mend()


def _until_settled(queue: redis.Redis, timeout_s: float) -> None:
    def is_settled() -> bool:
        try:
            return settled(queue)
        except redis.RedisError:
            return False

    until(is_settled, "an empty queue", timeout_s)


def _assert_nothing_is_left(queue: redis.Redis) -> None:
    """No message, mark, payload or breaker; only what counts and what daemons tell of themselves."""
    assert messages_pending(queue, STREAM) == 0
    allowed = ("-lane:", "-shares:", "-counters", "-daemons", "-rate:", "-schedules", "-cursors")
    names: Any = queue.keys(f"{STREAM}*")
    left = [name for name in names if name != STREAM and not any(word in name for word in allowed)]
    assert left == [], f"of {', '.join(ECOSYSTEMS)}"


def _answers(target: GraphTarget) -> bool:
    try:
        with GraphDatabase.driver(target.uri, auth=(target.user, target.password)) as driver:
            driver.verify_connectivity()
    except (DriverError, Neo4jError, OSError):
        return False
    return True
