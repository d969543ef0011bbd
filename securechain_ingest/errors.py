"""Every error that the product raises on purpose, under one root.

Each class carries a `kind` (the word that stands in dead letters, logs and counters) and says in `transient` whether
trying again later can help. The message is one sentence for people: what, where, and how to mend it.
"""

from __future__ import annotations

from typing import ClassVar


class IngestError(Exception):
    """The root: whatever derives from it is expected, is shown in one line and never as a traceback."""

    kind: ClassVar[str] = "error"
    transient: ClassVar[bool] = False

    def __reduce__(self) -> tuple[object, ...]:
        # By default an exception is pickled by its positional arguments alone; ours have others and cross processes.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[IngestError], args: tuple[object, ...], state: dict[str, object]) -> IngestError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class ConfigError(IngestError):
    """A wrong key, value or file in the configuration."""

    kind = "config"


class StoreError(IngestError):
    """Redis, the graph or the advisory database is away or answered with an error; trying again can help."""

    kind = "store_unavailable"
    transient = True


class StoreAway(StoreError):
    """A store cannot be reached at all, which says nothing about the work that needed it."""


class NoDaemon(StoreError):
    """No daemon runs whose stores a command could use."""

    kind = "no_daemon"


class StoreFull(StoreError):
    """A store answers but has no room for what is to be written; whoever operates it has to make some."""

    kind = "store_full"


class StoreRefused(StoreError):
    """A store was there and refused what this piece of work asked of it; the same again is refused again."""

    kind = "store_refused"
    transient = False


class UpstreamError(IngestError):
    """A registry could not give what was asked of it; the subclass says why."""

    kind = "upstream"

    endpoint: str | None = None
    """Which endpoint has answered so, or failed to answer; None where that is not known or does not matter."""
    is_about_package: bool = True
    """Whether it says something about the package that was asked for; else another one would have met the same."""
    is_registrys: ClassVar[bool] = False
    """Whether the registry itself may be unwell or wish a pause, if others meet the same."""

    def __init__(self, message: str, *, url: str) -> None:
        super().__init__(message)
        self.url = url

    @property
    def pause_s(self) -> float | None:
        """Seconds in which the registry asks not to be asked, 0 if it does not say how many; None: it does not ask."""
        return None


class NotFound(UpstreamError):
    """The registry says that there is no such thing (404, 410, 451, an unpublished stub)."""

    kind = "not_found"


class Gone(NotFound):
    """Two readings, the second past every cache, agree that there is no such thing (any more)."""


class Withheld(NotFound):
    """The registry has it, and does not hand it out at the moment: what is known of it stays as it is."""


class Stale(UpstreamError):
    """The document has not reached yet what the registry's own feed has announced."""

    kind = "stale"
    transient = True


class CursorLost(UpstreamError):
    """The feed was reset, went back or lost entries; what has changed can only be found by comparing everything."""

    kind = "cursor_lost"


class Unavailable(UpstreamError):
    """Network failure, timeout, 403 or 5xx: the registry cannot be read at the moment."""

    kind = "unavailable"
    transient = True
    is_registrys = True


class Unreachable(Unavailable):
    """Nobody answered: no connection, no name, or a timeout."""

    kind = "unreachable"
    is_about_package = False


class RateLimited(UpstreamError):
    """The registry asks for a pause; `delay_s` is its Retry-After in seconds, None if it named none."""

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
    """The endpoint of an ecosystem's archives cannot be read or wishes a pause; its other endpoints may be well."""

    kind = "archives_away"
    transient = True
    is_about_package = False


class Malformed(UpstreamError):
    """The answer arrived whole and is not what the registry documents."""

    kind = "malformed"


class TooLarge(UpstreamError):
    """The answer exceeds the cap on bytes read or decompressed."""

    kind = "too_large"


class NoRoom(UpstreamError):
    """The answer found no room in memory among the documents that are in flight; a later try may."""

    kind = "no_room"
    transient = True
    is_about_package = False


class ForbiddenHost(UpstreamError):
    """A registry's document points to a host that is neither an endpoint's nor in `[http] allowed_hosts`."""

    kind = "forbidden_host"


class TooManyRemovals(IngestError):
    """A registry seems to have lost more packages at once than a setting allows: more likely its list is damaged."""

    kind = "too_many_removals"


class ArchiveRefused(IngestError):
    """An archive that is damaged, hostile or beyond a limit; `reason` is a short code such as `too_many_members`."""

    kind = "archive_refused"

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ParserLost(IngestError):
    """The process that parsed a document or archive died or took too long; the work may be tried again."""

    kind = "parser_lost"
    transient = True


class InvalidName(IngestError):
    """A package name that the ecosystem's rules do not allow."""

    kind = "invalid_name"


class PoisonMessage(IngestError):
    """A queue entry that no retry can mend; `kind` says which rule it breaks."""

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind  # type: ignore[misc]  # one class, several words: missing_data, bad_json, bad_schema, unknown_node_type, invalid_name
