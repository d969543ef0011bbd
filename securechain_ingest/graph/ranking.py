"""The order of very many versions, worked out on the event loop in short pieces."""

from __future__ import annotations

import heapq
from collections.abc import Collection
from typing import Any

from securechain_ingest.model import Ecosystem
from securechain_ingest.yielding import in_pieces

_RUN = 128
"""Names that are sorted in one go."""


async def ordered(ecosystem: Ecosystem, names: Collection[str]) -> tuple[list[str], list[str]]:
    """Different names in ascending order, and those that the ecosystem's scheme cannot order; as `Ecosystem.rank`."""
    keyed: list[tuple[Any, str]] = []
    unordered: list[str] = []
    async for name in in_pieces(names):
        try:
            keyed.append((ecosystem.version_key(name), name))
        except ValueError:
            unordered.append(name)
    runs = [sorted(keyed[start : start + _RUN]) async for start in in_pieces(range(0, len(keyed), _RUN), look_every=1)]
    return [name async for _, name in in_pieces(heapq.merge(*runs))], sorted(unordered)
