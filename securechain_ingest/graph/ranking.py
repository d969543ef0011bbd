"""This module works out the order of very many versions on the event loop, in short pieces."""

from __future__ import annotations

import heapq
from collections.abc import Collection
from typing import Any

from securechain_ingest.model import Ecosystem
from securechain_ingest.yielding import in_pieces

_RUN = 128
"""This many names are sorted in one piece."""


async def ordered(ecosystem: Ecosystem, names: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the names in ascending order, and the names that the ecosystem's scheme cannot order. The names must
    differ from each other. The order is that of `Ecosystem.rank`."""
    keyed: list[tuple[Any, str]] = []
    unordered: list[str] = []
    async for name in in_pieces(names):
        try:
            keyed.append((ecosystem.version_key(name), name))
        except ValueError:
            unordered.append(name)
    runs = [sorted(keyed[start : start + _RUN]) async for start in in_pieces(range(0, len(keyed), _RUN), look_every=1)]
    return [name async for _, name in in_pieces(heapq.merge(*runs))], sorted(unordered)
