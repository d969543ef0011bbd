"""The names of everything that the queue keeps in Redis, all derived from the name of the on-demand stream."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """Other programs write to `on_demand` and read `dead_letters` (contract, section 4); the rest is internal."""

    stream: str

    @property
    def on_demand(self) -> str:
        """Stream: what somebody waits for."""
        return self.stream

    @property
    def bulk(self) -> str:
        """Stream: what schedules and requirements ask for; served after `on_demand`."""
        return f"{self.stream}-bulk"

    @property
    def dead_letters(self) -> str:
        """Stream: the messages of both streams that could not be served."""
        return f"{self.stream}-dlq"

    @property
    def retries(self) -> str:
        """Sorted set: tokens of messages that wait for their next try, by due time in milliseconds since the epoch."""
        return f"{self.stream}-retry"

    @property
    def retry_payloads(self) -> str:
        """Hash: token to the waiting message."""
        return f"{self.stream}-retry-payloads"

    @property
    def counters(self) -> str:
        """Hash: the five counters of the queue."""
        return f"{self.stream}-counters"

    @property
    def waiting(self) -> str:
        """Hash: a package to the id of the bulk entry that asks for it and that nobody has taken yet."""
        return f"{self.stream}-waiting"

    @property
    def run_counts(self) -> str:
        """Hash: what became of the messages of each run (`<run>:succeeded`, `<run>:failed`, `<run>:versions`)."""
        return f"{self.stream}-run-counts"

    @property
    def daemons(self) -> str:
        """Hash: consumer to what its daemon has last told of itself."""
        return f"{self.stream}-daemons"

    @property
    def cursors(self) -> str:
        """Hash: how far the changes of each ecosystem have been queued."""
        return f"{self.stream}-cursors"

    @property
    def positions(self) -> str:
        """Hash: how far each interrupted job has come in its listing."""
        return f"{self.stream}-positions"

    @property
    def backfills(self) -> str:
        """Hash: how far each interrupted backfill has come."""
        return f"{self.stream}-backfills"

    def source(self, *, bulk: bool) -> str:
        return self.bulk if bulk else self.on_demand
