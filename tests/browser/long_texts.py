"""This module makes an installation in which every text that a stranger, a registry or another release can write is
long and has no place to be broken at.

The installation has a stream and a database of its own on the demonstration's servers, so that no daemon changes what
stands there and every look at it finds the same.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from securechain_ingest.configuration import Settings, load
from securechain_ingest.embedded.addresses import running_stores
from securechain_ingest.jobs.advisory_sync import cursor_name
from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.model import (
    ImportNames,
    NamesChange,
    Package,
    PackageRef,
    PackageWrite,
    Rating,
    Requirement,
    Version,
)
from securechain_ingest.progress import Progress
from securechain_ingest.queue.breakers import Breakers, pause
from securechain_ingest.queue.dead_letters import KINDS
from securechain_ingest.queue.entries import History, entry_fields
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import LANES, Lane
from securechain_ingest.queue.messages import Message, encode
from securechain_ingest.queue.outcomes import Outcomes
from securechain_ingest.queue.submission import enqueue
from securechain_ingest.registries import BY_OSV, DECLARATIONS
from securechain_ingest.registries.npm.names import NPM
from securechain_ingest.runs import Run
from securechain_ingest.schedules.board import Board, RunRequest
from securechain_ingest.stores import Stores, connect
from securechain_ingest.web.app import build_app
from securechain_ingest.web.parts import Parts
from securechain_ingest.web.server import listen, serve
from tests.demo.running import Demo

WORD: Final = "w" * 200
ADDRESS: Final = f"https://{'host' * 30}.invalid/{'path' * 60}?{'query' * 40}"
SENTENCE: Final = f"It failed {'for many reasons ' * 12} at {ADDRESS} with {WORD}"

PACKAGE: Final = PackageRef(NPM, WORD, WORD, f"pkg:npm/{WORD}")
OTHER: Final = PackageRef(NPM, f"@{WORD}/other", f"@{WORD}/other", f"pkg:npm/%40{WORD}/other")
VERSION: Final = f"1.0.0-{WORD}"
ADVISORY: Final = f"GHSA-{WORD}"
JOB: Final = "npm_packages_updates"
RUN: Final = f"20261126T090000.000-{WORD}"
WAITING, FAILED, STORED = (f"submission-{word}-{WORD}" for word in ("waiting", "failed", "stored"))
LETTERS: Final = (*sorted(KINDS), f"a_kind_of_another_release_{WORD}")
_NOW: Final = "2026-11-26T09:00:00Z"
_AT: Final = datetime.fromisoformat(_NOW)
_TOKEN: Final = "a-token-of-tests-0123"

PATHS: Final = (
    "/",
    "/registries/npm",
    "/registries/pypi",
    "/packages",
    f"/packages?package={WORD[:100]}",
    f"/packages?package={WORD}-not-there",
    f"/packages/npm/{WORD}",
    f"/packages/npm/{WORD}@{VERSION}",
    f"/packages/npm/{WORD}-not-there",
    f"/packages/{WORD}/{WORD}",
    f"/submissions/{WAITING}",
    f"/submissions/{FAILED}",
    f"/submissions/{STORED}",
    "/queue",
    "/queue?ecosystem=npm&lane=asked",
    "/dead-letters",
    f"/dead-letters?kind={LETTERS[-1]}",
    f"/dead-letters?kind={WORD}-not-there",
    *(f"/dead-letters/1-{number}" for number in (1, 2, 3, 4, len(LETTERS))),
    f"/dead-letters/{WORD}",
    "/schedules",
    f"/schedules/{JOB}",
    f"/schedules/{WORD}",
    f"/runs/{RUN}",
    f"/runs/{RUN}-waits",
    f"/runs/{WORD}",
    "/advisories",
    f"/advisories/{ADVISORY}",
    f"/advisories/{WORD}",
    "/login",
    f"/{WORD}",
)
"""These are the addresses of all pages on which such a text can stand; some are answered with 404."""


@dataclass(frozen=True, slots=True)
class ServedPage:
    """This is a page of the installation that is served."""

    address: str
    """The address includes the token, as the start of a daemon prints it."""


@asynccontextmanager
async def long_texts(shown: Demo) -> AsyncIterator[ServedPage]:
    """Serve the page of such an installation in this event loop, on the stores of a demonstration."""
    addresses = running_stores(shown.config.parent)
    assert addresses is not None
    variables = {
        "SECURECHAIN_QUEUE__STREAM": "long-texts",
        "SECURECHAIN_VULNERABILITIES__DATABASE": "long-texts",
        "SECURECHAIN_STATE_DIR": str(shown.config.parent),
    }
    settings = load(shown.config, environment=variables)
    listener = listen("127.0.0.1", 0)
    assert listener is not None
    async with connect(addresses, settings) as stores:
        await _fill(stores, settings)
        app = build_app(Parts(stores, settings, Progress(lambda: 60.0), _TOKEN))
        serving = asyncio.create_task(serve(app, listener))
        yield ServedPage(f"http://127.0.0.1:{listener.getsockname()[1]}/login?token={_TOKEN}")
        serving.cancel()
        await asyncio.wait([serving])
        await app.close()


async def _fill(stores: Stores, settings: Settings) -> None:
    await _fill_graph(stores)
    await stores.advisories.upsert([_advisory()], _nothing_to_rate)
    await _fill_jobs(stores, settings)
    await _fill_queue(stores, settings)
    await _fill_dead_letters(stores, settings)
    await _fill_submissions(stores, settings)
    daemon = {"host": WORD, "pid": 1, "version": WORD, "started_at": _NOW, "in_flight": 10**9, "last_progress_at": WORD}
    seen_ms = int(datetime.now(UTC).timestamp() * 1000)
    beat = f"{seen_ms} {json.dumps({**daemon, 'stuck': SENTENCE})}"
    await _done(stores.redis.hset(Keys(settings.queue.stream).daemons, WORD, beat))


async def _fill_graph(stores: Stores) -> None:
    for ref, target in ((OTHER, PACKAGE), (PACKAGE, OTHER)):
        missing = PackageRef(NPM, f"{WORD}-missing", f"{WORD}-missing", f"{ref.purl}-missing")
        requirements = (Requirement(target, f"^{VERSION}"), Requirement(missing, WORD))
        versions = tuple(
            Version(name, f"{ref.purl}@{name}", _NOW, requirements, yanked=True, deprecated=True)
            for name in ("0.9.0", VERSION)
        )
        change = NamesChange(VERSION, "0.9.0", added=(WORD, ADDRESS), removed=(f"{WORD}/gone",))
        names = ImportNames((WORD, ADDRESS), error=SENTENCE, version=VERSION, change=change)
        package = Package(ref, SENTENCE, ADDRESS, versions, (), None, license=f"LicenseRef-{WORD}")
        ratings = {VERSION: Rating(9.8, 9.8, (ADVISORY,))}
        await stores.graph.write([PackageWrite(package, ratings, names, datetime.now(UTC), (), follow=False)])
        await stores.changes.keep(versions[1].purl, change, NPM)


def _advisory() -> dict[str, Any]:
    affected = {
        "package": {"ecosystem": "npm", "name": WORD},
        "versions": [VERSION],
        "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": f"2.0.0-{WORD}"}]}],
    }
    texts: dict[str, Any] = {"summary": SENTENCE, "details": f"{SENTENCE}\n\n| {WORD} | {WORD} |\n\t{WORD}"}
    texts |= {"aliases": [f"CVE-{WORD}-{number}" for number in range(7)]}
    texts |= {"references": [{"type": "WEB", "url": ADDRESS}]}
    moments = {"modified": _NOW, "published": _NOW, "withdrawn": _NOW}
    return {"id": ADVISORY, "affected": [affected], **moments, **texts}


async def _nothing_to_rate(_: object) -> None:
    return


async def _fill_jobs(stores: Stores, settings: Settings) -> None:
    redis, stream = stores.redis, settings.queue.stream
    run = Run(
        id=RUN,
        job=JOB,
        trigger=WORD,
        host=WORD,
        pid=10**9,
        started_at=_AT,
        scheduled_for=_AT,
        resumes=RUN,
        ended_at=_AT + timedelta(days=1000),
        outcome="failed",
        error=SENTENCE,
        requests=10**12,
        received_bytes=10**15,
        cursor_before=WORD,
        cursor_after=ADDRESS,
        options={WORD: WORD},
        metrics={WORD: 10.0**15, "errors": 1.0},
    )
    other = run.model_copy(update={"id": f"{RUN}-{WORD}", "outcome": f"outcome_{WORD}"})
    for each in (run, other):
        await stores.runs.save(each)
    counts: Any = {f"{RUN}:{word}": 10**9 for word in ("succeeded", "failed", "merged", "cancelled", "purged")}
    await _done(redis.hset(Keys(stream).run_counts, mapping=counts))
    board = Board(redis, stream)
    await board.override("pypi_packages_updates", enabled=False)
    await board.request("rubygems_packages_updates", RunRequest(f"{RUN}-waits", {WORD: WORD}))
    cursors = Cursors(redis, stream)
    for declaration in DECLARATIONS:
        await cursors.move(declaration.name, WORD, RUN)
    for osv in BY_OSV:
        await cursors.move(cursor_name(osv), WORD, RUN)


async def _fill_queue(stores: Stores, settings: Settings) -> None:
    """Put messages into each lane of npm: one that waits, one that is in work, and one that is tried again."""
    redis, queue = stores.redis, settings.queue
    keys = Keys(queue.stream)
    history = History("1-1", 10**6, _NOW, SENTENCE, 0)
    for lane in LANES:
        asked = [Message("NPMPackage", f"{WORD}-{lane}-{number}", run=RUN) for number in range(2)]
        await enqueue(redis, queue, "npm", lane, asked)
        stream, group = keys.lane("npm", lane), queue.group
        await _done(redis.xgroup_create(stream, group, id="0"))
        await _done(redis.xreadgroup(group, WORD, {stream: ">"}, count=1))
        again = Message("NPMPackage", f"{WORD}-{lane}-again", run=RUN)
        fields = entry_fields(encode(again), run=RUN, history=history)
        packed = await _done(redis.eval("return cmsgpack.pack(ARGV)", 0, *fields))
        await _done(redis.hset(keys.payloads("npm", lane), f"{WORD}-1-1", packed))
        await _done(redis.zadd(keys.retries("npm", lane), {f"{WORD}-1-1": 4_000_000_000_000}))
    not_a_name = f"-{WORD} {WORD}"
    await enqueue(redis, queue, "npm", Lane.ASKED, [Message("NPMPackage", not_a_name)])
    await _done(redis.hset(keys.counters, mapping={"total_processed": 10**15, "successful": 10**15}))
    pypi, npm = (declaration.ecosystem.endpoint for declaration in DECLARATIONS if declaration.name in ("pypi", "npm"))
    for endpoint in (pypi, npm):
        await Breakers(redis, keys).failed(endpoint, WORD, SENTENCE, is_probe=False, pause_s=86_400)
    await pause(redis, keys, "cargo")


async def _fill_dead_letters(stores: Stores, settings: Settings) -> None:
    message = {"node_type": "NPMPackage", "package": WORD, "vendor": SENTENCE, "run": RUN, "repository_url": ADDRESS}
    payloads = (json.dumps(message), WORD, json.dumps({WORD: [{WORD: [WORD, ADDRESS]}]}), "")
    for number, kind in enumerate(LETTERS, 1):
        fields: dict[Any, Any] = dict.fromkeys(
            ("error", "origin_id", "lane", "first_failed_at", "last_failed_at"), SENTENCE
        )
        fields |= {"data": payloads[number % len(payloads)], "kind": kind, "attempts": "9" * 18}
        letters = Keys(settings.queue.stream).dead_letters
        await _done(stores.redis.xadd(letters, fields, id=f"1-{number}"))


async def _fill_submissions(stores: Stores, settings: Settings) -> None:
    redis, stream = stores.redis, settings.queue.stream
    about = json.dumps({"package": f"npm:{WORD}", "at": _AT.timestamp()})
    data = json.dumps({"node_type": "NPMPackage", "package": WORD})
    for run in (WAITING, FAILED, STORED):
        await Outcomes(redis, stream, run, wait=True).begin(about)
    ended: dict[Any, Any] = {"data": data, "kind": LETTERS[-1], "reason": SENTENCE}
    await _done(redis.xadd(Keys(stream).outcomes(FAILED), ended))
    await _done(redis.xadd(Keys(stream).outcomes(STORED), {"data": data}))


async def _done(command: Any) -> Any:
    """Return what a command of Redis gives; the driver's types leave open whether it is awaited."""
    return await command
