"""This module says how many versions of a package are read at one time where what each requires costs a request.

A package may have thousands of versions. What a portion of them requires is written before the next portion is read, so
that a failure or a kill costs one portion, and one package does not keep all others waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from securechain_ingest.archives.pool import ParserPool

PORTION: Final = 200
"""At most so many versions of a package are asked for at a request each in one reading."""


async def newest_portion(
    pool: ParserPool, version_key: Callable[[str], Any], versions: Collection[str]
) -> frozenset[str]:
    """Return the PORTION newest of the versions, or all of them if they are no more. It raises ParserLost.

    `version_key` is a module-level function that maps a version to its place in the order; it raises ValueError for one
    that has no place, which then counts as older than all others.
    """
    if len(versions) <= PORTION:
        return frozenset(versions)
    return frozenset(await pool.run(newest, version_key, list(versions), PORTION))


def newest(version_key: Callable[[str], Any], versions: Collection[str], count: int) -> list[str]:
    """Return the `count` newest of the versions, the newest one first."""
    keyed: list[tuple[Any, str]] = []
    unordered: list[str] = []
    for name in versions:
        try:
            keyed.append((version_key(name), name))
        except ValueError:
            unordered.append(name)
    return [*(name for _, name in sorted(keyed, reverse=True)), *sorted(unordered)][:count]
