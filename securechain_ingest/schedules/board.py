"""What daemons on one Redis and the command line share of the schedules: ticks, runs under way, overrides, requests.

Methods raise RedisError; the scheduler tries again, the command line turns it into one line. What a daemon of another
release has written there is read as far as it can be: an unreadable entry is told once and passed over, and costs no
other job.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeVar

import orjson
import structlog
from redis.asyncio import Redis

from securechain_ingest.queue.keys import Keys
from securechain_ingest.runs.records import RunRecord, as_json, first_line, from_json
from securechain_ingest.schedules import scripts

Answer = Literal["started", "busy", "taken"]

T = TypeVar("T")

logger = structlog.get_logger(__name__)

_WORDS = {True: "enabled", False: "disabled"}


@dataclass(frozen=True, slots=True)
class Request:
    """A run that a command asks for."""

    run_id: str
    options: Mapping[str, str]
    more: Mapping[str, Any] = field(default_factory=dict)
    """Fields of another release, which this one only keeps."""
    text: str = ""
    """As it stands in Redis, by which it is told from another one; empty for one that is still to be written."""


@dataclass(frozen=True, slots=True)
class State:
    """All of it at one moment, by job."""

    ticks: Mapping[str, int]
    """The last tick that was claimed, in seconds since the epoch; before the first one, when the job was first seen."""
    marks: Mapping[str, RunRecord]
    """Runs under way as they began, or whose daemon has gone."""
    overrides: Mapping[str, bool]
    """Whether a job is enabled, where a command has said so."""
    requests: Mapping[str, Request]


class Board:
    """Its keys are named after the stream, so that installations can share a Redis."""

    def __init__(self, redis: Redis, stream: str) -> None:
        self._redis = redis
        self._key = Keys(stream).schedules
        self._told: dict[tuple[str, str], str] = {}
        """Unreadable entries that the log has named already, by hash and field."""
        self._start_tick = redis.register_script(scripts.START_TICK)
        self._start_request = redis.register_script(scripts.START_REQUEST)
        self._resume = redis.register_script(scripts.RESUME)
        self._give_up = redis.register_script(scripts.GIVE_UP)
        self._renew = redis.register_script(scripts.RENEW)
        self._end = redis.register_script(scripts.END)
        self._replace_request = redis.register_script(scripts.REPLACE_REQUEST)
        self._drop_override = redis.register_script(scripts.DROP_OVERRIDE)

    async def state(self) -> State:
        async with self._redis.pipeline(transaction=True) as pipeline:
            for name in ("ticks", "marks", "overrides", "requests"):
                pipeline.hgetall(self._key(name))
            ticks, marks, overrides, requests = [_decoded(each) for each in await pipeline.execute()]
        return State(
            ticks=self._read("ticks", ticks, int),
            marks=self._read("marks", marks, from_json),
            overrides=self._read("overrides", overrides, _override),
            requests=self._read("requests", requests, _request),
        )

    def _read(self, name: str, entries: Mapping[str, str], read: Callable[[str], T]) -> dict[str, T]:
        """The entries of one hash; what `read` cannot read is told once and left out."""
        found: dict[str, T] = {}
        for entry, text in entries.items():
            try:
                found[entry] = read(text)
            except ValueError as error:
                if self._told.get((name, entry)) != text:
                    self._told[name, entry] = text
                    logger.error(
                        "schedule_entry_unreadable", hash=self._key(name), entry=entry, reason=first_line(error)
                    )
        return found

    async def first_seen(self, job: str, now: datetime) -> None:
        """Let the ticks after `now` count, unless earlier ones do already."""
        await self._redis.hsetnx(self._key("ticks"), job, int(now.timestamp()))

    async def forget_ticks(self, job: str) -> None:
        """Of a job that is disabled: what it misses meanwhile is not caught up."""
        await self._redis.hdel(self._key("ticks"), job)

    async def start_tick(self, record: RunRecord, tick: datetime, lease_s: float) -> tuple[Answer, RunRecord | None]:
        """Claim a tick and begin its run, which `record` describes, in one step; with what an earlier one has left."""
        keys = [self._key("ticks"), *self._run_keys(record.job)]
        args: list[str | int] = [*_start(record, lease_s), int(tick.timestamp())]
        return _answer(await self._start_tick(keys=keys, args=args))

    async def start_request(
        self, record: RunRecord, request: Request, lease_s: float
    ) -> tuple[Answer, RunRecord | None]:
        """Take a request and begin its run in one step."""
        keys = [self._key("requests"), *self._run_keys(record.job)]
        args: list[str | int] = [*_start(record, lease_s), request.text or _request_json(request)]
        return _answer(await self._start_request(keys=keys, args=args))

    async def resume(self, record: RunRecord, abandoned: RunRecord, lease_s: float) -> Answer:
        """Begin a run in place of one whose daemon has gone."""
        args: list[str | int] = [*_start(record, lease_s), abandoned.id]
        return _answer(await self._resume(keys=self._run_keys(record.job), args=args))[0]

    async def give_up(self, abandoned: RunRecord) -> bool:
        """Resume it no more; False if its daemon is alive or another one was faster."""
        keys = self._run_keys(abandoned.job)
        return bool(await self._give_up(keys=keys, args=[abandoned.job, abandoned.id]))

    async def renew(self, record: RunRecord, lease_s: float) -> bool:
        """Hold the lease for another `lease_s`; False if it is lost."""
        return bool(await self._renew(keys=self._run_keys(record.job), args=_start(record, lease_s)))

    async def end(self, record: RunRecord) -> None:
        """The run is over. Nothing happens if another run has taken its place."""
        args = [record.job, record.id, ""]
        await self._end(keys=self._run_keys(record.job), args=args)

    async def hand_over(self, record: RunRecord, interrupted: RunRecord) -> None:
        """Leave a run to be resumed, at once, by any daemon."""
        args = [record.job, record.id, as_json(interrupted)]
        await self._end(keys=self._run_keys(record.job), args=args)

    async def override(self, job: str, *, enabled: bool) -> None:
        """Enable or disable a job, whatever the configuration says."""
        await self._redis.hset(self._key("overrides"), job, _WORDS[enabled])

    async def drop_override(self, job: str, *, enabled: bool) -> None:
        """Forget an override that says no more than the configuration."""
        await self._drop_override(keys=[self._key("overrides")], args=[job, _WORDS[enabled]])

    async def request(self, job: str, request: Request) -> str:
        """Ask for a run; returns its id: that of one which waits already, if any, and which takes the options over."""
        while True:
            held: Any = await self._redis.hget(self._key("requests"), job)
            waiting = self._read("requests", {job: held.decode()} if held else {}, _request).get(job)
            wanted = request
            if waiting is not None:
                options = {**waiting.options, **request.options}
                wanted = Request(waiting.run_id, options, {**waiting.more, **request.more})
            args = [job, held or "", _request_json(wanted)]
            if await self._replace_request(keys=[self._key("requests")], args=args):
                return wanted.run_id

    async def keep(self, record: RunRecord) -> None:
        """Keep the record of a run that has ended until it can be stored in MongoDB."""
        await self._redis.hset(self._key("unsaved"), record.id, as_json(record))

    async def kept(self) -> list[RunRecord]:
        unsaved = _decoded(await self._redis.hgetall(self._key("unsaved")))
        return list(self._read("unsaved", unsaved, from_json).values())

    async def drop_kept(self, record: RunRecord) -> None:
        await self._redis.hdel(self._key("unsaved"), record.id)

    def _run_keys(self, job: str) -> list[str]:
        return [self._key("marks"), self._key(f"lease:{job}")]


def _start(record: RunRecord, lease_s: float) -> list[str | int]:
    return [record.job, record.id, as_json(record), int(lease_s * 1000)]


def _answer(reply: Any) -> tuple[Answer, RunRecord | None]:
    """The word, and the mark of a run that was broken off, if there is one that can be read."""
    word = reply[0].decode()
    if len(reply) < 2 or not reply[1]:
        return word, None
    try:
        return word, from_json(reply[1])
    except ValueError as error:
        logger.error("abandoned_run_unreadable", reason=first_line(error))
        return word, None


def _decoded(fields: Any) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in fields.items()}


def _request_json(request: Request) -> str:
    return orjson.dumps({**request.more, "run_id": request.run_id, "options": dict(request.options)}).decode()


def _request(text: str) -> Request:
    """Raises ValueError for what is no request."""
    match orjson.loads(text):
        case {"run_id": str(run_id), "options": dict(options), **more}:
            texts = {str(name): str(value) for name, value in options.items()}
            return Request(run_id, texts, {str(name): value for name, value in more.items()}, text)
    msg = "a request has a run_id and options"
    raise ValueError(msg)


def _override(text: str) -> bool:
    """Raises ValueError for the word of another release."""
    for enabled, word in _WORDS.items():
        if text == word:
            return enabled
    msg = f"{text!r} is neither enabled nor disabled"
    raise ValueError(msg)
