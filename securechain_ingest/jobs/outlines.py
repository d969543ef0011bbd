"""This module keeps what the graph had of each package of an ecosystem, in 13 bytes for each, while a registry's whole
list is compared with it."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, NamedTuple

import anyio.to_thread

from securechain_ingest.graph.names import PackageNames, WalkedPackage
from securechain_ingest.model import Ecosystem

_BUCKETS: Final = 256
_PURL_BITS, _REVISION_BITS = 2**64 - 1, 2**32 - 1
_COMPLETE, _REMOVED, _AWAITED, _LISTED = 1, 2, 4, 8


class Outline(NamedTuple):
    """This is what is kept of a package; the text of its revision is not."""

    is_complete: bool
    is_removed: bool
    revision: int

    def is_of(self, revision: str) -> bool:
        """Return whether the graph had the package in this state. Of two different states this is true once in 2^32
        cases."""
        return self.revision == _digest(revision) & _REVISION_BITS


class Outlines:
    """These are the outlines of an ecosystem's packages. They are filled first and asked afterwards.

    Two different purls are taken for one once in 2^64 cases; a change of that package, or that it is gone, is then
    overlooked.
    """

    def __init__(self) -> None:
        self._buckets = [_Bucket() for _ in range(_BUCKETS)]
        self._is_sorted = True
        self.unlisted = 0
        """So many packages that are not marked as gone have not been found in the list so far."""

    def add(self, packages: Iterable[WalkedPackage]) -> None:
        for purl, is_complete, revision, is_removed in packages:
            kind = (_COMPLETE if is_complete else 0) | (_REMOVED if is_removed else 0)
            self._add(purl, _digest(revision or ""), kind)
            self.unlisted += not is_removed

    def add_awaited(self, purls: Iterable[str]) -> None:
        """Add packages that are only required. One that the graph has as well must have been added before."""
        for purl in purls:
            self._add(purl, 0, _AWAITED)

    def listed(self, purl: str) -> Outline | None:
        """Note that the registry lists a package, and return its outline, or None if the graph neither had it nor
        awaited it."""
        if (found := self._find(purl)) is None:
            return None
        bucket, index = found
        kind = bucket.kinds[index]
        if not kind & (_LISTED | _REMOVED | _AWAITED):
            self.unlisted -= 1
        bucket.kinds[index] |= _LISTED
        return Outline(bool(kind & _COMPLETE), bool(kind & _REMOVED), bucket.revisions[index])

    def is_unlisted(self, purl: str) -> bool:
        """Return whether the graph had the package, not marked as gone, and the list lacks it."""
        if (found := self._find(purl)) is None:
            return False
        bucket, index = found
        return not bucket.kinds[index] & (_LISTED | _REMOVED | _AWAITED)

    def _add(self, purl: str, revision: int, kind: int) -> None:
        digest = _digest(purl)
        bucket = self._buckets[digest % _BUCKETS]
        bucket.purls.append(digest)
        bucket.revisions.append(revision & _REVISION_BITS)
        bucket.kinds.append(kind)
        self._is_sorted = False

    def _find(self, purl: str) -> tuple[_Bucket, int] | None:
        if not self._is_sorted:
            # Buckets are sorted one after the other, because sorting makes an object of each number.
            for each in self._buckets:
                each.sort()
            self._is_sorted = True
        digest = _digest(purl)
        bucket = self._buckets[digest % _BUCKETS]
        index = bisect_left(bucket.purls, digest)
        return (bucket, index) if index < len(bucket.purls) and bucket.purls[index] == digest else None


class _Bucket:
    """Three columns: digests of purls, digests of revisions, and what is known of each package."""

    __slots__ = ("kinds", "purls", "revisions")

    def __init__(self) -> None:
        self.purls, self.revisions, self.kinds = array("Q"), array("I"), bytearray()

    def sort(self) -> None:
        order = sorted(range(len(self.purls)), key=self.purls.__getitem__)
        self.purls = array("Q", map(self.purls.__getitem__, order))
        self.revisions = array("I", map(self.revisions.__getitem__, order))
        self.kinds = bytearray(map(self.kinds.__getitem__, order))


def _digest(text: str) -> int:
    # Python's own is keyed anew in each process, so that nobody can choose two names with one digest. It is 25 times as
    # fast as one of hashlib's.
    return hash(text) & _PURL_BITS


async def outlines(names: PackageNames, ecosystem: Ecosystem, *, awaited: bool) -> Outlines:
    """Walk the packages of an ecosystem, and with `awaited` those that are only required. It raises StoreError."""
    found = Outlines()
    async for packages in names.walk(ecosystem):
        await anyio.to_thread.run_sync(found.add, packages)
    if awaited:
        async for purls in names.walk_awaited(ecosystem):
            await anyio.to_thread.run_sync(found.add_awaited, purls)
    return found
