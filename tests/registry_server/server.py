"""These are the registries as a running server: a listening socket for each endpoint, in a thread or in a process of
its own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from securechain_ingest.ecosystem_settings import RateSettings
from tests.registry_server.faults import Faults
from tests.registry_server.protocol import ServerConnection
from tests.registry_server.resources import IncomingRequest, Resource, Site, json_document
from tests.registry_server.world import ENDPOINTS, World
from tests.waiting import closed_to_new_ones

CONTROL = "control"
"""This is an endpoint for programs that look at a server in another process: `/counters`."""

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Recorded:
    """This is one request that was answered."""

    endpoint: str
    method: str
    target: str
    headers: Mapping[str, str]
    status: int
    bytes_sent: int
    """These are the bytes of the body."""
    defect: str | None
    """This is what the client did that a real registry would not like."""


class Server:
    """This is what is served, what was asked and what is to fail.

    Safe to be used from another thread than the server's.
    """

    def __init__(self, world: World, *, latency_s: float = 0.0, keep_requests: bool = True) -> None:
        self.faults = Faults()
        self.latency_s = latency_s
        self.connections: set[ServerConnection] = set()
        self.requests: list[Recorded] = []
        self.answered: Callable[[str], None] | None = None
        """This is told the path of each request that is answered, from the server's thread."""
        self._keep_requests = keep_requests
        self._counters: dict[str, Counter[str]] = {}
        self._world = world
        self._sites: dict[str, Site] = {}
        self._addresses: dict[str, str] = {}
        self._listeners: list[asyncio.Server] = []

    def endpoints(self) -> dict[str, str]:
        """Return base URLs by the names of config.toml's table `[endpoints]`."""
        return {name: self._addresses[name] for name in ENDPOINTS}

    @property
    def control(self) -> str:
        """Return the base URL of the control endpoint."""
        return self._addresses[CONTROL]

    def environment(self) -> dict[str, str]:
        """Return variables that point the daemon here, without rate limits."""
        return environment(self.endpoints())

    def replace(self, world: World) -> None:
        """Serve another world from the next request on, as if time had passed; its own is left alone."""
        if world is not self._world or not self._sites:
            self._sites = world.sites(self._addresses)
            self._world = world

    def counters(self) -> dict[str, dict[str, int]]:
        """Return requests, bytes of bodies, statuses and defects so far, by endpoint and kind."""
        return {kind: dict(counter) for kind, counter in self._counters.items()}

    def find(self, request: IncomingRequest) -> Resource:
        if request.endpoint == CONTROL:
            return json_document(self.counters())
        return self._sites[request.endpoint](request)

    def record(self, request: IncomingRequest, resource: Resource, status: int, bytes_sent: int) -> None:
        if request.endpoint == CONTROL:
            return
        if self.answered is not None:
            self.answered(request.target)
        self._count("requests", request.endpoint)
        self._count("bytes", request.endpoint, bytes_sent)
        self._count("statuses", str(status))
        if resource.defect is not None:
            self._count("defects", resource.defect)
        if self._keep_requests:
            self.requests.append(
                Recorded(
                    request.endpoint,
                    request.method,
                    request.target,
                    request.headers,
                    status,
                    bytes_sent,
                    resource.defect,
                )
            )

    async def start(self, port: int = 0) -> None:
        """Listen on loopback: on `port` and those after it in the order of ENDPOINTS, or on free ports if it is 0."""
        loop = asyncio.get_running_loop()
        for position, name in enumerate((*ENDPOINTS, CONTROL)):
            listener = await loop.create_server(
                partial(ServerConnection, self, name),
                "127.0.0.1",
                port + position if port else 0,
                backlog=1024,
            )
            self._listeners.append(listener)
            self._addresses[name] = "http://{}:{}".format(*listener.sockets[0].getsockname())
        self.replace(self._world)

    async def stop(self) -> None:
        for listener in self._listeners:
            await closed_to_new_ones(listener)
        for connection in tuple(self.connections):
            connection.abort()
        for listener in self._listeners:
            await listener.wait_closed()
        # The aborted transports report their end in the loop's next turn.
        await asyncio.sleep(0)

    def _count(self, kind: str, key: str, amount: int = 1) -> None:
        self._counters.setdefault(kind, Counter())[key] += amount


def environment(endpoints: Mapping[str, str]) -> dict[str, str]:
    """Return variables that point the daemon to `endpoints`, with the rate limits out of the way."""
    variables = {f"SECURECHAIN_ENDPOINTS__{name.upper()}": address for name, address in endpoints.items()}
    return variables | {f"SECURECHAIN_RATES__{name.upper()}": "unlimited" for name in RateSettings.model_fields}


@contextmanager
def serve(world: World, *, latency_s: float = 0.0, keep_requests: bool = True) -> Iterator[Server]:
    """Serve a world from a thread of this process until the block ends."""
    server = Server(world, latency_s=latency_s, keep_requests=keep_requests)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="registry-server", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result()
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@dataclass(frozen=True, slots=True)
class Spawned:
    """This is a server in a process of its own."""

    addresses: Mapping[str, str]
    control: str

    def endpoints(self) -> dict[str, str]:
        return dict(self.addresses)

    def environment(self) -> dict[str, str]:
        return environment(self.addresses)

    def counters(self) -> dict[str, dict[str, int]]:
        with urllib.request.urlopen(f"{self.control}/counters") as response:
            counters: dict[str, dict[str, int]] = json.load(response)
        return counters


@contextmanager
def spawn(*arguments: str) -> Iterator[Spawned]:
    """Run `python -m tests.registry_server` with these arguments; it is ready when the block begins, and ended with
    it.
    """
    command = [sys.executable, "-m", "tests.registry_server", "--json", *arguments]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready: dict[str, Any] = json.loads(process.stdout.readline())
            yield Spawned(ready["endpoints"], ready["control"])
        finally:
            process.terminate()
