"""These are parse functions for tests; a parser process can import them too."""

from __future__ import annotations

import os
from typing import BinaryIO

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.zips import open_zip
from securechain_ingest.errors import ArchiveRefused

LIMITS = ArchiveLimits(max_members=1000, max_expanded_bytes=1_000_000)


def zip_names(file: BinaryIO) -> tuple[str, ...]:
    return open_zip(file, LIMITS).names()


def zip_member(name: str, file: BinaryIO) -> bytes:
    return open_zip(file, LIMITS).read(name)


def every_byte_backwards(file: BinaryIO) -> int:
    """This parser wants one byte at a time; it gives how many there are."""
    size = file.seek(0, os.SEEK_END)
    for position in reversed(range(size)):
        file.seek(position)
        file.read(1)
    return size


def fail_with(error: Exception) -> None:
    raise error


def die(_: BinaryIO) -> None:
    os.abort()


def count_for_ever(*_: object) -> None:
    while True:
        pass


def names_of_document(body: bytes, url: str) -> object:
    """This parser of documents does whatever the document says."""
    return eval(body)


def fill_memory(_: BinaryIO) -> None:
    bytes(2**40)


def damaged(_: BinaryIO) -> None:
    raise ArchiveRefused("damaged", reason="damaged")
