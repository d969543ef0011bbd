"""This tests outages of registries, however long: no message pays for one, and the neighbours notice nothing.

Time passes as the test sets it. A message may be tried once here: whatever counted as a try of it would make it a dead
letter.
"""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from securechain_ingest import service
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.queue.breakers import FAILURES
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.reader import Reader
from securechain_ingest.settings import ArchiveSettings, QueueSettings
from tests.chaos.clock import ShiftedClock
from tests.chaos.contents import left_over
from tests.chaos.daemon_here import SharedPool, daemon_here, store_variables
from tests.end_to_end.conftest import dead_letters, settled
from tests.end_to_end.graph_contents import PlainCypher
from tests.queue_contents import retries_waiting
from tests.registry_server import Fault, FaultKind, Server, World, cargo, maven, npm, serve
from tests.stores import AdvisoryTarget, GraphTarget, empty_graph
from tests.waiting import until

QUEUE = QueueSettings(max_deliveries=1)
COUNT = 20
"""There are so many packages of the sick ecosystem, and as many neighbours."""
SICK = [f"sick-{number}" for number in range(COUNT)]
WELL = [f"well-{number}" for number in range(COUNT)]
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0

WORLD = World(
    (
        *(npm.Package(name, (npm.Version("1.0.0"),)) for name in SICK),
        *(maven.Package(f"org.made:{name}", (maven.Version("1.0"),)) for name in SICK),
        *(cargo.Crate(name, (cargo.Version("1.0.0"),)) for name in WELL),
    )
)


class Scene:
    """This is a daemon with its stores and registries, and a clock."""

    def __init__(
        self,
        server: Server,
        clock: ShiftedClock,
        queue: redis.Redis,
        graph: PlainCypher,
        reader: Reader,
        logs: Sequence[Mapping[str, Any]],
    ) -> None:
        self.server = server
        self.clock = clock
        self.queue = queue
        self._graph = graph
        self._reader = reader
        self._logs = logs

    def ask(self, label: str, *packages: str) -> None:
        for package in packages:
            self.queue.xadd(QUEUE.stream, {"data": json.dumps({"node_type": label, "package": package})})

    def stored(self, label: str) -> int:
        return self._graph.count(f"MATCH (p:{label}) RETURN count(p)")

    def asked(self, prefix: str) -> int:
        """Return how many requests have had a path that begins so."""
        return sum(request.target.startswith(prefix) for request in self.server.requests)

    def open_until_ms(self, endpoint: str) -> int:
        """Return when the endpoint may be asked again; 0 if it may be."""
        held: Any = self.queue.hget(Keys(QUEUE.stream).breaker(endpoint), "open_until")
        return int(held or 0)

    def is_paused(self, endpoint: str) -> bool:
        """Return whether nothing is asked and nobody is at work."""
        return self._reader.in_flight == 0 and self.open_until_ms(endpoint) > self.clock.epoch_ms()

    def refusals(self) -> int:
        """Return how often an endpoint was found unwell, at first or by a probe."""
        return sum(line["event"] == "endpoint_paused" for line in self._logs)

    def pauses_s(self) -> list[float]:
        """Return how long each of them is not to be asked."""
        return [line["pause_s"] for line in self._logs if line["event"] == "endpoint_paused"]

    async def pass_time(self, endpoint: str, seconds: float, step_s: float) -> None:
        """Let time pass in steps; after each the daemon has done what it does while its registry is unwell."""
        for _ in range(round(seconds / step_s)):
            refusals = self.refusals()
            self.clock.advance(step_s)
            if self.open_until_ms(endpoint) <= self.clock.epoch_ms():
                await until(lambda: self.refusals() > refusals)  # noqa: B023 - awaited at once
            await until(lambda: self.is_paused(endpoint))

    async def settled(self) -> None:
        def done() -> bool:
            # What was put back waits by the clock, too.
            self.clock.advance(1.0)
            return settled(self.queue)

        await until(done)

    async def all_is_well_again(self, label: str, endpoint: str) -> None:
        self.clock.advance(max(0.0, self.open_until_ms(endpoint) - self.clock.epoch_ms()) / 1000 + 1)
        await self.settled()
        assert self.stored(label) == COUNT
        assert dead_letters(self.queue) == []
        assert left_over(self.queue, QUEUE.stream) == []


