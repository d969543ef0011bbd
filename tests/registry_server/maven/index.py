"""This is a made Maven repository's index: the whole, its chunks and what it says of them, from the history alone."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable, Iterator, Sequence

from tests.registry_server.history import HistoryEvent, RegistryHistory, What
from tests.registry_server.resources import Resource, archive, document

INDEX = "/.index/nexus-maven-repository-index"
EVENTS_A_CHUNK = 1
"""So many events are published together; with one nothing is ever late."""
CHUNKS_KEPT = 30

Fields = dict[str, str]

_FLAGS = {"u": 5, "1": 5, "n": 7, "d": 7, "DESCRIPTOR": 5, "allGroups": 5, "rootGroups": 5}
_TIME = 1_785_542_400_000


def packed(documents: Iterable[Fields]) -> bytes:
    """Return an index or a chunk of these documents (apache/maven-indexer, `IndexDataWriter`)."""
    return gzip.compress(b"".join((struct.pack(">bq", 1, _TIME), *map(encoded, documents))), 1, mtime=0)


def encoded(fields: Fields) -> bytes:
    """Return one document."""
    return framed([field(name, value) for name, value in fields.items()])


def framed(fields: Sequence[bytes]) -> bytes:
    """Return a document of fields that are encoded already."""
    return struct.pack(">i", len(fields)) + b"".join(fields)


def field(name: str, value: str) -> bytes:
    key, text = modified_utf8(name), modified_utf8(value)
    return struct.pack(">bH", _FLAGS.get(name, 4), len(key)) + key + struct.pack(">i", len(text)) + text


def modified_utf8(text: str) -> bytes:
    """Return a text as Java's DataOutput writes it: NUL in two bytes, a supplementary character as two surrogates of
    three each.
    """
    if text.isascii() and "\0" not in text:
        return text.encode()
    halves = text.encode("utf-16-le", "surrogatepass")
    units = [halves[start : start + 2].decode("utf-16-le", "surrogatepass") for start in range(0, len(halves), 2)]
    return b"".join(b"\xc0\x80" if unit == "\0" else unit.encode("utf-8", "surrogatepass") for unit in units)


def records(name: str, version: str, number: int) -> Iterator[Fields]:
    """Yield what the index has of one version: its own file, and its sources."""
    key = f"{name.replace(':', '|')}|{version}"
    time = str(_TIME + number * 1000)
    info = f"jar|{time}|12345|1|1|1|jar"
    yield {"u": f"{key}|NA", "m": time, "i": info, "n": "Made", "d": "Made for a test.", "1": "0" * 40}
    yield {"u": f"{key}|sources|jar", "m": time, "i": f"jar|{time}|2345|0|0|1|jar", "1": "1" * 40}


def index_site(history: RegistryHistory) -> dict[str, Resource]:
    """Return all files of the index, by path."""
    last = len(history.events) // EVENTS_A_CHUNK
    first_kept = max(1, last - CHUNKS_KEPT + 1, -(-history.forgotten // EVENTS_A_CHUNK) + 1)
    found = {f"{INDEX}.properties": document(_properties(history, last, first_kept), "text/plain")}
    found[f"{INDEX}.gz"] = archive(packed(_whole(history, last)), "application/gzip")
    for number in range(first_kept, last + 1):
        events = history.events[(number - 1) * EVENTS_A_CHUNK : number * EVENTS_A_CHUNK]
        found[f"{INDEX}.{number}.gz"] = archive(packed(_chunk(events)), "application/gzip")
    return found


def _properties(history: RegistryHistory, last: int, first_kept: int) -> bytes:
    chunks = "".join(
        f"nexus.index.incremental-{place}={number}\n" for place, number in enumerate(range(last, first_kept - 1, -1))
    )
    return (
        "#Sat Aug 01 00\\:00\\:00 UTC 2026\nnexus.index.id=central\n"
        f"nexus.index.chain-id=1318453614498{history.epoch}\nnexus.index.timestamp=20260801000000.000 +0000\n"
        f"nexus.index.last-incremental={last}\n{chunks}"
    ).encode()


def _whole(history: RegistryHistory, last: int) -> Iterator[Fields]:
    published = history.events[: last * EVENTS_A_CHUNK]
    yield {"DESCRIPTOR": "NexusIndex", "IDXINFO": "1.0|central"}
    for name, versions in RegistryHistory(published).versions.items():
        for number, version in enumerate(versions):
            yield from records(name, version, number)
    yield _groups(event.name for event in published)


def _chunk(events: Iterable[HistoryEvent]) -> Iterator[Fields]:
    for event in events:
        if event.version is not None and event.what is What.PUBLISHED:
            yield from records(event.name, event.version, event.number)
        elif event.version is not None and event.what is What.REMOVED:
            key = f"{event.name.replace(':', '|')}|{event.version}|NA"
            yield {"del": key, "m": str(_TIME + event.number * 1000)}
    yield _groups(event.name for event in events)


def _groups(names: Iterable[str]) -> Fields:
    groups = dict.fromkeys(name.partition(":")[0] for name in names)
    return {"allGroups": "allGroups", "allGroupsList": "|".join(groups)}
