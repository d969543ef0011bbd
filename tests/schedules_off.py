"""These are variables that keep a daemon from doing anything by the clock."""

from __future__ import annotations

from securechain_ingest.ecosystem_settings import JOBS


def schedules_off(*, but: str = "") -> dict[str, str]:
    """All schedules are off, except one if it is named."""
    return {"SECURECHAIN_SCHEDULES__DISABLED": ",".join(name for name in JOBS if name != but)}


SCHEDULES_OFF = schedules_off()
