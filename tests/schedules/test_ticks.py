"""This tests the moments of a schedule, over changes of the clock too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from securechain_ingest.schedules.timetable import Schedule, latest_tick, next_tick

ZONES = ("UTC", "Europe/Madrid", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
CRONS = ("0 2 * * SUN", "0 10 * * *", "*/15 * * * *", "30 2 * * *", "0 */4 * * *", "0 0 1 * *", "0 0 29 2 *")

schedules = st.builds(Schedule, st.sampled_from(CRONS), st.sampled_from(ZONES), st.just(True))
moments = st.integers(1_704_067_200, 1_893_456_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


LORD_HOWE = Schedule("0 */4 * * *", "Australia/Lord_Howe", enabled=True)


@given(schedules, moments)
@example(LORD_HOWE, datetime(2024, 10, 5, 13, 30, tzinfo=UTC))
def test_the_latest_tick_is_the_last_one_before_the_next(schedule: Schedule, now: datetime) -> None:
    latest, following = latest_tick(schedule, now), next_tick(schedule, now)
    assert latest <= now < following
    assert next_tick(schedule, latest) == following
    assert latest_tick(schedule, following - timedelta(seconds=1)) == latest
    assert latest_tick(schedule, following) == following


@given(schedules, moments)
def test_each_tick_comes_once_and_time_only_goes_on(schedule: Schedule, now: datetime) -> None:
    ticks = [next_tick(schedule, now)]
    for _ in range(5):
        ticks.append(next_tick(schedule, ticks[-1]))
    assert ticks == sorted(set(ticks))
    assert [latest_tick(schedule, tick) for tick in ticks] == ticks


@pytest.mark.parametrize(
    ("cron", "day", "expected"),
    [
        # Clocks go from 2 to 3 on that day: what was to be at half past two is not left out.
        ("30 2 * * *", datetime(2026, 3, 29, tzinfo=UTC), 1),
        # Clocks go from 3 back to 2: what is at half past two comes once.
        ("30 2 * * *", datetime(2026, 10, 25, tzinfo=UTC), 1),
        ("0 10 * * *", datetime(2026, 10, 25, tzinfo=UTC), 1),
        # What comes every hour comes in each hour that there is.
        ("0 * * * *", datetime(2026, 3, 29, tzinfo=UTC), 23),
        ("0 * * * *", datetime(2026, 10, 25, tzinfo=UTC), 25),
    ],
)
def test_a_day_with_another_number_of_hours_has_its_ticks(cron: str, day: datetime, expected: int) -> None:
    schedule = Schedule(cron, "Europe/Madrid", True)
    # The day as it is in Madrid.
    begins = day - timedelta(hours=1 if day.month == 3 else 2)
    ends = begins + timedelta(hours=23 if day.month == 3 else 25)
    ticks = 0
    moment = begins - timedelta(seconds=1)
    while (moment := next_tick(schedule, moment)) < ends:
        ticks += 1
    assert ticks == expected
