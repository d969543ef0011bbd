"""This module says when jobs run: at the moments that a cron expression names in a time zone, across its changes of the
clock (found with cronsim), and every so often where a feed is followed beside the daily updates (`[follow]`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from securechain_ingest.ecosystem_settings import JOBS, FollowSettings, ScheduleSettings
from securechain_ingest.registries import DECLARATIONS
from securechain_ingest.runs import LOOK


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job runs at the moments of a cron expression in a time zone of the IANA database."""

    cron: str
    timezone: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class Look:
    """Every `period_s` seconds a look follows a feed, or reads the hints at changes between two looks at the feed."""

    job: str
    period_s: float
    options: Mapping[str, str]

    def due_at(self, now: datetime) -> int:
        """Return the last moment at which a look was due, in seconds since the epoch. It is the same in all daemons."""
        return int(now.timestamp() // self.period_s * self.period_s)


def schedules_of(settings: ScheduleSettings) -> dict[str, Schedule]:
    """Return the schedule that the configuration has for each job."""
    return {job: Schedule(settings[job], settings.timezone, job not in settings.disabled) for job in JOBS}


def looks_of(settings: FollowSettings) -> dict[str, Look]:
    """Return the looks of every ecosystem that is followed, by name."""
    looks: dict[str, Look] = {}
    for declared in DECLARATIONS:
        period_s = settings[declared.name]
        if period_s == math.inf:
            continue
        looks[declared.name] = Look(declared.updates_job, period_s, {LOOK: "feed"})
        if declared.hints_s is not None:
            looks[f"{declared.name}-hints"] = Look(declared.updates_job, declared.hints_s, {LOOK: "hints"})
    return looks


def latest_tick(schedule: Schedule, now: datetime) -> datetime:
    """Return the last moment of the schedule that is not after `now`, in UTC."""
    # When it goes backwards, cronsim begins before the moment that it is given.
    moment = now.astimezone(ZoneInfo(schedule.timezone)).replace(microsecond=0)
    after = (moment.astimezone(UTC) + timedelta(seconds=1)).astimezone(moment.tzinfo)
    return next(CronSim(schedule.cron, after, reverse=True)).astimezone(UTC)


def next_tick(schedule: Schedule, now: datetime) -> datetime:
    """Return the first moment of the schedule after `now`, in UTC."""
    found = next(CronSim(schedule.cron, now.astimezone(ZoneInfo(schedule.timezone)))).astimezone(UTC)
    # Forwards cronsim 2.8 leaves a moment out on the day on which Lord Howe Island moves its clocks by half an hour.
    while (earlier := latest_tick(schedule, found - timedelta(seconds=1))) > now:
        found = earlier
    return found
