"""An endpoint is declared by its key, its public address, and how it wishes to be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

SLOW_DOWN: Final = frozenset({429, 503})
"""Any endpoint asks for fewer requests by these statuses (RFC 6585, section 4; RFC 9110, section 15.6.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A registry has one or more of these; each gives `[endpoints]`, `[rates]` and `[connections]` a default."""

    key: str
    url: str | None = None
    """This is the default base URL. None means that there is no default, or that the endpoint lies below another
    one."""
    below: tuple[str, str] | None = None
    """While no URL is set, the endpoint is this folder (the second text) below the endpoint with this key (the first
    text), and shares that one's limits."""
    rate: float
    """All daemons of an installation together send at most so many requests a second."""
    connections: int
    """One daemon has at most so many requests under way at once."""
    slow_down: frozenset[int] = SLOW_DOWN
    """The endpoint asks for fewer requests by these statuses."""
    replaces: tuple[str, ...] = ()
    """These are the keys of earlier releases that this endpoint replaces. They are ignored with a warning."""


class BaseUrls(Protocol):
    """This tells the client where the endpoints are. The keys are the endpoints' keys, and no URL ends with a slash."""

    def own(self) -> dict[str, str]:
        """Return the base URLs of the endpoints that have one of their own, which have limits of their own, too."""
        ...

    def bases(self) -> dict[str, str]:
        """Return the base URLs of all endpoints, those below another one included."""
        ...
