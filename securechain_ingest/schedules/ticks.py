"""This module finds the moments that a cron expression names in a time zone, across its changes of the clock (with
cronsim)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from securechain_ingest.settings import JOBS, ScheduleSettings


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job runs at the moments of a cron expression in a time zone of the IANA database."""

    cron: str
    timezone: str
    enabled: bool


def schedules_of(settings: ScheduleSettings) -> dict[str, Schedule]:
    """Return the schedule that the configuration has for each job."""
    return {job: Schedule(settings[job], settings.timezone, job not in settings.disabled) for job in JOBS}


def latest_tick(schedule: Schedule, now: datetime) -> datetime:
    """Return the last moment of the schedule that is not after `now`, in UTC."""
    # When it goes backwards, cronsim begins before the moment that it is given.
    moment = now.astimezone(ZoneInfo(schedule.timezone)).replace(microsecond=0)
    after = (moment.astimezone(UTC) + timedelta(seconds=1)).astimezone(moment.tzinfo)
    return next(CronSim(schedule.cron, after, reverse=True)).astimezone(UTC)


def next_tick(schedule: Schedule, now: datetime) -> datetime:
    """Return the first moment of the schedule after `now`, in UTC."""
    return next(CronSim(schedule.cron, now.astimezone(ZoneInfo(schedule.timezone)))).astimezone(UTC)
