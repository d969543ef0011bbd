"""This module checks the digests that servers send with a document, so that a body that was cut off or mixed up on the
way is not taken for the document.

`Repr-Digest` and `Content-Digest` are defined in RFC 9530 (`sha-256=:…:`), and the older `Digest` in RFC 3230
(`SHA-256=…`). All are in base64. By these RFCs a digest is about the bytes as they are sent, compressed or not.
RubyGems' index, however, is behind a cache that compresses, and its digest is about the decompressed bytes. Therefore a
digest of either kind is accepted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from typing import Final

from securechain_ingest.errors import Unavailable

_HEADERS: Final = ("repr-digest", "content-digest", "digest")
_MEMBER: Final = re.compile(r"\s*(sha-256|sha-512)=(:?)([A-Za-z0-9+/]{43,86}={0,2})\2\s*", re.IGNORECASE)
_SIZES: Final = {"sha-256": 32, "sha-512": 64}


class Digests:
    """These are the digests that came with one answer. Digests of other algorithms, or written in another way, are
    ignored."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._stated = [
            digest
            for header in _HEADERS
            for member in headers.get(header, "").split(",")
            if (digest := _digest(member))
        ]
        self._received = {algorithm: _hash(algorithm) for algorithm, _ in self._stated}

    async def watch(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the pieces of the body as they arrive, and add each one to the digests of what was received."""
        async for piece in pieces:
            for received in self._received.values():
                received.update(piece)
            yield piece

    def check(self, body: bytes, url: str) -> None:
        """Raise Unavailable if the body is not the one that the server meant to send. `body` is what the pieces
        expanded to."""
        for algorithm, stated in self._stated:
            if stated not in (self._received[algorithm].digest(), _hash(algorithm, body).digest()):
                raise Unavailable(f"{url} is damaged: it is not what its {algorithm} says", url=url)


def _digest(member: str) -> tuple[str, bytes] | None:
    match = _MEMBER.fullmatch(member)
    if match is None:
        return None
    algorithm = match[1].lower()
    try:
        digest = base64.b64decode(match[3], validate=True)
    except binascii.Error:
        return None
    return (algorithm, digest) if len(digest) == _SIZES[algorithm] else None


def _hash(algorithm: str, data: bytes = b"") -> hashlib._Hash:
    return hashlib.new(algorithm.replace("-", ""), data)
