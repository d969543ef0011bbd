"""An endpoint is declared by its key, its public address, and how it wishes to be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SLOW_DOWN: Final = frozenset({429, 503})
"""Any endpoint asks for fewer requests by these statuses (RFC 6585, section 4; RFC 9110, section 15.6.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A registry has one or more of these; each gives `[endpoints]`, `[rates]` and `[connections]` a default."""

    key: str
    url: str | None = None
    """This is the default base URL. None means that there is none, and that it lies below another endpoint."""
    below: tuple[str, str] | None = None
    """While no URL is set, it is this folder of the endpoint with this key, and shares that one's limits."""
    rate: float
    """All daemons of an installation together make so many requests a second."""
    connections: int
    """One daemon makes so many requests at once."""
    slow_down: frozenset[int] = SLOW_DOWN
    """It asks for fewer requests by these statuses."""
    replaces: tuple[str, ...] = ()
    """These are keys of earlier releases in whose place this one has come. They are ignored with a warning."""