class Names:
    """This is a name service that knows one host and may be dead."""

    HOST = "registry.test"

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.is_dead = False
        self.asked = 0
        self._resolve = socket.getaddrinfo
        patch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: Any, *more: Any, **options: Any) -> Any:
        if host not in (self.HOST, self.HOST.encode()):
            return self._resolve(host, *more, **options)
        self.asked += 1
        if self.is_dead:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return self._resolve("127.0.0.1", *more, **options)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


@pytest.fixture
def clock(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ShiftedClock]:
    clock = ShiftedClock(redis_url, monkeypatch)
    yield clock
    clock.close()


@pytest.fixture
async def site(
    redis_url: str,
    arcadedb_server: GraphTarget,
    advisory_target: AdvisoryTarget,
    clock: ShiftedClock,
    names: Names,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Scene]:
    empty_graph(arcadedb_server)
    with serve(WORLD) as server, redis.Redis.from_url(redis_url, decode_responses=True) as queue:
        port = server.endpoints()["npm_registry"].rpartition(":")[2]
        variables = store_variables(redis_url, arcadedb_server, advisory_target) | server.environment()
        variables |= {
            "SECURECHAIN_STATE_DIR": str(tmp_path / "state"),
            "SECURECHAIN_ENDPOINTS__NPM_REGISTRY": f"http://{Names.HOST}:{port}",
            "SECURECHAIN_HTTP__RETRIES": "0",
            "SECURECHAIN_HTTP__ALLOWED_HOSTS": "127.0.0.1",
        }
        async with ParserPool(ArchiveSettings(processes=1), preload=("securechain_ingest.registries",)) as pool:
            monkeypatch.setattr(service, "ParserPool", SharedPool(pool))
            graph = PlainCypher(arcadedb_server)
            with capture_logs() as logs:
                async with daemon_here(variables, QUEUE, depth=0) as reader:
                    yield Scene(server, clock, queue, graph, reader, logs)
            graph.close()


@pytest.mark.parametrize(("lasts_s", "step_s", "looks_up"), [(3 * MINUTE, 5.0, 6), (3 * DAY, 2 * HOUR, 36)])
async def test_names_that_cannot_be_resolved_cost_no_message_and_no_neighbour(
    site: Scene, names: Names, lasts_s: float, step_s: float, looks_up: int
) -> None:
    names.is_dead = True
    site.ask("NPMPackage", *SICK)
    site.ask("CargoPackage", *WELL)
    await until(lambda: site.is_paused("npm_registry"))
    await until(lambda: site.stored("CargoPackage") == COUNT)
    asked = names.asked
    await site.pass_time("npm_registry", lasts_s, step_s)
    assert names.asked - asked <= looks_up, "one message a probe, after 5 s at first and then ever more rarely"
    names.is_dead = False
    await site.all_is_well_again("NPMPackage", "npm_registry")


async def test_too_few_packages_to_open_the_breaker_wait_for_names_as_long(site: Scene, names: Names) -> None:
    few = FAILURES - 1
    names.is_dead = True
    site.ask("NPMPackage", *SICK[:few])
    for _ in range(8):
        asked = names.asked
        await until(lambda: retries_waiting(site.queue, QUEUE.stream) == few)
        site.clock.advance(9 * HOUR)
        await until(lambda: names.asked >= asked + few)  # noqa: B023 - awaited at once
    names.is_dead = False
    await site.settled()
    assert site.stored("NPMPackage") == few
    assert dead_letters(site.queue) == []
    assert left_over(site.queue, QUEUE.stream) == []


