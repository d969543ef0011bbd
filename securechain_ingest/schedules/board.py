"""What daemons on one Redis and the command line share of the schedules: ticks, runs under way, overrides, requests.

Methods raise RedisError; the scheduler tries again, the command line turns it into one line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from redis.asyncio import Redis

from securechain_ingest.runs.records import RunRecord, as_json, from_json
from securechain_ingest.schedules import scripts

Answer = Literal["started", "busy", "taken"]


@dataclass(frozen=True, slots=True)
class Request:
    """A run that a command asks for."""

    run_id: str
    options: Mapping[str, str]


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
        self._prefix = f"{stream}-schedules"
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
            ticks={job: int(tick) for job, tick in ticks.items()},
            marks={job: from_json(mark) for job, mark in marks.items()},
            overrides={job: value == "enabled" for job, value in overrides.items()},
            requests={job: Request(**json.loads(request)) for job, request in requests.items()},
        )

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
        args: list[str | int] = [*_start(record, lease_s), _request_json(request)]
        return _answer(await self._start_request(keys=keys, args=args))

    async def resume(self, record: RunRecord, abandoned: RunRecord, lease_s: float) -> Answer:
        """Begin a run in place of one whose daemon has gone."""
        args: list[str | int] = [*_start(record, lease_s), as_json(abandoned)]
        return _answer(await self._resume(keys=self._run_keys(record.job), args=args))[0]

    async def give_up(self, abandoned: RunRecord) -> bool:
        """Resume it no more; False if its daemon is alive or another one was faster."""
        keys = self._run_keys(abandoned.job)
        return bool(await self._give_up(keys=keys, args=[abandoned.job, as_json(abandoned)]))

    async def renew(self, record: RunRecord, lease_s: float) -> bool:
        """Hold the lease for another `lease_s`; False if it is lost."""
        return bool(await self._renew(keys=self._run_keys(record.job), args=_start(record, lease_s)))

    async def end(self, record: RunRecord) -> None:
        """The run is over. Nothing happens if another run has taken its place."""
        args = [record.job, record.id, as_json(record), ""]
        await self._end(keys=self._run_keys(record.job), args=args)

    async def hand_over(self, record: RunRecord, interrupted: RunRecord) -> None:
        """Leave a run to be resumed, at once, by any daemon."""
        args = [record.job, record.id, as_json(record), as_json(interrupted)]
        await self._end(keys=self._run_keys(record.job), args=args)

    async def override(self, job: str, *, enabled: bool) -> None:
        """Enable or disable a job, whatever the configuration says."""
        await self._redis.hset(self._key("overrides"), job, _word(enabled))

    async def drop_override(self, job: str, *, enabled: bool) -> None:
        """Forget an override that says no more than the configuration."""
        await self._drop_override(keys=[self._key("overrides")], args=[job, _word(enabled)])

    async def request(self, job: str, request: Request) -> str:
        """Ask for a run; returns its id: that of one which waits already, if any, and which takes the options over."""
        while True:
            held = await self._redis.hget(self._key("requests"), job)
            wanted = request
            if held is not None:
                waiting = Request(**json.loads(held))
                wanted = Request(waiting.run_id, {**waiting.options, **request.options})
            args = [job, held or "", _request_json(wanted)]
            if await self._replace_request(keys=[self._key("requests")], args=args):
                return wanted.run_id

    async def keep(self, record: RunRecord) -> None:
        """Keep the record of a run that has ended until it can be stored in MongoDB."""
        await self._redis.hset(self._key("unsaved"), record.id, as_json(record))

    async def kept(self) -> list[RunRecord]:
        return [from_json(text) for text in _decoded(await self._redis.hgetall(self._key("unsaved"))).values()]

    async def drop_kept(self, record: RunRecord) -> None:
        await self._redis.hdel(self._key("unsaved"), record.id)

    def _key(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def _run_keys(self, job: str) -> list[str]:
        return [self._key("marks"), self._key(f"lease:{job}")]


def _start(record: RunRecord, lease_s: float) -> list[str | int]:
    return [record.job, record.id, as_json(record), int(lease_s * 1000)]


def _answer(reply: Any) -> tuple[Answer, RunRecord | None]:
    word = reply[0].decode()
    return word, from_json(reply[1]) if len(reply) > 1 and reply[1] else None


def _decoded(fields: Any) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in fields.items()}


def _request_json(request: Request) -> str:
    return json.dumps({"run_id": request.run_id, "options": dict(request.options)}, sort_keys=True)


def _word(enabled: bool) -> str:
    return "enabled" if enabled else "disabled"
