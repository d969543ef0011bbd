"""This module reads the compact index's list of all gems, `/versions`.

Format: RubyGems' guide "Compact Index API". After a header that ends with `---` each line is

    NAME [-]VERSION[-PLATFORM],... MD5

A gem comes again with each later push; its last MD5 counts and is that of `/info/NAME`. A hyphen in front of a version
takes it back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from securechain_ingest.errors import Malformed
from securechain_ingest.registries.feed import Change, Listed, ListingPage, paged
from securechain_ingest.registries.kit.lines import Lines

_HEADER_END: Final = b"---\n"
_LINE: Final = re.compile(rb"([A-Za-z0-9._-]+) (\S+) ([0-9a-f]{32})(?: .*)?")


def parse_listing(file: Path, url: str) -> list[ListingPage]:
    """Return every gem that has a version left, with its MD5, in pages. Malformed is raised for anything else."""
    gems = _gems(file.read_bytes(), url)
    return list(paged(Listed(name, digest) for name, (digest, is_left) in gems.items() if is_left))


def parse_tail(file: Path, size: int, url: str) -> tuple[Change, ...]:
    """Return the gems of the lines after the first `size` bytes, once each, with their last MD5. It raises
    Malformed."""
    content = file.read_bytes()
    later = dict.fromkeys(name for name, _, _ in _lines(content, max(size, _start(content, url)), url))
    gems = _gems(content, url)
    return tuple(Change(name, gems[name][0], not gems[name][1]) for name in later)


def last_digest(end: bytes, name: str) -> str | None:
    """Return the MD5 in the last line about a gem, or None without such a line. The end of the list may begin within a
    line."""
    lines = end[end.find(b"\n") + 1 :].split(b"\n")
    about = (line for line in reversed(lines) if line.startswith(f"{name} ".encode()))
    match = _LINE.fullmatch(next(about, b""))
    return match[3].decode() if match else None


def _gems(content: bytes, url: str) -> dict[str, tuple[str, bool]]:
    """Return the last MD5 of each gem, and whether it has a version left."""
    versions: dict[str, set[str]] = {}
    digests: dict[str, str] = {}
    for name, tokens, digest in _lines(content, _start(content, url), url):
        held = versions.setdefault(name, set())
        for token in tokens.split(","):
            if token.startswith("-"):
                held.discard(token[1:])
            else:
                held.add(token)
        digests[name] = digest
    return {name: (digest, bool(versions[name])) for name, digest in digests.items()}


def _start(content: bytes, url: str) -> int:
    """Return where the header ends."""
    end = content.find(_HEADER_END)
    if end < 0 or (end > 0 and content[end - 1 : end] != b"\n"):
        raise Malformed(f"{url} is no list of gems: its header does not end with ---", url=url)
    return end + len(_HEADER_END)


def _lines(content: bytes, start: int, url: str) -> Iterator[tuple[str, str, str]]:
    """Yield (name, versions, MD5) of each line from there on; a line that cannot be read is reported and left out."""
    if len(content) > start and not content.endswith(b"\n"):
        raise Malformed(f"{url} is cut off within a line", url=url)
    return Lines(url).read(content[start:].splitlines(), _line)


def _line(line: bytes) -> tuple[str, str, str] | None:
    """The result is None for an empty line. ValueError is raised for a line that names no gem."""
    if not line:
        return None
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"it names no gem: {line[:80].decode(errors='replace')!r}")
    return match[1].decode(), match[2].decode(errors="replace"), match[3].decode()
