"""This module brings release dates into the form of the graph."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def utc_seconds(text: object) -> str | None:
    """A registry's ISO 8601 time becomes `2021-05-11T14:05:36Z` (a time without a zone is UTC); anything else becomes
    None."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return _written(moment)


def http_date_seconds(text: str | None) -> str | None:
    """An HTTP date (RFC 9110, section 5.6.7) becomes the same form; anything else becomes None."""
    try:
        moment = parsedate_to_datetime(text or "")
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, TypeError):
        return None
    return _written(moment)


def _written(moment: datetime) -> str:
    # Not by strftime, which writes the year 1 as `1`.
    return f"{moment.replace(tzinfo=None, microsecond=0).isoformat()}Z"
