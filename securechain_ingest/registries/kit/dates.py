"""This module brings release dates into the form of the graph."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def utc_seconds(text: object) -> str | None:
    """Return a registry's ISO 8601 time as `2021-05-11T14:05:36Z`. A time without a zone is UTC. The result is None for
    anything else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return _written(moment)


def http_date_seconds(text: str | None) -> str | None:
    """Return an HTTP date (RFC 9110, section 5.6.7) in the same form. The result is None for anything else."""
    try:
        moment = parsedate_to_datetime(text or "")
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, TypeError):
        return None
    return _written(moment)


def _written(moment: datetime) -> str:
    # Not by strftime, which writes the year 1 as `1`.
    return f"{moment.replace(tzinfo=None, microsecond=0).isoformat()}Z"
