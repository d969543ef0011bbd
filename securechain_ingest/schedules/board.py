"""This is what the daemons on one Redis and the command line share about the schedules: ticks, runs under way,
overrides and requests.

Methods raise RedisError; the scheduler then tries again, and the command line shows it in one line. An entry that a
daemon of another release has written is read as far as possible: an unreadable entry is logged once and passed over,
and affects no other job.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar

import orjson
import structlog
from redis.asyncio import Redis

from securechain_ingest.queue.keys import Keys
from securechain_ingest.runs import Run, first_line
from securechain_ingest.schedules import scripts
from securechain_ingest.times import iso

Claim = tuple[Literal["ticks", "looks", "requests", "marks"], str, str | int]
"""A claim makes a run begin: it is a tick or a look (the name of a hash, the job or the look, and its time in seconds
since the epoch), a request (its job and text), or a run whose daemon has gone (its job and id)."""

Answer = Literal["started", "busy", "taken"]
"""The answer says whether a run has begun, another run of its job is under way, or the claim was already taken."""

T = TypeVar("T")

logger = structlog.get_logger(__name__)

_ENABLED = {"enabled": True, "disabled": False}
_WORDS = {enabled: word for word, enabled in _ENABLED.items()}


@dataclass(frozen=True, slots=True)
class RunRequest:
    """This is a run that a command asks for."""

    run_id: str
    options: Mapping[str, str]
    text: str = ""
    """This is the request as it stands in Redis, which distinguishes it from others; it is empty for a request that
    is not there yet."""


@dataclass(frozen=True, slots=True)
class State:
    """This is everything on the board at one moment, by job unless it says otherwise."""

    ticks: Mapping[str, int]
    """This is the last tick that was claimed, in seconds since the epoch. Before the first claim it is the time at
    which the job was first seen."""
    under_way: Mapping[str, Run]
    """These are the runs under way as they began, and runs whose daemon has gone."""
    overrides: Mapping[str, bool]
    """This says whether a job is enabled, for the jobs that a command has enabled or disabled."""
    requests: Mapping[str, RunRequest]
    looks: Mapping[str, int]
    """This has the time of the last look, in seconds since the epoch, by the name of the look."""
    paused: Set[str]
    """These are the ecosystems that an operator has paused."""


@dataclass(frozen=True, slots=True)
class EmptyLooks:
    """These are looks at a feed that found nothing to queue; they have no records."""

    count: int
    last_at: str
    """The last of them ended at this time (ISO 8601, UTC)."""


class Board:
    """The board is kept in Redis. Its keys are named after the stream, so that installations can share a Redis."""

    def __init__(self, redis: Redis, stream: str) -> None:
        self._redis = redis
        self._key = Keys(stream).schedules
        self._pauses = Keys(stream).pauses
        self._reported: dict[tuple[str, str], str] = {}
        """These are the unreadable entries that the log has already named, by hash and field."""

    async def state(self) -> State:
        """Return everything on the board at one moment."""
        async with self._redis.pipeline(transaction=True) as pipeline:
            for name in ("ticks", "marks", "overrides", "requests", "looks"):
                pipeline.hgetall(self._key(name))
            pipeline.hgetall(self._pauses)
            ticks, under_way, overrides, requests, looks, paused = map(_decoded, await pipeline.execute())
        return State(
            ticks=self._read("ticks", ticks, int),
            under_way=self._runs("marks", under_way),
            overrides=self._read("overrides", overrides, _override),
            requests=self._read("requests", requests, _request),
            looks=self._read("looks", looks, int),
            paused=frozenset(paused),
        )

    async def under_way(self) -> dict[str, Run]:
        """Return the runs under way by job."""
        return self._runs("marks", _decoded(await self._redis.hgetall(self._key("marks"))))

    def _runs(self, name: str, entries: Mapping[str, str]) -> dict[str, Run]:
        return self._read(name, entries, Run.model_validate_json)

    def _read(self, name: str, entries: Mapping[str, str], read: Callable[[str], T]) -> dict[str, T]:
        """Return the entries of one hash. An entry that `read` cannot read is logged once and left out."""
        found: dict[str, T] = {}
        for entry, text in entries.items():
            try:
                found[entry] = read(text)
            except ValueError as error:
                if self._reported.get((name, entry)) != text:
                    self._reported[name, entry] = text
                    logger.error(
                        "schedule_entry_unreadable", hash=self._key(name), entry=entry, reason=first_line(error)
                    )
        return found

    async def first_seen(self, job: str, now: datetime) -> None:
        """Let the ticks after `now` count, unless earlier ones already do."""
        await self._redis.hsetnx(self._key("ticks"), job, int(now.timestamp()))

    async def pass_over(self, job: str, tick: datetime) -> None:
        """Let only the ticks after this one count, or after a later one that is claimed already."""
        await scripts.PASS_OVER.run(self._redis, ticks=self._key("ticks"), job=job, tick=int(tick.timestamp()))

    async def forget_ticks(self, job: str) -> None:
        """Forget the ticks of a disabled job, so that it does not catch up what it has missed."""
        await self._redis.hdel(self._key("ticks"), job)

    async def start(self, run: Run, claim: Claim, lease_s: float, left: Run | None = None) -> Answer:
        """Claim the run and begin it. In the same step a run ends that its daemon has `left` on the board.

        If the run before it has ended after `started_at` was read from the clock, the run starts at that end.
        """
        name, field, value = claim
        # A run that was interrupted in an orderly way has its end already.
        gone = left if left is not None and left.outcome == "running" else None
        start = secrets.token_hex(8)
        while True:
            answer, *latest = await scripts.START.run(
                self._redis,
                **self._run(run),
                start=start,
                starts=self._key("starts"),
                unsaved=self._key("unsaved"),
                claimed=self._key(name),
                how=name,
                field=field,
                claim=value,
                gone=gone.id if gone else "",
                gone_record=gone.lost(run.started_at).model_dump_json() if gone else "",
                lease_ms=int(lease_s * 1000),
            )
            if not latest:
                found: Answer = answer.decode()
                return found
            run.started_at = datetime.fromisoformat(latest[0].decode())

    async def renew(self, run: Run, lease_s: float, *, written: str) -> str:
        """Hold the lease for another `lease_s` seconds and write how far the run has come in place of what was
        `written` before. Return what is written now, or "" if the lease is lost."""
        given = self._run(run) | {"lease_ms": int(lease_s * 1000), "written": written}
        return str(given["record"]) if await scripts.RENEW.run(self._redis, **given) else ""

    async def end(self, run: Run, *, is_given_up: bool = False) -> bool:
        """Keep the record of a run that is over, and give up its lease. Any daemon may resume a run that was
        interrupted. The result is False if another run has taken its place.

        A run whose daemon has gone is given up for good with `is_given_up`. Nothing is done, and the result is False,
        if that daemon is alive or another run has taken its place.
        """
        ended_at = run.ended_at or run.started_at
        given = self._run(run) | {
            "unsaved": self._key("unsaved"),
            "empty_looks": self._key("empty-looks"),
            "empty_looks_at": self._key("empty-looks-at"),
            "is_kept": int(run.is_worth_a_record),
            "is_resumable": int(run.outcome == "interrupted" and not is_given_up),
            "is_given_up": int(is_given_up),
            "ended_at": iso(ended_at),
            "latest_at": iso(ended_at, "milliseconds"),
        }
        return bool(await scripts.END.run(self._redis, **given))

    async def override(self, job: str, *, enabled: bool) -> None:
        """Enable or disable a job, whatever the configuration says."""
        await self._redis.hset(self._key("overrides"), job, _WORDS[enabled])

    async def drop_override(self, job: str, *, enabled: bool) -> None:
        """Delete an override that says the same as the configuration."""
        await self._replace("overrides", job, _WORDS[enabled], "")

    async def request(self, job: str, request: RunRequest) -> str:
        """Ask for a run and return its id. If a request already waits, it takes over the options, and its id is
        returned."""
        while True:
            held: Any = await self._redis.hget(self._key("requests"), job)
            document: dict[str, Any] = {"run_id": request.run_id, "options": dict(request.options)}
            if waiting := self._read("requests", {job: held.decode()} if held else {}, _request).get(job):
                options = {**waiting.options, **request.options}
                document = {**orjson.loads(waiting.text), "options": options}
            if await self._replace("requests", job, held or "", orjson.dumps(document).decode()):
                return str(document["run_id"])

    async def empty_looks(self) -> dict[str, EmptyLooks]:
        """Return by job the looks that found nothing."""
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hgetall(self._key("empty-looks"))
            pipeline.hgetall(self._key("empty-looks-at"))
            counts, last = [_decoded(each) for each in await pipeline.execute()]
        return {job: EmptyLooks(int(count), last.get(job, "")) for job, count in counts.items()}

    async def kept(self) -> list[Run]:
        """Return the records of runs that still have to be stored in MongoDB."""
        unsaved = _decoded(await self._redis.hgetall(self._key("unsaved")))
        return list(self._runs("unsaved", unsaved).values())

    async def drop_kept(self, run: Run) -> None:
        """Delete a record from Redis that has been stored in MongoDB."""
        await self._redis.hdel(self._key("unsaved"), run.id)

    async def _replace(self, name: str, field: str, seen: str | bytes, value: str) -> bool:
        return bool(await scripts.REPLACE.run(self._redis, hash=self._key(name), field=field, seen=seen, value=value))

    def _run(self, run: Run) -> dict[str, str | int]:
        keys = {"under_way": "marks", "lease": f"lease:{run.job}", "latest": "latest"}
        about: dict[str, str | int] = {key: self._key(name) for key, name in keys.items()}
        started_at = iso(run.started_at, "milliseconds")
        return about | {"job": run.job, "run": run.id, "started_at": started_at, "record": run.model_dump_json()}


def _decoded(fields: Any) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in fields.items()}


def _request(text: str) -> RunRequest:
    """Return the request in a text. Raise ValueError if the text is not a request."""
    match orjson.loads(text):
        case {"run_id": str(run_id), "options": dict(options)}:
            return RunRequest(run_id, {str(name): str(value) for name, value in options.items()}, text)
    msg = "a request has a run_id and options"
    raise ValueError(msg)


def _override(text: str) -> bool:
    """Return whether the override enables its job. Raise ValueError for a word of another release."""
    if text not in _ENABLED:
        msg = f"{text!r} is not a known word"
        raise ValueError(msg)
    return _ENABLED[text]
