"""This module reads the format of a Maven repository's published index, full or a chunk: a gzip stream of documents.

It follows apache/maven-indexer (`IndexDataReader`, `IndexDataWriter`; registries.md, section 4). A file has a byte 1, a
time of eight bytes, then documents to the end. A document is an int32 number of fields; a field is a byte of flags, a
name after its uint16 length, and a value after its int32 length. Texts are in Java's modified UTF-8. All numbers are
big-endian.

Every field of every document is walked over by its length, so that nothing within a value is mistaken for a field. The
walk of `uinfos` is fast because the first eight bytes of the common fields (flags, name and length) are looked up as
one word, and only the first field's value is taken out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, TypeVar

from isal import igzip, igzip_lib

from securechain_ingest.errors import Malformed

T = TypeVar("T")

_IsalError: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]  # isal's stub takes the class for an instance

MAX_DOCUMENT_BYTES: Final = 32 * 1024 * 1024
"""This is in bytes; the largest real documents, the lists of all groups, have some three million."""

_BLOCK_BYTES: Final = 64 * 1024
"""So many bytes are decompressed at once: what stays in the processor's cache is walked over fastest."""

_FORMAT: Final = 1
_HEADER_BYTES: Final = 9
_HEAD_BYTES: Final = 8
_USUAL_LENGTHS: Final = range(1024)


def _head(flags: int, name: bytes, length: int) -> bytes:
    return bytes((flags, 0, 1)) + name + length.to_bytes(4, "big")


_FURTHER_FIELDS: Final = {count.to_bytes(4, "big"): range(count - 1) for count in range(1, 64)}
_UINFO_BYTES: Final = {_head(5, b"u", length): _HEAD_BYTES + length for length in _USUAL_LENGTHS}
"""A field's size in bytes is found by its first eight; so it is in the next table."""
_FIELD_BYTES: Final = {
    _head(flags, name, length): _HEAD_BYTES + length
    for flags, name in ((4, b"m"), (4, b"i"), (4, b"n"), (4, b"d"), (7, b"n"), (7, b"d"), (5, b"1"))
    for length in _USUAL_LENGTHS
}


class _CutOffError(Exception):
    """The document goes on after the buffer."""


class _ForeignError(Exception):
    """What was read is not a document."""


def uinfos(file: BinaryIO, source: str) -> Iterator[list[bytes]]:
    """Yield the values of the field `u`, of the documents that have one: some at a time, in the file's order, as they
    are.

    It raises Malformed, which names `source`, if the file is not an index, is damaged, or ends too early; what was
    yielded before is to be thrown away then.
    """
    return _walked(file, source, _walk_uinfos)


def documents(file: BinaryIO, source: str) -> Iterator[list[dict[bytes, bytes]]]:
    """Yield all fields of all documents, some at a time. Of fields with one name the first counts. It raises Malformed
    as `uinfos` does.

    It is several times slower than `uinfos`.
    """
    return _walked(file, source, _walk_documents)


def decode(value: bytes) -> str:
    """Return a name or value as a text: NUL is written in two bytes, and each half of a surrogate pair in three.

    It raises ValueError for bytes that are not modified UTF-8.
    """
    if value.isascii():
        return value.decode("ascii")
    halves = value.replace(b"\xc0\x80", b"\0").decode("utf-8", "surrogatepass")
    return halves.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _walked(file: BinaryIO, source: str, walk: Callable[[bytes, list[T]], int]) -> Iterator[list[T]]:
    """Yield what `walk` finds in the whole documents of each block; `walk` answers where the first document begins that
    is not whole."""
    blocks = _decompressed(file, source)
    buffer = _gathered(blocks, _HEADER_BYTES)
    if buffer[:1] not in (bytes((_FORMAT,)), b""):
        raise Malformed(f"{source} is no Maven index of a format that is known", url=source)
    if len(buffer) < _HEADER_BYTES:
        raise Malformed(f"{source} is damaged: it ends within its header", url=source)
    buffer = buffer[_HEADER_BYTES:]
    while True:
        found: list[T] = []
        try:
            position = walk(buffer, found)
        except _ForeignError as error:
            raise Malformed(f"{source} is damaged: {error}", url=source) from error
        yield found
        rest = buffer[position:]
        if len(rest) > MAX_DOCUMENT_BYTES:
            raise Malformed(f"{source} is damaged: a document without an end", url=source)
        # A document that is not whole is walked over anew: each time with twice as much of it.
        more = _gathered(blocks, len(rest) or 1)
        if not more:
            break
        buffer = rest + more
    if rest:
        raise Malformed(f"{source} is damaged: it ends within a document", url=source)


def _gathered(blocks: Iterator[bytes], size: int) -> bytes:
    """Return blocks of that size together, or what is left of them."""
    gathered: list[bytes] = []
    for block in blocks:
        gathered.append(block)
        size -= len(block)
        if size <= 0:
            break
    return b"".join(gathered)


def _decompressed(file: BinaryIO, source: str) -> Iterator[bytes]:
    try:
        with igzip.open(file) as stream:  # type: ignore[no-untyped-call]
            while block := stream.read(_BLOCK_BYTES):
                yield block
    except (EOFError, igzip.BadGzipFile, _IsalError) as error:
        raise Malformed(f"{source} is damaged: its gzip stream does not decompress ({error})", url=source) from error


def _walk_uinfos(buffer: bytes, found: list[bytes]) -> int:
    position, end = 0, len(buffer)
    further_fields, uinfo_bytes, field_bytes = _FURTHER_FIELDS, _UINFO_BYTES, _FIELD_BYTES
    uinfo: bytes | None
    try:
        while position < end:
            try:
                further = further_fields[buffer[position : position + 4]]
                after = position + 4 + uinfo_bytes[buffer[position + 4 : position + 12]]
            except KeyError:
                fields, after = _document(buffer, position)
                uinfo = fields.get(b"u")
            else:
                uinfo = buffer[position + 12 : after]
                for _ in further:
                    try:
                        after += field_bytes[buffer[after : after + 8]]
                    except KeyError:
                        _, after = _field(buffer, after)
                if after > end:
                    break
            if uinfo is not None:
                found.append(uinfo)
            position = after
    except _CutOffError:
        pass
    return position


def _walk_documents(buffer: bytes, found: list[dict[bytes, bytes]]) -> int:
    position, end = 0, len(buffer)
    try:
        while position < end:
            fields, position = _document(buffer, position)
            found.append(fields)
    except _CutOffError:
        pass
    return position


def _document(buffer: bytes, position: int) -> tuple[dict[bytes, bytes], int]:
    """Return the document's fields, and where it ends."""
    count = _number(buffer, position)
    position += 4
    fields: dict[bytes, bytes] = {}
    for _ in range(count):
        value_at, after = _field(buffer, position)
        fields.setdefault(buffer[position + 3 : value_at - 4], buffer[value_at:after])
        position = after
    if position > len(buffer):
        raise _CutOffError
    return fields, position


def _field(buffer: bytes, position: int) -> tuple[int, int]:
    """Return where the field's value begins and ends. The end may lie after the buffer."""
    value_at = position + 7 + int.from_bytes(buffer[position + 1 : position + 3], "big")
    return value_at, value_at + _number(buffer, value_at - 4)


def _number(buffer: bytes, position: int) -> int:
    if position + 4 > len(buffer):
        raise _CutOffError
    number = int.from_bytes(buffer[position : position + 4], "big")
    if number > MAX_DOCUMENT_BYTES:
        raise _ForeignError(f"{number:,} is not how long a value can be, nor how many fields a document has")
    return number
