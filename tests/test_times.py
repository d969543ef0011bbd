"""Times and ages are written in one form everywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from securechain_ingest.times import in_words, iso, seconds_since


def test_a_time_of_any_zone_is_written_in_utc() -> None:
    noon = datetime(2026, 11, 26, 12, 0, 30, 123_456, timezone(timedelta(hours=2)))
    assert iso(noon) == "2026-11-26T10:00:30Z"
    assert iso(noon, "milliseconds") == "2026-11-26T10:00:30.123Z"


def test_a_time_that_was_written_tells_how_long_ago_it_was() -> None:
    ago = seconds_since(iso(datetime.now(UTC) - timedelta(hours=1)))
    assert ago == pytest.approx(3600, abs=60)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "less than a second"),
        (0.9, "less than a second"),
        (1, "1 second"),
        (59.9, "59 seconds"),
        (60, "1 minute"),
        (3599, "59 minutes"),
        (7200, "2 hours"),
        (86_400, "1 day"),
        (86_400 * 1500, "1,500 days"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(seconds: float, words: str) -> None:
    assert in_words(seconds) == in_words(timedelta(seconds=seconds)) == words
