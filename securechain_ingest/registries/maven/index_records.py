"""This module reads what a Maven index says about packages. Both readers run in a parsing process and are given a path.

A record's `u` is `group|artifact|version|classifier[|extension]`, and the classifier is `NA` if there is none. A
version exists if a record without classifier does. A chunk's `del` has the `u` of a record that is gone (registries.md,
section 4).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from isal import isal_zlib

from securechain_ingest.errors import InvalidName, Malformed
from securechain_ingest.registries.feed import Change, Listed, paged
from securechain_ingest.registries.maven.index import decode, documents, uinfos
from securechain_ingest.registries.maven.names import Coordinates, can_be_asked_for, identify, ids

MAX_ANNOUNCED: Final = 100
"""A change names at most this many versions; of more it names none, because they make a long message."""

MAX_LISTED_TEXT: Final = 32 * 1024
"""This is in characters of the versions that a listing names of one package, some four thousand; of more it names
none."""

_LISTED: Final = "listed:"
"""This stands before them; no version can be that."""


@dataclass(frozen=True, slots=True)
class ChunkChanges:
    changes: tuple[Change, ...]
    left_out: int
    """So many names are none that a package can have."""


@dataclass(frozen=True, slots=True)
class IndexPages:
    pages: tuple[tuple[bytes, int], ...]
    """Each page is packed and has its number of names; the packages are in the order of their first records."""
    left_out: int
    """So many names are none that a package can have."""


def revision(versions: Iterable[str]) -> str:
    """Return a word for a set of versions, whatever their order: how many there are, and the sum of their checksums.

    One version more or less always gives another word, and another version in the place of one almost always does.
    """
    return _revision(map(_checksum, versions))


def read_listing(path: str, source: str) -> IndexPages:
    """Return every package of a full index, with the revision that its versions give. It raises Malformed.

    It takes about four bytes for a version, 250 for a package, and 150 for each text that some version has.
    """
    found: dict[bytes, array[int]] = {}
    numbers: dict[bytes, int] = {}
    last = b""
    with Path(path).open("rb") as file:
        for block in uinfos(file, source):
            for uinfo in block:
                # Written for speed: this is done for each of some sixty million records.
                release, is_release, extension = uinfo.partition(b"|NA")
                if not is_release or release == last:
                    continue
                if release.count(b"|") != 2 or (extension and extension[:1] != b"|"):
                    # The text `|NA` was in something else, such as the artifact id.
                    parts = uinfo.split(b"|")
                    if parts[3:4] != [b"NA"]:
                        continue
                    release = b"|".join(parts[:3])
                last = release
                package, _, version = release.rpartition(b"|")
                number = numbers.get(version)
                if number is None:
                    number = numbers[version] = len(numbers)
                held = found.get(package)
                if held is None:
                    held = found[package] = array("I")
                held.append(number)
    texts = [_text(version, source) for version in numbers]
    pages = tuple((page.packed, page.names) for page in paged(_listed(found, texts, source)))
    return IndexPages(pages, len(found) - sum(names for _, names in pages))


def listed_versions(at_least: str | None) -> tuple[tuple[str, ...], bool]:
    """Return the versions that a listing or a change has announced, and whether it was a listing: that has what was
    announced long ago, and what the repository no longer has."""
    words = tuple(dict.fromkeys((at_least or "").split()))
    return (words[1:], True) if words[:1] == (_LISTED,) else (words, False)


def read_chunk(path: str, source: str) -> ChunkChanges:
    """Return what a chunk changes, each package once. It raises Malformed."""
    packages: dict[str, dict[str, set[str]]] = {}
    with Path(path).open("rb") as file:
        for block in documents(file, source):
            for fields in block:
                _apply(packages, {key: _text(fields.get(key, b""), source) for key in (b"u", b"i", b"del")})
    changes = tuple(_change(name, versions) for name, versions in packages.items() if _is_a_name(name))
    return ChunkChanges(changes, len(packages) - len(changes))


def _apply(packages: dict[str, dict[str, set[str]]], fields: Mapping[bytes, str]) -> None:
    """Keep the files without classifier, by their extension, that each version has after this document.

    A record whose `u` has no extension has it in `i`, and its deletion may name it (MINDEXER-41).
    """
    uinfo = fields[b"u"] or fields[b"del"]
    group_id, artifact_id, version, classifier, extension, *_ = uinfo.split("|") + [""] * 4
    if classifier != "NA":
        return
    files = packages.setdefault(f"{group_id}:{artifact_id}", {}).setdefault(version, set())
    if fields[b"u"]:
        files.add(extension or "".join(fields[b"i"].split("|")[6:7]))
    elif extension:
        files.discard(extension)
    else:
        files.clear()


def _change(name: str, versions: Mapping[str, set[str]]) -> Change:
    """The package is gone as far as the chunk says: it cannot say whether there are versions that it does not
    mention."""
    is_there = [version for version, files in versions.items() if files]
    can_be_named = len(is_there) <= MAX_ANNOUNCED and all(_can_be_announced(name, version) for version in is_there)
    return Change(name, " ".join(is_there) or None if can_be_named else None, not is_there, versions_only=not is_there)


def _can_be_announced(name: str, version: str) -> bool:
    return version.isprintable() and can_be_asked_for(Coordinates(*ids(identify(name)), version))


def _is_a_name(name: str) -> bool:
    try:
        identify(name)
    except InvalidName:
        return False
    return True


def _listed(found: Mapping[bytes, array[int]], texts: Sequence[str], source: str) -> Iterator[Listed]:
    """`found` has numbers of versions, which are indexes into `texts`."""
    checksums = array("I", map(_checksum, texts))
    # A version that can be a folder for one package can for any.
    announced = [text if text.isprintable() and can_be_asked_for(Coordinates("g", "a", text)) else "" for text in texts]
    for name, numbers in found.items():
        text = _text(name, source).replace("|", ":", 1)
        if _is_a_name(text):
            distinct = dict.fromkeys(numbers)
            at_least = " ".join((_LISTED, *filter(None, map(announced.__getitem__, distinct))))
            fits = len(_LISTED) < len(at_least) <= MAX_LISTED_TEXT
            yield Listed(text, _revision(map(checksums.__getitem__, distinct)), at_least if fits else None)


def _revision(checksums: Iterable[int]) -> str:
    distinct = set(checksums)
    return f"{len(distinct)}-{sum(distinct):x}"


def _checksum(version: str) -> int:
    checksum: int = isal_zlib.crc32(version.encode("utf-8", "surrogatepass"))
    return checksum


def _text(value: bytes, source: str) -> str:
    try:
        return decode(value)
    except ValueError as error:
        raise Malformed(f"{source} is damaged: {value[:100]!r} is no text", url=source) from error
