"""This module has every error that the product raises on purpose, under one base class.

Each class has a `kind`, the word for it in dead letters, logs and counters, and `transient` says whether a later
attempt can help. The message is one sentence for people: it says what happened, where, and how to mend it.
"""

from __future__ import annotations

from typing import ClassVar


class IngestError(Exception):
    """This is the base class: an error of a class derived from it is expected, and is shown in one line and never as
    a traceback."""

    kind: ClassVar[str] = "error"
    transient: ClassVar[bool] = False

    def __reduce__(self) -> tuple[object, ...]:
        # By default an exception is pickled by its positional arguments alone; these have others and cross processes.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[IngestError], args: tuple[object, ...], state: dict[str, object]) -> IngestError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class ConfigError(IngestError):
    """The configuration has a wrong key, value or file."""

    kind = "config"


class StoreError(IngestError):
    """Redis, the graph or the advisory database cannot be reached or has answered with an error; a later attempt can
    help."""

    kind = "store_unavailable"
    transient = True


class StoreAway(StoreError):
    """A store cannot be reached at all, which says nothing about the work that needed it."""


class LeftGraph(StoreError):
    """The graph had a package a moment ago, and has it no more: another program has deleted it. That says nothing about
    other packages."""


class NoDaemon(StoreError):
    """No daemon runs whose stores a command could use."""

    kind = "no_daemon"


class StoreFull(StoreError):
    """A store answers but has no room for what is to be written; an operator has to make some."""

    kind = "store_full"


class StoreRefused(StoreError):
    """A store was reached and refused this piece of work; it would refuse the same work again."""

    kind = "store_refused"
    transient = False


class NotEnded(IngestError):
    """A program has waited for a submission as long as it wanted to, and not all of its packages have ended."""

    kind = "not_ended"
    transient = True


class NothingKept(IngestError):
    """The outcomes of a submission are not kept, or no longer."""

    kind = "nothing_kept"


class Paused(IngestError):
    """An operator has paused the ecosystem, or its registry is not asked for a while; nothing is asked meanwhile."""

    kind = "paused"
    transient = True


class UpstreamError(IngestError):
    """A registry could not give what it was asked for; the subclass says why."""

    kind = "upstream"

    endpoint: str | None = None
    """This is the endpoint that has answered so or has not answered; it is None where that is not known or does not
    matter."""
    is_about_package: bool = True
    """This says whether the error is about the package that was asked for; otherwise a request for any other package
    would have met the same error."""
    is_registrys: ClassVar[bool] = False
    """This says whether the registry itself may be unwell or ask for a pause, if requests for other packages meet
    the same error."""

    def __init__(self, message: str, *, url: str) -> None:
        super().__init__(message)
        self.url = url

    @property
    def pause_s(self) -> float | None:
        """Return for how many seconds the registry asks not to be asked again. It is 0 if the registry asks for a
        pause without a length, and None if it asks for none."""
        return None


class NotFound(UpstreamError):
    """The registry says that there is no such thing (404, 410, 451, or a stub of an unpublished package)."""

    kind = "not_found"


class Gone(NotFound):
    """Two readings, of which the second passed by every cache, agree that there is no such thing, or no longer."""


class Withheld(NotFound):
    """The registry has the package and does not hand it out at the moment; what is known of it stays as it is."""


class Stale(UpstreamError):
    """The document does not yet have the change that the registry's own feed has announced."""

    kind = "stale"
    transient = True


class CursorLost(UpstreamError):
    """The feed was reset, went back or lost entries; changes can only be found by comparing everything."""

    kind = "cursor_lost"


class Unavailable(UpstreamError):
    """The registry cannot be read at the moment: the network failed, a timeout passed, or the answer was 403 or 5xx."""

    kind = "unavailable"
    transient = True
    is_registrys = True


class Unreachable(Unavailable):
    """Nobody answered: there was no connection, the host's name was not found, or a timeout passed."""

    kind = "unreachable"
    is_about_package = False


class RateLimited(UpstreamError):
    """The registry asks for a pause; `delay_s` is its Retry-After in seconds, or None if it gave none."""

    kind = "rate_limited"
    transient = True
    is_about_package = False
    is_registrys = True

    def __init__(self, message: str, *, url: str, delay_s: float | None) -> None:
        super().__init__(message, url=url)
        self.delay_s = delay_s

    @property
    def pause_s(self) -> float | None:
        return self.delay_s or 0.0


class ArchivesAway(UpstreamError):
    """The endpoint of an ecosystem's archives cannot be read or asks for a pause; the ecosystem's other endpoints
    may be well."""

    kind = "archives_away"
    transient = True
    is_about_package = False


class Malformed(UpstreamError):
    """The answer arrived completely and is not what the registry documents."""

    kind = "malformed"


class TooLarge(UpstreamError):
    """The answer has more bytes than may be read or decompressed."""

    kind = "too_large"


class NoRoom(UpstreamError):
    """There was no room in memory for the answer among the documents that are in flight; a later attempt may
    succeed."""

    kind = "no_room"
    transient = True
    is_about_package = False


class ForbiddenHost(UpstreamError):
    """A registry's document points to a host that is neither an endpoint's host nor in `[http] allowed_hosts`."""

    kind = "forbidden_host"


class TooManyRemovals(IngestError):
    """A registry seems to have lost more packages at once than a setting allows; it is more likely that its list is
    damaged."""

    kind = "too_many_removals"


class ArchiveRefused(IngestError):
    """An archive is damaged, hostile or beyond a limit; `reason` is a short code such as `too_many_members`."""

    kind = "archive_refused"

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ParserLost(IngestError):
    """The process that parsed a document or an archive ended or took too long; the work may be tried again."""

    kind = "parser_lost"
    transient = True


class SnapshotError(IngestError):
    """A snapshot cannot be made, or a folder does not hold one that this release can import."""

    kind = "snapshot"


class InvalidName(IngestError):
    """A package's name is not allowed by the rules of its ecosystem."""

    kind = "invalid_name"


class PoisonMessage(IngestError):
    """A queue entry cannot be mended by any retry; `kind` says which rule it breaks."""

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind  # type: ignore[misc]  # one class, several words: missing_data, bad_json, bad_schema, unknown_node_type, invalid_name
