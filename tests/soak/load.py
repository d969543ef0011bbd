"""The load gives a daemon at a steady pace what happens to it in months, in a world that changes and does not grow."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote

import httpx
from neo4j import AsyncDriver, AsyncGraphDatabase
from neo4j.exceptions import TransientError
from redis.asyncio import Redis

from securechain_ingest.ecosystem_settings import JOBS
from securechain_ingest.queue.keys import Keys
from securechain_ingest.registries import BY_OSV, DECLARATIONS, ECOSYSTEMS
from securechain_ingest.runs import new_run_id, utc_now
from securechain_ingest.schedules.board import Board, RunRequest
from tests.end_to_end.conftest import STREAM
from tests.registry_server import ExpectedPackage, Fault, FaultKind, Server, World, osv
from tests.registry_server.history import moment
from tests.registry_server.life import Life
from tests.stores import GraphTarget

MOST_WAITING: Final = 500
"""With so many messages in the lanes nothing is sent: what a slow machine cannot bear would fill Redis."""

FAULTS: Final = (
    Fault("/*", FaultKind.STATUS, status=503),
    Fault("/*", FaultKind.STATUS, status=429, retry_after="1"),
    Fault("/*", FaultKind.DROP),
    Fault("/*", FaultKind.DROP, after_bytes=200),
    Fault("/*", FaultKind.STALL),
    Fault("/*", FaultKind.STALL, after_bytes=200),
    Fault("/*", FaultKind.SLOW),
    Fault("/*", FaultKind.HTML),
    Fault("/*", FaultKind.TRUNCATED),
    Fault("/*", FaultKind.CORRUPT_GZIP),
    Fault("/*", FaultKind.IGNORED_RANGE),
    Fault("/*", FaultKind.WRONG_CONTENT_RANGE),
)

MESSAGES: Final = {"known": 50, "refresh": 34, "new": 6, "absent": 4, "unknown type": 3, "no JSON": 3}
"""This says how often each kind of message is sent, of a hundred."""

_OSV: Final = {declaration.ecosystem.label: osv for osv, declaration in BY_OSV.items()}


@dataclass(frozen=True, slots=True)
class Place:
    """This is where the load is put."""

    redis_url: str
    graph: GraphTarget
    page: str
    """This is the base address of the daemon's page."""
    server: Server
    life: Life
    reload: Callable[[], None]
    """This makes the daemon read its configuration again."""


@dataclass(frozen=True, slots=True)
class LoadPace:
    messages_a_second: float
    minute_s: float
    """What is said to happen once a minute happens once in so many seconds."""


class Load:
    """A load goes on until it is cancelled; `done` counts what it has done, by kind."""

    def __init__(self, place: Place, pace: LoadPace, seed: int) -> None:
        self._place = place
        self._pace = pace
        self._chance = random.Random(f"load {seed}")
        self._packages = list(place.life.truth().values())
        self._changes = 0
        self._changed_at = [0] * len(self._packages)
        self.done: Counter[str] = Counter()

    async def begin(self) -> None:
        """Ask for every package once."""
        async with _patient(self._place.redis_url) as queue:
            for package in self._packages:
                await _submit(queue, {"node_type": package.label, "package": package.registry_name})

    @property
    def messages(self) -> int:
        return sum(count for kind, count in self.done.items() if kind in MESSAGES)

    def world(self) -> World:
        """Return what the registries have now, with an advisory of each package, of which one more has just changed."""
        self._changes += 1
        self._changed_at[self._changes % len(self._packages)] = self._changes
        advisories = tuple(
            osv.Advisory(
                f"MADE-{number}",
                ((_OSV[package.label], package.registry_name),),
                modified=moment(self._changed_at[number]),
                fixed=package.versions[-1].name,
            )
            for number, package in enumerate(self._packages)
            if package.label in _OSV
        )
        return replace(self._place.life.world(), advisories=advisories)

    async def run(self) -> None:
        """Do everything at once. Raise AssertionError, or HTTPError, when the page fails."""
        minute_s = self._pace.minute_s
        async with AsyncExitStack() as stack:
            queue = await stack.enter_async_context(_patient(self._place.redis_url))
            # A connection is given up before the server does so (after 5 s), which would meet a request on its way.
            limits = httpx.Limits(keepalive_expiry=2)
            page = await stack.enter_async_context(
                httpx.AsyncClient(base_url=self._place.page, timeout=None, limits=limits)
            )
            login = (self._place.graph.user, self._place.graph.password)
            graph = await stack.enter_async_context(AsyncGraphDatabase.driver(self._place.graph.uri, auth=login))
            group = await stack.enter_async_context(asyncio.TaskGroup())
            for every_s, act in (
                (1 / self._pace.messages_a_second, lambda: self._send(queue, graph)),
                (minute_s / 6, self._change_the_world),
                (minute_s / 4, lambda: self._ask_for_a_run(queue)),
                (minute_s / 12, lambda: self._ask_for_a_page(page)),
                (minute_s / 12, lambda: self._scrape(page)),
                (minute_s / 2, lambda: self._watch_live(page)),
                (minute_s / 2, self._fail),
                (minute_s * 5, self._reload),
            ):
                group.create_task(again_and_again(every_s, act))

    async def _send(self, queue: Redis, graph: AsyncDriver) -> None:
        if await _waiting(queue) > MOST_WAITING:
            self.done["held back"] += 1
            return
        [kind] = self._chance.choices(list(MESSAGES), list(MESSAGES.values()))
        package = self._chance.choice(self._packages)
        message: dict[str, Any] = {"node_type": package.label, "package": package.registry_name}
        match kind:
            case "refresh":
                message |= {"refresh": True}
            case "new":
                await _forget(graph, package)
            case "absent":
                message |= {"package": f"{message['package']}-never-published"}
            case "unknown type":
                message |= {"node_type": "DebianPackage"}
            case _:
                pass
        if kind == "no JSON":
            await queue.xadd(STREAM, {"data": "{no JSON"})
        else:
            await _submit(queue, message)
        self.done[kind] += 1

    async def _change_the_world(self) -> None:
        self._place.life.come_and_go()
        world = self.world()
        await asyncio.to_thread(self._place.server.replace, world)
        self.done["changes of the registries"] += 1

    async def _ask_for_a_run(self, queue: Redis) -> None:
        """Ask for a run of any job, beside what the schedules do by themselves."""
        await Board(queue, STREAM).request(self._chance.choice(JOBS), RunRequest(new_run_id(utc_now()), {}))
        self.done["runs asked for"] += 1

    async def _ask_for_a_page(self, page: httpx.AsyncClient) -> None:
        package = self._chance.choice(self._packages)
        path = self._chance.choice(
            (
                "/",
                f"/registries/{package.ecosystem}",
                f"/packages?name={quote(package.registry_name)}",
                f"/packages/{package.ecosystem}/{quote(package.registry_name)}",
                "/advisories",
                f"/advisories/MADE-{self._chance.randrange(len(self._packages))}",
                "/queue",
                "/dead-letters",
                "/schedules",
                f"/schedules/{self._chance.choice(JOBS)}",
                "/readyz",
            )
        )
        answer = await page.get(path, follow_redirects=True)
        self.done[f"pages: {answer.status_code}"] += 1
        # A package that has just been forgotten is not there (404). On a busy machine a store may not answer (503).
        assert answer.status_code in (200, 404, 503), f"{path}: {answer.status_code} {answer.text[:500]}"

    async def _scrape(self, page: httpx.AsyncClient) -> None:
        (await page.get("/metrics")).raise_for_status()
        answer = await page.get("/healthz")
        self.done[f"scrapes, healthz: {answer.status_code}"] += 1

    async def _watch_live(self, page: httpx.AsyncClient) -> None:
        """Do as somebody does who opens a page that renews itself, and goes away in the midst of it."""
        async with page.stream("GET", self._chance.choice(("/events", "/schedules/events"))) as answer:
            answer.raise_for_status()
            async for _ in answer.aiter_bytes():
                break
        self.done["live pages left"] += 1

    async def _fail(self) -> None:
        self._place.server.faults.clear()
        self._place.server.faults.add(replace(self._chance.choice(FAULTS), times=self._chance.randint(1, 4)))
        self.done["faults of the registries"] += 1

    async def _reload(self) -> None:
        self._place.reload()
        self.done["reloads"] += 1


