"""These are the words that a made world is spelled with, and what the graph must hold of it.

The expectations come from whoever wrote the world (a test or the generator), never from the product's own parsers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FIRST_DATE = datetime(2015, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Need:
    """This is one requirement as the registry writes it, and the edge that it means."""

    written: str
    """For PyPI this is a whole Requires-Dist, for npm the range."""
    target: str | None
    """This is the registry's name of the package required; None: no edge may come of it (an extra, a marker that is
    false).
    """
    constraints: str = "any"
    """These are the constraints as contract section 2 wants them."""
    key: str | None = None
    """For npm this is the name in `dependencies` where it is not the target's (an alias)."""


@dataclass(frozen=True, slots=True)
class ExpectedVersion:
    name: str
    purl: str
    serial_number: int
    release_date: str | None
    requirements: Mapping[str, str]
    """These are constraints by the target's purl; a target that no registry has is among them."""
    yanked: bool
    deprecated: bool


@dataclass(frozen=True, slots=True)
class ExpectedPackage:
    label: str
    ecosystem: str
    """This is the word of the command line: `pypi`."""
    name: str
    purl: str
    registry_name: str
    vendor: str
    repository_url: str
    versions: tuple[ExpectedVersion, ...]
    """They are in ascending order."""
    import_names: tuple[str, ...] | None
    """None means that the world's author did not say."""


def default_date(position: int) -> str:
    """Return the release date of the n-th version where the author gives none: a month after the one before."""
    return (FIRST_DATE + timedelta(days=30 * position)).strftime("%Y-%m-%dT%H:%M:%SZ")


def edges(needs: Iterable[Need], purl_of: Callable[[str], str]) -> dict[str, str]:
    """Return constraints by the target's purl; the clauses of several needs on one target are joined."""
    joined: dict[str, str] = {}
    for need in needs:
        if need.target is None:
            continue
        purl = purl_of(need.target)
        held = joined.get(purl, "any")
        if held == "any":
            joined[purl] = need.constraints
        elif need.constraints != "any":
            joined[purl] = f"{held}, {need.constraints}"
    return joined


def same_constraints(one: str, other: str) -> bool:
    """Return whether two constraint strings hold the same clauses, whatever their order and blanks."""
    return _clauses(one) == _clauses(other)


def _clauses(constraints: str) -> frozenset[str]:
    return frozenset("".join(clause.split()) for clause in constraints.split(","))
