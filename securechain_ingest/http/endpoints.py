"""What is said of an endpoint where it is declared: its key, its public address, and how it wishes to be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SLOW_DOWN: Final = frozenset({429, 503})
"""Statuses by which any endpoint asks for fewer requests (RFC 6585, section 4; RFC 9110, section 15.6.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One base URL of a registry, with the defaults of its keys in `[endpoints]`, `[rates]` and `[connections]`."""

    key: str
    url: str
    rate: float
    """Requests a second, of all daemons of an installation together."""
    connections: int
    """Requests at once from one daemon."""
    slow_down: frozenset[int] = SLOW_DOWN
    """The statuses by which it asks for fewer requests."""
    replaces: tuple[str, ...] = ()
    """Keys of earlier releases in whose place this one has come. They are ignored with a warning."""
