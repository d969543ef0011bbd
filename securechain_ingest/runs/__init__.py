"""A run of a job has what the job is asked to do, how far it has come, and what is kept of it.

Another release may have written what is read here. Fields that this release does not know are kept and written again;
words that it does not know (a trigger, an outcome) are kept like any other text. Reading anything else as a run raises
ValueError.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

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


class Run(BaseModel):
    """A run belongs to one daemon. The job fills in the metrics and the cursors while it works; they are saved soon."""

    model_config = ConfigDict(extra="allow")

    id: str
    job: str
    trigger: str = "command"
    """This is a `Trigger`, or the word of another release."""
    host: str = Field(default_factory=socket.gethostname)
    """The host and `pid` identify the daemon."""
    pid: int = Field(default_factory=os.getpid)
    started_at: datetime
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
    options: Mapping[str, str] = {}
    """These are wishes beyond the schedule, such as {"reconcile": "true"}."""
    metrics: dict[str, float] = {}
    settled: bool = False
    """This says whether the metrics have the final counts of the packages that the run queued."""

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

    def lost(self, ended_at: datetime) -> Run:
        """Return the run with the end that another daemon writes for it when its own has gone."""
        reason = f"its daemon (pid {self.pid} on {self.host}) has gone"
        end = {"outcome": "interrupted", "ended_at": ended_at, "error": reason, "error_kind": "interrupted"}
        return self.model_copy(update=end)


Job = Callable[[Run], Awaitable[object]]
"""A job is work that is done at its times; it raises IngestError when the work could not be done."""


def first_line(error: ValueError) -> str:
    """Return in one line which field is wrong and why."""
    if isinstance(error, ValidationError):
        wrong = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, wrong['loc'])) or 'the record'}: {wrong['msg']}"
    return str(error)
