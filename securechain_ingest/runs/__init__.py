"""One run of a job: what the job is told, and where it writes down how far it has come."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

REPORT_EVERY_S = 5.0
"""So often at most the progress of a run is really saved."""


async def _save_nothing(_run: Run) -> None:
    pass


@dataclass(slots=True)
class Run:
    """Handed to a job, which fills in the metrics and the cursors while it works."""

    id: str
    """Unique, and later runs sort behind earlier ones."""
    job: str
    options: Mapping[str, str] = field(default_factory=dict)
    """What was asked for beyond the schedule, such as {"reconcile": "true"}."""
    metrics: dict[str, float] = field(default_factory=dict)
    cursor_before: str | None = None
    cursor_after: str | None = None
    save: Callable[[Run], Awaitable[None]] = _save_nothing
    """Stores the record; must not raise."""
    _saved_at: float = float("-inf")

    async def report(self) -> None:
        """Let others see the progress. Cheap to call often: most calls save nothing."""
        now = time.monotonic()
        if now - self._saved_at >= REPORT_EVERY_S:
            self._saved_at = now
            await self.save(self)


Job = Callable[[Run], Awaitable[object]]
"""Work that is done at its times; raises IngestError when it could not be done."""
