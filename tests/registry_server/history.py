"""This is what has happened in one made registry, in order: what its feeds and listings are written from.

Feeds are made from the history alone, so that a registry may list a hundred thousand packages of which only those that
a test asks for have documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias

from tests.registry_server.declarations import ExpectedPackage

BEGINNING = datetime(2026, 8, 1, tzinfo=UTC)
"""This is when the first thing happened; the others follow, one a second."""


class What(StrEnum):
    PUBLISHED = "published"
    YANKED = "yanked"
    """It was yanked, deprecated or unlisted: it is still there."""
    UNYANKED = "unyanked"
    REMOVED = "removed"


Happened: TypeAlias = tuple[str, str | None, What]
"""These are name, version, and what happened to it."""


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """This is one thing that happened to a package."""

    number: int
    """Numbers begin at 1 and rise by any steps."""
    moment: str
    """This is a time such as `2026-08-01T00:00:05Z`; times rise."""
    name: str
    """This is the name as the registry spells it."""
    version: str | None
    """None means that it happened to the whole package."""
    what: What


@dataclass(frozen=True)
class RegistryHistory:
    """This is the history of one ecosystem."""

    events: tuple[HistoryEvent, ...] = ()
    epoch: int = 0
    """This goes up when the feed is reset: its numbers, ids and chains are others then."""
    forgotten: int = 0
    """The feed (not the listing) no longer has the events up to this number."""

    @cached_property
    def by_name(self) -> dict[str, list[HistoryEvent]]:
        """Return the events of each package, those of packages that are gone among them."""
        found: dict[str, list[HistoryEvent]] = {}
        for event in self.events:
            found.setdefault(event.name, []).append(event)
        return found

    @cached_property
    def versions(self) -> dict[str, dict[str, bool]]:
        """Return the packages that are there: by name their versions in order of publication, and whether each is
        yanked.
        """
        found: dict[str, dict[str, bool]] = {}
        for event in self.events:
            held = found.setdefault(event.name, {})
            match event.what, event.version:
                case What.REMOVED, None:
                    del found[event.name]
                case What.REMOVED, str(version):
                    held.pop(version, None)
                case what, str(version):
                    held[version] = what is What.YANKED
                case _:
                    pass
        return found

    @property
    def remembered(self) -> list[HistoryEvent]:
        """Return what the feed still tells."""
        return [event for event in self.events if event.number > self.forgotten]


def first_history(packages: Iterable[ExpectedPackage]) -> RegistryHistory:
    """Return the history of a world that has no other: every version published, package after package."""
    happened = [
        (package.registry_name, version.name, what)
        for package in packages
        for version in package.versions
        for what in ((What.PUBLISHED, What.YANKED) if version.yanked else (What.PUBLISHED,))
    ]
    return history_of(happened)


def history_of(
    happened: Iterable[Happened], *, epoch: int = 0, forgotten: int = 0, at: Callable[[int], str] | None = None
) -> RegistryHistory:
    """Return a history of one event after the other, each at its own `moment` unless `at` says otherwise."""
    events = (
        HistoryEvent(number, (at or moment)(number), name, version, what)
        for number, (name, version, what) in enumerate(happened, 1)
    )
    return RegistryHistory(tuple(events), epoch, forgotten)


def moment(number: int) -> str:
    """Return when the event of a number happens, unless somebody says otherwise."""
    return (BEGINNING + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
