"""This is a client whose time is the test's, and a server that answers by script."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from securechain_ingest.ecosystem_settings import ConnectionSettings, EndpointSettings, RateSettings
from securechain_ingest.http.client import HttpClient
from securechain_ingest.http.endpoints import SLOW_DOWN
from securechain_ingest.http.priority import Connections, Priority, prioritised
from securechain_ingest.metrics import RECEIVED_BYTES, REQUESTS
from securechain_ingest.setting_types import UNLIMITED
from securechain_ingest.settings import HttpSettings
from tests.http.scripted_server import ScriptedServer, scripted_server


def rates(**limits: float | str) -> RateSettings:
    """Return settings that have no limit but for the endpoints that are named."""
    unlimited: dict[str, Any] = dict.fromkeys(RateSettings.model_fields, UNLIMITED)
    return RateSettings.model_validate(unlimited | limits)


def connections(**limits: int) -> ConnectionSettings:
    """Return settings that have no limit but for the endpoints that are named."""
    unlimited: dict[str, Any] = dict.fromkeys(ConnectionSettings.model_fields, UNLIMITED)
    return ConnectionSettings.model_validate(unlimited | limits)


UNLIMITED_RATES, UNLIMITED_CONNECTIONS = rates(), connections()


@dataclass
class FakeTime:
    """Waiting costs nothing and is written down."""

    now: float = 1000.0
    waits: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    async def sleep(self, wait_s: float) -> None:
        self.waits.append(wait_s)
        self.now += wait_s
        await asyncio.sleep(0)


@pytest_asyncio.fixture
async def leap(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that moves the event loop's clock on by ten minutes: what was to end before that ends now."""
    loop = asyncio.get_running_loop()
    ahead_s, true_time = 0.0, loop.time

    def leap() -> None:
        nonlocal ahead_s
        ahead_s += 600.0

    monkeypatch.setattr(loop, "time", lambda: true_time() + ahead_s)
    return leap


async def wait_in(
    places: Connections, priority: Priority | None = None, then: Callable[[], object] = lambda: None
) -> None:
    """Enter, as work of that priority does, and leave."""
    with prioritised(priority or Priority(is_urgent=False)):
        async with places:
            then()


class Traffic(NamedTuple):
    requests: int
    received_bytes: int


def _counted() -> dict[str, Traffic]:
    """Return what /metrics tells of each endpoint of this process."""
    requests: Counter[str] = Counter()
    received_bytes: Counter[str] = Counter()
    for counter, found in ((REQUESTS, requests), (RECEIVED_BYTES, received_bytes)):
        for sample in chain.from_iterable(metric.samples for metric in counter.collect()):
            if sample.name.endswith("_total"):
                found[sample.labels["endpoint"]] += int(sample.value)
    return {endpoint: Traffic(requests[endpoint], received_bytes[endpoint]) for endpoint in requests}


TrafficOf = Callable[[], dict[str, Traffic]]


@pytest.fixture
def traffic() -> TrafficOf:
    """Return a function that tells the traffic of each endpoint that was asked since the test began."""
    before = _counted()

    def since() -> dict[str, Traffic]:
        found = {}
        for endpoint, now in _counted().items():
            then = before.get(endpoint, Traffic(0, 0))
            if now.requests > then.requests:
                found[endpoint] = Traffic(now.requests - then.requests, now.received_bytes - then.received_bytes)
        return found

    return since


MakeClient = Callable[..., AbstractAsyncContextManager[HttpClient]]


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as running:
        yield running


@pytest.fixture
def make_client(server: ScriptedServer, fake_time: FakeTime) -> MakeClient:
    """Return a function that makes a client with every endpoint on the scripted server, and other settings as given.

    `pypi_files` lies below /files, `maven_central` below /maven.
    """

    def make(
        http: HttpSettings | None = None,
        rates: RateSettings = UNLIMITED_RATES,
        connections: ConnectionSettings = UNLIMITED_CONNECTIONS,
    ) -> AbstractAsyncContextManager[HttpClient]:
        endpoints = dict.fromkeys(EndpointSettings.model_fields, server.base)
        endpoints |= {"pypi_files": f"{server.base}/files", "maven_central": f"{server.base}/maven"}
        return HttpClient(
            http or HttpSettings(),
            EndpointSettings(**endpoints),
            rates,
            connections,
            slow_down={"maven_central": SLOW_DOWN | {403}},
            sleep=fake_time.sleep,
            clock=fake_time.clock,
        )

    return make


@pytest_asyncio.fixture
async def client(make_client: MakeClient) -> AsyncIterator[HttpClient]:
    async with make_client() as running:
        yield running
