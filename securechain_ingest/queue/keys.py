"""The names of everything that the daemon keeps in Redis.

All but one begin with the name of the stream that other programs write to, so that they share a slot of a cluster where
an installation names it `{package-extraction}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from securechain_ingest.queue.lanes import LANES, Lane


@dataclass(frozen=True, slots=True)
class Keys:
    """Other programs write to `submissions` and read `dead_letters` (contract, section 4); the rest is internal."""

    stream: str

    @property
    def submissions(self) -> str:
        """Stream: what programs ask for, before it is checked and moved to a lane."""
        return self.stream

    @property
    def dead_letters(self) -> str:
        """Stream: the messages that could not be served."""
        return f"{self.stream}-dlq"

    def lane(self, ecosystem: str, lane: Lane) -> str:
        """Stream: the messages of one lane that wait or are in work."""
        return f"{self.stream}-lane:{ecosystem}:{lane}"

    def retries(self, ecosystem: str, lane: Lane) -> str:
        """Sorted set: tokens of messages that wait for their next try, by due time in milliseconds since the epoch."""
        return f"{self.stream}-retry:{ecosystem}:{lane}"

    def payloads(self, ecosystem: str, lane: Lane) -> str:
        """Hash: token to the fields of the message that waits for its next try (MessagePack)."""
        return f"{self.stream}-retry-payloads:{ecosystem}:{lane}"

    def lanes(self, ecosystem: str) -> Sequence[str]:
        """`lane` for each, the most urgent first."""
        return [self.lane(ecosystem, lane) for lane in LANES]

    def all_retries(self, ecosystem: str) -> Sequence[str]:
        """`retries` likewise."""
        return [self.retries(ecosystem, lane) for lane in LANES]

    def all_payloads(self, ecosystem: str) -> Sequence[str]:
        """`payloads` likewise."""
        return [self.payloads(ecosystem, lane) for lane in LANES]

    def waiting(self, ecosystem: str) -> str:
        """Hash: package to `lane:id` of the entry that asks for it and that nobody has taken yet."""
        return f"{self.stream}-waiting:{ecosystem}"

    def shares(self, ecosystem: str) -> str:
        """Hash: how much of its share each lane has had."""
        return f"{self.stream}-shares:{ecosystem}"

    @property
    def pauses(self) -> str:
        """Hash: the ecosystems that an operator has paused, and since when."""
        return f"{self.stream}-pauses"

    def breaker(self, endpoint: str) -> str:
        """Hash: the failures of an endpoint, and until when nothing is asked of it."""
        return f"{self.stream}-breaker:{endpoint}"

    def rate(self, endpoint: str) -> str:
        """Hash: the next turn at an endpoint, for all daemons, and how far its rate has been lowered."""
        return f"{self.stream}-rate:{endpoint}"

    @property
    def counters(self) -> str:
        """Hash: the five counters of the queue."""
        return f"{self.stream}-counters"

    @property
    def run_counts(self) -> str:
        """Hash: what became of the messages of each run: `<run>:<word>` (`runs.counts` names the words)."""
        return f"{self.stream}-run-counts"

    def outcomes(self, run: str) -> str:
        """Stream: how each package of a run ended, for whoever waits for it; there only while somebody does."""
        return f"{self.stream}-outcomes:{run}"

    def refill(self, ecosystem: str) -> str:
        """String that expires: a daemon has just asked for what was left for later."""
        return f"{self.stream}-refill:{ecosystem}"

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
    def hints(self) -> str:
        """Hash: what of a registry's hints at changes has been queued, by ecosystem."""
        return f"{self.stream}-hints"

    def active(self, ecosystem: str) -> str:
        """Sorted set: the packages that were active last, by the time of their newest version in seconds."""
        return f"{self.stream}-active:{ecosystem}"

    def lags(self, ecosystem: str) -> str:
        """List: how long the newest versions took from their publication to the graph, the latest first."""
        return f"{self.stream}-lags:{ecosystem}"

    @property
    def backfills(self) -> str:
        """Hash: how far each interrupted backfill has come."""
        return f"{self.stream}-backfills"

    @property
    def refused_archives(self) -> str:
        """Sorted set: archives that took more than a parse may have, by the time at which they are forgotten."""
        return f"{self.stream}-refused-archives"

    def schedules(self, name: str) -> str:
        """What daemons share of the schedules (`schedules.board`): ticks, marks, overrides, requests, leases."""
        return f"{self.stream}-schedules-{name}"


def import_names_key(package: str, version: str) -> str:
    """String: the import names of one version (JSON); the one name that does not begin with the stream's, because other
    programs know it."""
    return f"import_names:{package}:{version}"
