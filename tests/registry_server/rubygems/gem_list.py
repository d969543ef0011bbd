"""This is the compact index's list of all gems, `/versions`, from the history: a line for each push and each yank."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterator, Mapping

from tests.registry_server.history import BEGINNING, HistoryEvent, RegistryHistory, What
from tests.registry_server.resources import Resource

_told: dict[tuple[int, str, int], str] = {}
"""This is the MD5 that a line was given when it was the gem's last, by epoch, gem and event: a list only grows."""


def gem_list(history: RegistryHistory, documents: Mapping[str, bytes]) -> Resource:
    """Return the list; `documents` are the files of gems that have one, whose MD5 their last lines tell."""
    body = "".join(
        [f"created_at: {BEGINNING:%Y-%m}-{history.epoch + 1:02}T00:00:05Z\n---\n", *_lines(history, documents)]
    )
    content = body.encode()
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return Resource(
        content,
        "text/plain; charset=utf-8",
        headers=(("Accept-Ranges", "bytes"), ("Repr-Digest", f"sha-256=:{digest}:")),
        etag=f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"',
        gzipped=gzip.compress(content, 1, mtime=0),
        ranges=True,
    )


def _lines(history: RegistryHistory, documents: Mapping[str, bytes]) -> Iterator[str]:
    """A yank that was taken back leaves no line."""
    held: dict[str, list[str]] = {}
    taken_back = {
        (event.name, event.version, _yank_before(history, event))
        for event in history.events
        if event.what is What.UNYANKED
    }
    kept = [
        event
        for event in history.events
        if event.what is not What.UNYANKED and (event.name, event.version, event.number) not in taken_back
    ]
    newest = {event.name: event for event in kept}
    for event in kept:
        versions = held.setdefault(event.name, [])
        gone = event.what in {What.REMOVED, What.YANKED}
        tokens = [f"-{version}" for version in versions] if event.version is None else [f"{'-' * gone}{event.version}"]
        if event.version is None:
            versions.clear()
        elif not gone:
            versions.append(event.version)
        elif event.version in versions:
            versions.remove(event.version)
        if tokens:
            digest = _digest(history.epoch, event, documents, is_newest=event is newest[event.name])
            yield f"{event.name} {','.join(tokens)} {digest}\n"


def _yank_before(history: RegistryHistory, unyank: HistoryEvent) -> int:
    return max(
        event.number
        for event in history.by_name[unyank.name]
        if event.number < unyank.number and event.version == unyank.version and event.what is What.YANKED
    )


def _digest(epoch: int, event: HistoryEvent, documents: Mapping[str, bytes], *, is_newest: bool) -> str:
    """A gem's newest line has the digest of its file of now."""
    key = (epoch, event.name, event.number)
    if is_newest and event.name in documents:
        _told[key] = _md5(documents[event.name])
    return _told.setdefault(key, _md5(f"{event.name} {event.number}".encode()))


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
