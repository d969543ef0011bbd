"""What daemons on one Redis and the command line share of the schedules: ticks, runs under way, overrides, requests.

Methods raise RedisError; the scheduler tries again, the command line turns it into one line. What a daemon of another
release has written there is read as far as it can be: an unreadable entry is logged once and passed over, and costs no
other job.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar

import orjson
import structlog
from redis.asyncio import Redis

from securechain_ingest.queue.keys import Keys
from securechain_ingest.runs import Run, as_json, first_line, from_json
from securechain_ingest.schedules import scripts

Claim = tuple[Literal["tick", "look", "request", "resume"], str | int]
"""What makes a run begin: a tick (seconds since the epoch), a look (its name, a space and such a time), the text of a
request, or the id of a run left behind."""

Answer = Literal["started", "busy", "taken"]
"""Whether a run has begun, another one of its job is under way, or somebody else has had the claim."""

T = TypeVar("T")

logger = structlog.get_logger(__name__)

_WORDS = {True: "enabled", False: "disabled"}


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run that a command asks for."""

    run_id: str
    options: Mapping[str, str]
    text: str = ""
    """The request as it stands in Redis, by which it is told from another one; empty for one that is not there yet."""


@dataclass(frozen=True, slots=True)
class State:
    """Everything on the board at one moment, by job."""

    ticks: Mapping[str, int]
    """The last tick that was claimed, in seconds since the epoch; before the first one, when the job was first seen."""
    under_way: Mapping[str, Run]
    """Runs under way as they began, or whose daemon has gone."""
    overrides: Mapping[str, bool]
    """Whether a job is enabled, where a command has said so."""
    requests: Mapping[str, RunRequest]
    looks: Mapping[str, int]
    """The time of the last look, in seconds since the epoch, by the name of the look."""


@dataclass(frozen=True, slots=True)
class EmptyLooks:
    """Looks at a feed that found nothing to queue, of which there are no records."""

    count: int
    last_at: str
    """ISO 8601, UTC."""


