"""This module has a set for very many names, which takes eight bytes for each of them."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b

_BUCKETS = 256


class NameDigests:
    """This set is filled first and asked afterwards.

    Two different names have the same digest once in 2^64 cases. A package that is gone is then overlooked until the
    next comparison.
    """

    def __init__(self) -> None:
        self._buckets = [array("Q") for _ in range(_BUCKETS)]
        self._is_sorted = True

    def add(self, texts: Iterable[str]) -> None:
        for text in texts:
            digest = _digest(text)
            self._buckets[digest % _BUCKETS].append(digest)
        self._is_sorted = False

    def __contains__(self, text: str) -> bool:
        if not self._is_sorted:
            # Buckets are sorted one after the other, because sorting makes an object of each number.
            self._buckets = [array("Q", sorted(bucket)) for bucket in self._buckets]
            self._is_sorted = True
        digest = _digest(text)
        bucket = self._buckets[digest % _BUCKETS]
        index = bisect_left(bucket, digest)
        return index < len(bucket) and bucket[index] == digest


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
