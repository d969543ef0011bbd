"""A run of a job has what the job is asked to do, how far it has come, and what is kept of it.

Another release may have written what is read here. Fields that this release does not know are kept and written again;
words that it does not know (a trigger, an outcome) are kept like any other text.
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
"""A run that only follows a feed has this option; its value is `feed` or `hints`."""


def utc_now() -> datetime:
    """Return the current time to the millisecond, as MongoDB keeps it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def new_run_id(now: datetime) -> str:
    """Return a unique id without colons. Ids sort by the time at which they were made."""
    return f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03}-{secrets.token_hex(3)}"


@dataclass(slots=True)
class Run:
    """A run belongs to one daemon. The job fills in the metrics and the cursors while it works; they are saved soon."""

    id: str
    job: str
    trigger: str = "command"
    """This is a `Trigger`, or the word of another release."""
    host: str = field(default_factory=socket.gethostname)
    """The host and `pid` identify the daemon."""
    pid: int = field(default_factory=os.getpid)
    started_at: datetime = field(default_factory=utc_now)
    scheduled_for: datetime | None = None
    """The run was due at this time; it is None for a run that a command asked for."""
    resumes: str | None = None
    """This is the id of the interrupted run that this one continues."""
    breakdowns: int = 0
    """So many of its predecessors in a row lost their daemon."""
    ended_at: datetime | None = None
    outcome: str = "running"
    """This is a `RunOutcome`, or the word of another release."""
    error: str | None = None
    error_kind: str | None = None
    requests: int = 0
    """The job itself has made so many requests to registries. The packages that it queued are read later."""
    received_bytes: int = 0
    cursor_before: str | None = None
    cursor_after: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    """These are wishes beyond the schedule, such as {"reconcile": "true"}."""
    metrics: dict[str, float] = field(default_factory=dict)
    settled: bool = False
    """This says whether the metrics have the final counts of the packages that the run queued."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """These are fields of another release, which this one only keeps."""

    @property
    def is_look(self) -> bool:
        """Return whether the run only follows a feed, as `[follow]` says, and leaves comparisons to the daily
        updates."""
        return LOOK in self.options

    @property
    def is_worth_a_record(self) -> bool:
        """Return whether the run is more than a look that has found nothing."""
        has_found = any(self.metrics.get(name) for name in ("queued", "errors", "names_compared"))
        return not self.is_look or has_found or self.outcome == "failed"


Job = Callable[[Run], Awaitable[object]]
"""A job is work that is done at its times; it raises IngestError when the work could not be done."""

_ADAPTER = TypeAdapter(Run)
_KNOWN = frozenset(each.name for each in dataclasses.fields(Run)) - {"more"}
_ALWAYS_THERE = frozenset({"id", "job", "trigger", "host", "pid", "started_at"})


def plain(run: Run) -> dict[str, Any]:
    """Return the fields of a run as a document."""
    return {**run.more, **{name: getattr(run, name) for name in _KNOWN}}


def from_plain(document: Mapping[str, Any]) -> Run:
    """Return the run that `plain` of this or another release has described. Raise ValueError for anything else."""
    if missing := _ALWAYS_THERE - document.keys():
        msg = f"{min(missing)}: it is missing"
        raise ValueError(msg)
    known = {name: value for name, value in document.items() if name in _KNOWN}
    return _ADAPTER.validate_python(
        {**known, "more": {name: value for name, value in document.items() if name not in _KNOWN}}
    )


def as_json(run: Run) -> str:
    """Return the run in the form in which Redis keeps it."""
    return orjson.dumps(plain(run)).decode()


def from_json(text: str | bytes) -> Run:
    """Return the run that `as_json` of this or another release has written. Raise ValueError for anything else."""
    document = orjson.loads(text)
    if not isinstance(document, dict):
        msg = "a record is a JSON object"
        raise ValueError(msg)  # noqa: TRY004  # of the kind that orjson and pydantic raise
    return from_plain(document)


def first_line(error: Exception) -> str:
    """Return in one line which field is wrong and why."""
    if isinstance(error, ValidationError):
        wrong = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, wrong['loc'])) or 'the record'}: {wrong['msg']}"
    return str(error)
