"""This module writes times and ages as text, in one form for the stores, the command line and the page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal


def iso(moment: datetime, precision: Literal["seconds", "milliseconds"] = "seconds") -> str:
    """Return an aware time in ISO 8601, in UTC with a `Z` at its end."""
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def now_iso(precision: Literal["seconds", "milliseconds"] = "seconds") -> str:
    """Return the current time as `iso` writes it."""
    return iso(datetime.now(UTC), precision)


def seconds_since(text: str) -> float:
    """Return how long ago an aware time in ISO 8601 was. Raise ValueError for any other text."""
    return (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()


def in_words(age: timedelta | float) -> str:
    """Return an age in the largest unit of which it has at least one, such as `3 days`. A number is in seconds."""
    seconds = max(0.0, age.total_seconds() if isinstance(age, timedelta) else age)
    for unit_s, unit in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= unit_s:
            count = int(seconds // unit_s)
            return f"{count:,} {unit}{'' if count == 1 else 's'}"
    return "less than a second"
