"""This module names everything that the daemon keeps in Redis.

All names begin with the name of the stream that other programs write to. So they share a slot of a cluster if an
installation names the stream `{package-extraction}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from securechain_ingest.queue.lanes import LANES, Lane


@dataclass(frozen=True, slots=True)
class Keys:
    """Other programs write to `submissions` and read `dead_letters` (contract, section 4). The rest is internal."""

    stream: str

    @property
    def submissions(self) -> str:
        """This stream holds the requests of other programs until they are checked and moved to a lane."""
        return self.stream

    @property
    def dead_letters(self) -> str:
        """This stream holds the messages that could not be served."""
        return f"{self.stream}-dlq"

    def lane(self, ecosystem: str, lane: Lane) -> str:
        """This stream holds the messages of one lane that wait or are in work."""
        return f"{self.lane_prefix(ecosystem)}{lane}"

    def lane_prefix(self, ecosystem: str) -> str:
        """Return what the names of an ecosystem's lanes (`lane`) begin with."""
        return f"{self.stream}-lane:{ecosystem}:"

    def retries(self, ecosystem: str, lane: Lane) -> str:
        """This sorted set holds the tokens of messages that wait for their next attempt.

        The score is the time at which the attempt is due, in milliseconds since the epoch.
        """
        return f"{self.stream}-retry:{ecosystem}:{lane}"

    def payloads(self, ecosystem: str, lane: Lane) -> str:
        """This hash maps a token to the fields (MessagePack) of the message that waits for its next attempt."""
        return f"{self.stream}-retry-payloads:{ecosystem}:{lane}"

    def lanes(self, ecosystem: str) -> Sequence[str]:
        """Return the stream of each lane (`lane`), the most urgent lane first."""
        return [self.lane(ecosystem, lane) for lane in LANES]

    def all_retries(self, ecosystem: str) -> Sequence[str]:
        """Return the sorted set of each lane (`retries`), the most urgent lane first."""
        return [self.retries(ecosystem, lane) for lane in LANES]

    def all_payloads(self, ecosystem: str) -> Sequence[str]:
        """Return the hash of each lane (`payloads`), the most urgent lane first."""
        return [self.payloads(ecosystem, lane) for lane in LANES]

    def waiting(self, ecosystem: str) -> str:
        """This hash maps a package (`messages.package_key`) to `lane:id` of the entry that asks for it.

        No consumer has taken the entry yet.
        """
        return f"{self.stream}-waiting:{ecosystem}"

    def shares(self, ecosystem: str) -> str:
        """This hash says how much of its share each lane has used."""
        return f"{self.stream}-shares:{ecosystem}"

    @property
    def pauses(self) -> str:
        """This hash maps each ecosystem that an operator has paused to the time of the pause."""
        return f"{self.stream}-pauses"

    def breaker(self, endpoint: str) -> str:
        """This hash holds the failures of an endpoint, and the time until which it is not asked."""
        return f"{self.stream}-breaker:{endpoint}"

    def rate(self, endpoint: str) -> str:
        """This hash holds the next turn at an endpoint, for all daemons, and the factor that lowers its rate."""
        return f"{self.stream}-rate:{endpoint}"

    @property
    def counters(self) -> str:
        """This hash holds the five counters of the queue."""
        return f"{self.stream}-counters"

    @property
    def run_counts(self) -> str:
        """This hash counts the messages of each run by their result.

        Its fields are `<run>:<word>`; `run_counts` names the words.
        """
        return f"{self.stream}-run-counts"

    def outcomes(self, run: str) -> str:
        """This stream says how each package of a run ended. It exists only while a program waits for the run."""
        return f"{self.stream}-outcomes:{run}"

    def refill(self, ecosystem: str) -> str:
        """This string expires. While it exists, a daemon has just asked for the packages that were left for later."""
        return f"{self.stream}-refill:{ecosystem}"

    @property
    def daemons(self) -> str:
        """This hash maps a consumer to the last heartbeat of its daemon."""
        return f"{self.stream}-daemons"

    @property
    def cursors(self) -> str:
        """This hash maps each ecosystem to the cursor up to which its changes have been queued."""
        return f"{self.stream}-cursors"

    @property
    def positions(self) -> str:
        """This hash says how far each interrupted job has come in its listing."""
        return f"{self.stream}-positions"

    @property
    def hints(self) -> str:
        """This hash says for each ecosystem which of its registry's hints at changes have been queued."""
        return f"{self.stream}-hints"

    def active(self, ecosystem: str) -> str:
        """This sorted set holds the packages that were active last.

        The score is the time of their newest version, in seconds since the epoch.
        """
        return f"{self.stream}-active:{ecosystem}"

    def lags(self, ecosystem: str) -> str:
        """This list says how long the newest versions took from their publication to the graph, the latest first."""
        return f"{self.stream}-lags:{ecosystem}"

    def activity(self, unit: str, number: int | str) -> str:
        """This hash expires. It counts what was done for each source in one minute or hour (`unit`), by
        `<source>:<word>`.

        `number` counts the minutes or hours since the epoch; `activity` has the words.
        """
        return f"{self.stream}-activity:{unit}:{number}"

    @property
    def backfills(self) -> str:
        """This hash says how far each interrupted backfill has come."""
        return f"{self.stream}-backfills"

    @property
    def snapshot_import(self) -> str:
        """This hash says how far an interrupted import of a snapshot has come."""
        return f"{self.stream}-snapshot-import"

    @property
    def refused_archives(self) -> str:
        """This sorted set holds the archives that needed more than a parse may use.

        The score is the time at which they are forgotten.
        """
        return f"{self.stream}-refused-archives"

    def listing(self, ecosystem: str) -> str:
        """This hash says how far a registry's list of all names has been read.

        `jobs.listing` adds a word to the name for the pages and for the lock of the one who reads.
        """
        return f"{self.stream}-all_{ecosystem}_packages"

    @property
    def unrated(self) -> str:
        """This set holds the packages that written advisories affect or have affected, until they are rated."""
        return f"{self.stream}-unrated"

    @property
    def rated(self) -> str:
        """This set holds the packages that the last sync of advisories has rated."""
        return f"{self.stream}-rated"

    @property
    def rating(self) -> str:
        """This hash has the rule by which the graph is rated, and the position of a walk through all advisories."""
        return f"{self.stream}-rating"

    def unread_advisories(self, ecosystem: str) -> str:
        """This set holds the ids of advisories that could not be read the last time."""
        return f"{self.stream}-unread:{ecosystem}"

    def schedules(self, name: str) -> str:
        """These keys hold what daemons share of the schedules: ticks, marks, overrides, requests and leases.

        They are used by `schedules.board`.
        """
        return f"{self.stream}-schedules-{name}"

    def import_names(self, ecosystem: str, package: str, version: str) -> str:
        """This string holds the import names of one version (JSON), and expires."""
        return f"{self.stream}-import_names:{ecosystem}:{package}:{version}"