async def test_a_registry_that_asks_for_half_an_hour_again_and_again_is_asked_once_each_time(
    site: Scene,
) -> None:
    site.server.faults.add(Fault("/sick-*", FaultKind.STATUS, times=None, status=429, retry_after="1800"))
    site.ask("NPMPackage", *SICK)
    site.ask("CargoPackage", *WELL)
    await until(lambda: site.is_paused("npm_registry"))
    await until(lambda: site.stored("CargoPackage") == COUNT)
    for _ in range(10):
        asked = site.asked("/sick-")
        await site.pass_time("npm_registry", 1700, 1700)
        assert site.asked("/sick-") == asked, "its wish is kept"
        await site.pass_time("npm_registry", 101, 101)
        assert site.asked("/sick-") == asked + 1
    site.server.faults.clear()
    await site.all_is_well_again("NPMPackage", "npm_registry")


async def test_a_registry_that_asks_for_a_pause_of_no_length_is_probed_ever_more_rarely(site: Scene) -> None:
    site.server.faults.add(Fault("/sick-*", FaultKind.STATUS, times=None, status=429))
    site.ask("NPMPackage", *SICK)
    site.ask("CargoPackage", *WELL)
    await until(lambda: site.is_paused("npm_registry"))
    # How long the machine takes for this is part of the time that passes, so that nothing is said of single moments.
    not_probes = site.asked("/sick-") - site.refusals()
    while site.refusals() < 11:
        left_s = max(0.0, site.open_until_ms("npm_registry") - site.clock.epoch_ms()) / 1000
        await site.pass_time("npm_registry", left_s + 0.1, left_s + 0.1)
        assert site.asked("/sick-") - site.refusals() == not_probes, "one message a probe, and nothing else is asked"
    assert site.pauses_s() == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900]
    await until(lambda: site.stored("CargoPackage") == COUNT)
    site.server.faults.clear()
    await site.all_is_well_again("NPMPackage", "npm_registry")


async def test_a_registry_that_forbids_what_comes_too_fast_costs_no_message(site: Scene) -> None:
    site.server.faults.add(Fault("/org/made/sick-*", FaultKind.STATUS, times=None, status=403))
    site.ask("MavenPackage", *(f"org.made:{name}" for name in SICK))
    site.ask("CargoPackage", *WELL)
    await until(lambda: site.is_paused("maven_central"))
    await until(lambda: site.stored("CargoPackage") == COUNT)
    await site.pass_time("maven_central", HOUR, 60)
    site.server.faults.clear()
    await site.all_is_well_again("MavenPackage", "maven_central")


async def test_half_of_the_packages_failing_costs_those_alone(site: Scene) -> None:
    """What the registry says of a package is that package's own: here it may be tried once."""
    bad = [f"sick-{number}" for number in range(0, COUNT, 2)]
    for name in bad:
        site.server.faults.add(Fault(f"/{name}", FaultKind.STATUS, times=None, status=500))
    site.ask("NPMPackage", *SICK)
    site.ask("CargoPackage", *WELL)
    await until(lambda: site.stored("CargoPackage") == COUNT)

    def all_others_are_stored() -> bool:
        site.clock.advance(1.0)
        return site.stored("NPMPackage") == COUNT - len(bad)

    await until(all_others_are_stored)
    assert letters(site).keys() <= set(bad)
    site.server.faults.clear()
    await site.settled()
    assert site.stored("NPMPackage") + len(letters(site)) == COUNT
    assert set(letters(site).values()) <= {"unavailable"}
    assert left_over(site.queue, QUEUE.stream) == []


def letters(site: Scene) -> dict[str, str]:
    """Return the kind of failure by package."""
    return {json.loads(letter["data"])["package"]: letter["kind"] for letter in dead_letters(site.queue)}
