"""One run of a job: what the job is told, how far it has come, and what is kept of it.

Another release may have written what is read here. Fields that this one does not know are kept and written again; words
that it does not know (a trigger, an outcome) are texts like any other.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson
from pydantic import TypeAdapter, ValidationError

Trigger = Literal["schedule", "catch_up", "command", "resume"]
RunOutcome = Literal["running", "succeeded", "failed", "interrupted"]
"""`interrupted` is a run whose daemon was stopped or has died, and which another run resumes."""


LOOK: Final = "follow"
"""The option of a run that only follows a feed; its value is `feed` or `hints`."""


def utc_now() -> datetime:
    """The time to the millisecond, as MongoDB keeps it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def new_run_id(now: datetime) -> str:
    """A unique id without colons. Ids sort by the time of their making."""
    return f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03}-{secrets.token_hex(3)}"


@dataclass(slots=True)
class Run:
    """A run belongs to one daemon. The job fills in the metrics and the cursors while it works; they are saved soon."""

    id: str
    job: str
    trigger: str = "command"
    """A `Trigger`, or the word of another release."""
    host: str = field(default_factory=socket.gethostname)
    """Host and `pid` tell which daemon it is."""
    pid: int = field(default_factory=os.getpid)
    started_at: datetime = field(default_factory=utc_now)
    scheduled_for: datetime | None = None
    """The time at which it was due; None for a run that a command asked for."""
    resumes: str | None = None
    """The id of the interrupted run that this one goes on with."""
    breakdowns: int = 0
    """How often in a row its predecessors lost their daemon."""
    ended_at: datetime | None = None
    outcome: str = "running"
    """An `RunOutcome`, or the word of another release."""
    error: str | None = None
    error_kind: str | None = None
    requests: int = 0
    """Requests of the job itself to registries: the packages that it queued are read later."""
    received_bytes: int = 0
    cursor_before: str | None = None
    cursor_after: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    """What was asked for beyond the schedule, such as {"reconcile": "true"}."""
    metrics: dict[str, float] = field(default_factory=dict)
    settled: bool = False
    """Whether the metrics hold the final counts of the packages that the run queued."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Fields of another release, which this one only keeps."""

    @property
    def is_look(self) -> bool:
        """Whether it only follows a feed, as `[follow]` says, and leaves comparisons to the daily updates."""
        return LOOK in self.options

    @property
    def is_worth_a_record(self) -> bool:
        """Whether it is more than a look that has found nothing."""
        has_found = any(self.metrics.get(name) for name in ("queued", "errors", "names_compared"))
        return not self.is_look or has_found or self.outcome == "failed"


Job = Callable[[Run], Awaitable[object]]
"""Work that is done at its times; it raises IngestError when it could not be done."""

_ADAPTER = TypeAdapter(Run)
_KNOWN = frozenset(each.name for each in dataclasses.fields(Run)) - {"more"}
_ALWAYS_THERE = frozenset({"id", "job", "trigger", "host", "pid", "started_at"})


def plain(run: Run) -> dict[str, Any]:
    """The fields of a run as a document."""
    return {**run.more, **{name: getattr(run, name) for name in _KNOWN}}


def from_plain(document: Mapping[str, Any]) -> Run:
    """The run that `plain` of this or another release has described. Raises ValueError for anything else."""
    if missing := _ALWAYS_THERE - document.keys():
        msg = f"{min(missing)}: it is missing"
        raise ValueError(msg)
    known = {name: value for name, value in document.items() if name in _KNOWN}
    return _ADAPTER.validate_python(
        {**known, "more": {name: value for name, value in document.items() if name not in _KNOWN}}
    )


def as_json(run: Run) -> str:
    """The run as it stands in Redis."""
    return orjson.dumps(plain(run)).decode()


def from_json(text: str | bytes) -> Run:
    """The run that `as_json` of this or another release has written. Raises ValueError for anything else."""
    document = orjson.loads(text)
    if not isinstance(document, dict):
        msg = "a record is a JSON object"
        raise ValueError(msg)  # noqa: TRY004  # of the kind that orjson and pydantic raise
    return from_plain(document)


def first_line(error: Exception) -> str:
    """Which field is wrong and why, in one line."""
    if isinstance(error, ValidationError):
        wrong = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, wrong['loc'])) or 'the record'}: {wrong['msg']}"
    return str(error)
