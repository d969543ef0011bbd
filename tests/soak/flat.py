"""This module says when what a process holds counts as flat.

The first quarter of a run is the warm-up: caches, pools and heaps fill. Of the rest the last quarter is held against
the second one, median against median, so that neither a peak nor a dip of a moment tells anything. What leaks goes on
growing, and is found when it has added more than the allowance from the middle of the one quarter to that of the other,
which are half a run apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from tests.soak.watch import DAEMON, PARSERS, Holding

MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class AllowedGrowth:
    """This may be added between the second and the last quarter."""

    memory_share: float
    memory_bytes: int
    """It may be so many bytes where those are more than the share: a small process moves by pages of its allocator."""
    descriptors: int
    processes: int
    bound_bytes: int | None = None
    """If it is given, it stands instead of both: so much may be held at the most. A server fills the caches and the
    heap that it has been given, and only what is above them is a leak."""


LEAKS: Final = AllowedGrowth(memory_share=0.10, memory_bytes=5 * MB, descriptors=3, processes=0)
"""This is for a run of an hour or more. The descriptors of a pool differ by a few with what is asked at the moment."""
GROSS_LEAKS: Final = AllowedGrowth(memory_share=1.0, memory_bytes=200 * MB, descriptors=200, processes=10)
"""This is for a run that is all warm-up."""


LEAST_H: Final = 1.0
"""In less than an hour all is warm-up."""
MIB: Final = 1024 * 1024
NEO4J_BYTES: Final = (1024 + 256 + 768) * MIB
"""These are heap and page cache, as `tests/neo4j` sets them, and what Java takes beside them: classes, compiled code,
threads, and the buffers of the network."""
ADVISORIES_BYTES: Final = (256 + 128) * MIB
"""These are the cache of WiredTiger, as `embedded/servers.py` sets it, and the server itself. Each run of a job leaves
a record for months, so that the cache fills slowly."""


def allowances(hours: float) -> dict[str, AllowedGrowth]:
    """Return what each role may add in a run of so many hours."""
    common = LEAKS if hours >= LEAST_H else GROSS_LEAKS
    return {
        DAEMON: common,
        PARSERS: common,
        "redis": common,
        "advisories": replace(common, bound_bytes=ADVISORIES_BYTES),
        "graph": replace(common, bound_bytes=NEO4J_BYTES),
    }


@dataclass(frozen=True, slots=True)
class Course:
    """This is one figure in the course of a run."""

    first: int
    second_quarter: int
    """This and the next one are medians."""
    last_quarter: int
    last: int
    most: int


def course(figures: Sequence[int]) -> Course:
    """Return the course of at least one figure; they were taken at equal distances."""
    quarter = max(1, len(figures) // 4)
    second = figures[quarter : 2 * quarter] or figures
    return Course(figures[0], int(median(second)), int(median(figures[-quarter:])), figures[-1], max(figures))


def complaints(holdings: Sequence[Holding], allowance: AllowedGrowth) -> list[str]:
    """Return what is not flat in what one role held, a text for each; there is none if all is flat."""
    found = []
    memory = course([each.rss for each in holdings])
    most = memory.second_quarter + max(allowance.memory_bytes, int(memory.second_quarter * allowance.memory_share))
    if allowance.bound_bytes is not None:
        if memory.most > allowance.bound_bytes:
            found.append(f"{memory.most / MB:.0f} MB resident, above its bound of {allowance.bound_bytes / MB:.0f} MB")
    elif memory.last_quarter > most:
        found.append(f"resident memory went from {memory.second_quarter / MB:.1f} to {memory.last_quarter / MB:.1f} MB")
    for name, figures, more in (
        ("descriptors", [each.descriptors for each in holdings], allowance.descriptors),
        ("threads", [each.threads for each in holdings], allowance.descriptors),
        ("processes", [each.processes for each in holdings], allowance.processes),
    ):
        held = course(figures)
        if held.last_quarter > held.second_quarter + more:
            found.append(f"{name} went from {held.second_quarter} to {held.last_quarter}")
    return found


def table(courses: Mapping[str, Sequence[Holding]]) -> str:
    """Return a line for each role, for people: memory in MB and descriptors; the quarters are medians."""
    figures = ("first", "2nd q.", "4th q.", "last", "most")
    rows: list[tuple[str, ...]] = [("", *(f"{what} {each}" for what in ("MB", "fds") for each in figures))]
    for role, holdings in courses.items():
        memory = course([each.rss for each in holdings])
        held = course([each.descriptors for each in holdings])
        rows.append(
            (
                role,
                *(f"{figure / MB:.1f}" for figure in _figures(memory)),
                *(str(figure) for figure in _figures(held)),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _figures(found: Course) -> tuple[int, ...]:
    return (found.first, found.second_quarter, found.last_quarter, found.last, found.most)
