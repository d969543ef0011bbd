"""A crate's state becomes one text, the same from its index file and from the database dump."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def version_digest(number: str, yanked: bool) -> int:
    """Return 64 bits that stand for one version. Digests are added up, so that the versions may come in any order and
    need not be kept."""
    text = f"{number} {'yanked' if yanked else ''}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def revision(digests: Iterable[int]) -> str:
    """Return `Package.revision` for the versions with these digests."""
    return f"{sum(digests) % 2**64:016x}"
