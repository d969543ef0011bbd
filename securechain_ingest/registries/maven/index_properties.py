"""A Maven repository says of its index, in a file of Java properties, which chain of chunks there is and how far it
goes (registries.md, section 4; apache/maven-indexer, `IncrementalHandler`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from securechain_ingest.errors import CursorLost, Malformed

_LINE: Final = re.compile(r"[ \t\f]*((?:\\.|[^\\=: \t\f])+)[ \t\f]*[=: \t\f][ \t\f]*(.*?)", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_CONTROL: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}

_CHUNK: Final = re.compile(r"nexus\.index\.incremental-[0-9]{1,9}")
_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class IndexProperties:
    chain: str
    """Another chain is another index, with other numbers."""
    last: int
    """This is the newest chunk's number; it is 0 if there has been none."""
    chunks: frozenset[int]
    """These chunks can still be had."""

    @property
    def cursor(self) -> str:
        return cursor_of(self.chain, self.last)

    def chunks_after(self, cursor: str, url: str) -> range:
        """Return the chunks that follow a cursor, in ascending order. It raises CursorLost if they do not lead from
        there to the newest."""
        chain, separator, number = cursor.rpartition(":")
        if not separator or not _NUMBER.fullmatch(number):
            raise CursorLost(f"{cursor!r} is no position in a Maven index", url=url)
        if chain != self.chain:
            raise CursorLost(f"{url} has another chain of chunks, {self.chain} instead of {chain}", url=url)
        read = int(number)
        if read > self.last:
            raise CursorLost(f"{url} went back from chunk {read} to {self.last}", url=url)
        wanted = range(read + 1, self.last + 1)
        if len(wanted) > len(self.chunks) or not self.chunks.issuperset(wanted):
            raise CursorLost(f"{url} no longer lists every chunk from {read + 1} to {self.last}", url=url)
        return wanted


def cursor_of(chain: str, number: int) -> str:
    """Return the cursor of whoever has read a chain of chunks up to this one."""
    return f"{chain}:{number}"


def parse_index_properties(body: bytes, url: str) -> IndexProperties:
    """Return which chain of chunks the index has and how far it goes. It raises Malformed for a text that does not say
    so."""
    properties = parse_properties(body)
    chain = properties.get("nexus.index.chain-id", "")
    last = properties.get("nexus.index.last-incremental", "")
    chunks = [text for key, text in properties.items() if _CHUNK.fullmatch(key)]
    if not chain or not all(map(_NUMBER.fullmatch, (last, *chunks))):
        raise Malformed(f"{url} does not say which chain of chunks the index has and how far it goes", url=url)
    return IndexProperties(chain, int(last), frozenset(map(int, chunks)))


def parse_properties(body: bytes) -> dict[str, str]:
    """Return the keys and values of Java properties (java.util.Properties.load): Latin-1, comments, escapes, lines that
    go on in the next."""
    text = re.sub(r"\r\n?", "\n", body.decode("latin-1"))
    found: dict[str, str] = {}
    lines = iter(text.split("\n"))
    for line in lines:
        if line.lstrip().startswith(("#", "!")):
            continue
        pieces = [line]
        while _goes_on(pieces[-1]):
            pieces[-1] = pieces[-1][:-1]
            pieces.append(next(lines, "").lstrip(" \t\f"))
        if match := _LINE.fullmatch(f"{''.join(pieces)} "):
            found[_unescaped(match[1])] = _unescaped(match[2].removesuffix(" "))
    return found


def _goes_on(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _CONTROL.get(match[2], match[2]), text)