class Board:
    """Its keys are named after the stream, so that installations can share a Redis."""

    def __init__(self, redis: Redis, stream: str) -> None:
        self._redis = redis
        self._key = Keys(stream).schedules
        self._reported: dict[tuple[str, str], str] = {}
        """Unreadable entries that the log has named already, by hash and field."""

    async def state(self) -> State:
        """Everything at one moment."""
        async with self._redis.pipeline(transaction=True) as pipeline:
            for name in ("ticks", "marks", "overrides", "requests", "looks"):
                pipeline.hgetall(self._key(name))
            ticks, under_way, overrides, requests, looks = [_decoded(each) for each in await pipeline.execute()]
        return State(
            ticks=self._read("ticks", ticks, int),
            under_way=self._read("marks", under_way, from_json),
            overrides=self._read("overrides", overrides, _override),
            requests=self._read("requests", requests, _request),
            looks=self._read("looks", looks, int),
        )

    def _read(self, name: str, entries: Mapping[str, str], read: Callable[[str], T]) -> dict[str, T]:
        """The entries of one hash; an entry that `read` cannot read is logged once and left out."""
        found: dict[str, T] = {}
        for entry, text in entries.items():
            try:
                found[entry] = read(text)
            except ValueError as error:
                if self._reported.get((name, entry)) != text:
                    self._reported[name, entry] = text
                    reason = first_line(error)
                    logger.error("schedule_entry_unreadable", hash=self._key(name), entry=entry, reason=reason)
        return found

    async def first_seen(self, job: str, now: datetime) -> None:
        """Let the ticks after `now` count, unless earlier ones do already."""
        await self._redis.hsetnx(self._key("ticks"), job, int(now.timestamp()))

    async def forget_ticks(self, job: str) -> None:
        """Let nothing be caught up that a job misses while it is disabled."""
        await self._redis.hdel(self._key("ticks"), job)

    async def start(self, run: Run, claim: Claim, lease_s: float) -> tuple[Answer, Run | None]:
        """Claim the run and begin it in one step; the run whose daemon has gone, if one has left something behind."""
        how, value = claim
        keys = {name: self._key(name) for name in ("ticks", "looks", "requests")}
        reply = await scripts.START.run(self._redis, **keys, **self._lease(run, lease_s), how=how, claim=value)
        left = self._read("marks", {run.job: reply[1].decode()} if len(reply) > 1 and reply[1] else {}, from_json)
        return reply[0].decode(), left.get(run.job)

    async def renew(self, run: Run, lease_s: float) -> bool:
        """Hold the lease for another `lease_s`; False if it is lost."""
        return bool(await scripts.RENEW.run(self._redis, **self._lease(run, lease_s)))

    async def end(self, run: Run, *, record: str = "", only_if_gone: bool = False) -> bool:
        """Say that the run is over, or leave its `record` (JSON) for any daemon to resume the run at once.

        Nothing happens and the answer is False if another run has taken its place or, where that is asked, if the
        daemon of the run is alive.
        """
        given = self._run(run) | {"record": record, "only_if_gone": int(only_if_gone)}
        return bool(await scripts.END.run(self._redis, **given))

    async def override(self, job: str, *, enabled: bool) -> None:
        """Enable or disable a job, whatever the configuration says."""
        await self._redis.hset(self._key("overrides"), job, _WORDS[enabled])

    async def drop_override(self, job: str, *, enabled: bool) -> None:
        """Forget an override that says no more than the configuration."""
        await self._replace("overrides", job, _WORDS[enabled], "")

    async def request(self, job: str, request: RunRequest) -> str:
        """Ask for a run and return its id. A request that waits already takes the options over, and its id is given."""
        while True:
            held: Any = await self._redis.hget(self._key("requests"), job)
            document: dict[str, Any] = {"run_id": request.run_id, "options": dict(request.options)}
            if waiting := self._read("requests", {job: held.decode()} if held else {}, _request).get(job):
                options = {**waiting.options, **request.options}
                document = {**orjson.loads(waiting.text), "options": options}
            if await self._replace("requests", job, held or "", orjson.dumps(document).decode()):
                return str(document["run_id"])

    async def count_empty_look(self, run: Run, now: datetime) -> None:
        """Count a look that found nothing, instead of keeping a record of it."""
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hincrby(self._key("empty-looks"), run.job, 1)
            pipeline.hset(self._key("empty-looks-at"), run.job, _iso(now))
            await pipeline.execute()

    async def empty_looks(self) -> dict[str, EmptyLooks]:
        """What is counted so, by job."""
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hgetall(self._key("empty-looks"))
            pipeline.hgetall(self._key("empty-looks-at"))
            counts, last = [_decoded(each) for each in await pipeline.execute()]
        return {job: EmptyLooks(int(count), last.get(job, "")) for job, count in counts.items()}

    async def keep(self, run: Run) -> None:
        """Keep the record of a run that has ended until it can be stored in MongoDB."""
        await self._redis.hset(self._key("unsaved"), run.id, as_json(run))

    async def kept(self) -> list[Run]:
        """The records that are kept so."""
        unsaved = _decoded(await self._redis.hgetall(self._key("unsaved")))
        return list(self._read("unsaved", unsaved, from_json).values())

    async def drop_kept(self, run: Run) -> None:
        """Forget a record that has been stored."""
        await self._redis.hdel(self._key("unsaved"), run.id)

    async def _replace(self, name: str, entry: str, seen: str | bytes, value: str) -> bool:
        return bool(await scripts.REPLACE.run(self._redis, hash=self._key(name), entry=entry, seen=seen, value=value))

    def _run(self, run: Run) -> dict[str, str | int]:
        lease = self._key(f"lease:{run.job}")
        return {"under_way": self._key("marks"), "lease": lease, "job": run.job, "run": run.id}

    def _lease(self, run: Run, lease_s: float) -> dict[str, str | int]:
        return self._run(run) | {"record": as_json(run), "lease_ms": int(lease_s * 1000)}


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _decoded(fields: Any) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in fields.items()}


def _request(text: str) -> RunRequest:
    """Raises ValueError for what is no request."""
    match orjson.loads(text):
        case {"run_id": str(run_id), "options": dict(options)}:
            return RunRequest(run_id, {str(name): str(value) for name, value in options.items()}, text)
    msg = "a request has a run_id and options"
    raise ValueError(msg)


def _override(text: str) -> bool:
    """Raises ValueError for the word of another release."""
    for enabled, word in _WORDS.items():
        if text == word:
            return enabled
    msg = f"{text!r} is neither enabled nor disabled"
    raise ValueError(msg)