def schedules(minute_s: float) -> dict[str, str]:
    """Return the settings with which a daemon does by itself in minutes what it otherwise does in a week."""
    variables = {f"SECURECHAIN_FOLLOW__{declared.name.upper()}": str(minute_s) for declared in DECLARATIONS}
    for name in (*(declared.name for declared in DECLARATIONS), "advisories"):
        variables[f"SECURECHAIN_RECONCILE__{name.upper()}"] = str(5 * minute_s)
    for job in ("advisory_sync", "packages_refresh"):
        variables[f"SECURECHAIN_SCHEDULES__{job.upper()}"] = "* * * * *"
    return variables | {
        "SECURECHAIN_FEEDS__LISTING_TTL_S": str(minute_s),
        "SECURECHAIN_REFRESH__MAX_AGE_S": str(5 * minute_s),
        "SECURECHAIN_HTTP__NOT_FOUND_TTL_S": str(minute_s),
        "SECURECHAIN_PACKAGES__ABSENT_RETRY_S": str(minute_s),
    }


def _patient(url: str) -> Redis:
    """Return a client that waits as long as it must: a machine that others use may keep it waiting for longer than the
    client's own limit."""
    return Redis.from_url(url, socket_timeout=None)


async def again_and_again(every_s: float, act: Callable[[], Awaitable[None]]) -> None:
    """Act at a steady pace until the task is cancelled; what was late is not made up for."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    due = loop.time() + every_s
    # On Python 3.11 the driver of Redis can lose a cancellation, which the task still counts.
    while task is not None and not task.cancelling():
        await asyncio.sleep(max(0.0, due - loop.time()))
        await act()
        due = max(due + every_s, loop.time())


async def _submit(queue: Redis, message: dict[str, Any]) -> None:
    await queue.xadd(STREAM, {"data": json.dumps(message)})


async def _waiting(queue: Redis) -> int:
    keys = Keys(STREAM)
    async with queue.pipeline(transaction=False) as pipeline:
        for stream in (keys.submissions, *(lane for each in ECOSYSTEMS for lane in keys.lanes(each.name))):
            pipeline.xlen(stream)
        found: list[Any] = await pipeline.execute()
    return sum(map(int, found))


async def _forget(graph: AsyncDriver, package: ExpectedPackage) -> None:
    """Take a package out of the graph, so that the daemon does not know it."""
    query = f"MATCH (p:{package.label} {{purl: $purl}}) OPTIONAL MATCH (p)-[:HAVE]->(v) DETACH DELETE p, v"
    try:
        await graph.execute_query(query, purl=package.purl)
    except TransientError:
        # The daemon was just writing it.
        return
