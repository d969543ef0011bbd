"""This module has a cache of bounded weight."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """This keeps the values that were used last, with at most `limit` in weight all together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._weight = 0
        self._held: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        held = self._held.get(key)
        if held is None:
            return None
        self._held.move_to_end(key)
        return held[0]

    def put(self, key: K, value: V, weight: int) -> None:
        """A value above the limit is not kept at all."""
        _, replaced = self._held.pop(key, (None, 0))
        self._weight -= replaced
        if weight > self._limit:
            return
        self._weight += weight
        self._held[key] = value, weight
        while self._weight > self._limit:
            _, (_, dropped) = self._held.popitem(last=False)
            self._weight -= dropped
