"""This module reads what can be required of a gem: its Ruby files below the folders that `require` looks in.

A gem is a plain tar (RubyGems' Gem::Package) with `metadata.gz`, whose gemspec lists the files, and `data.tar.gz` with
the files themselves, in either order. The data decide. Where they have not been fetched, which is so for all but small
gems, the gemspec's list is used, and only if it has none are the data asked for. Each file counts by the path that a
user requires and by the same with `::` (contract, section 1.5), except tests (`_spec.rb`, `_test.rb`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO, Final

from securechain_ingest.archives.expansion import ExpandedStream, expand
from securechain_ingest.archives.limits import ArchiveLimits, safe_name
from securechain_ingest.archives.sparse import MissingBytes
from securechain_ingest.archives.tars import iterate_plain_tar
from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.model import ImportNames
from securechain_ingest.registries.kit.import_name_rules import MAX_NAMES, clean, import_names
from securechain_ingest.registries.rubygems.gemspec import Gemspec, parse_gemspec

WINDOW_BYTES: Final = 64 * 1024
"""This is in bytes, and is fetched of a gem first: it nearly always has the gemspec, and often the whole gem."""

MAX_METADATA_BYTES: Final = 4 * 1024 * 1024
"""This is in bytes, unpacked; a gem with ten thousand files has a tenth of it."""

MAX_PATH_LENGTH: Final = 1024
"""This is in characters; nobody finds anything to require in a file with a longer path."""

_FOLDER_END: Final = re.compile("/")
_METADATA: Final = ("metadata.gz", "metadata")
_DATA: Final = "data.tar.gz"
_TESTS: Final = ("_spec.rb", "_test.rb")
_OLD_FORMAT_MARK: Final = b"MD5SUM ="
_OLD_FORMAT_BYTES: Final = 1024


def read_gem(file: BinaryIO, limits: ArchiveLimits, name: str | None) -> ImportNames:
    """Return the names in a gem. If there are none, that is `name` or, if that is None, the gemspec's. It raises
    ArchiveRefused and MissingBytes."""
    size = file.seek(0, io.SEEK_END)
    try:
        gemspec = _gemspec(file, limits)
    except MissingBytes as gap:
        # The header asked for is small, and what it announces comes next.
        raise MissingBytes(gap.first, max(gap.last, min(gap.first + WINDOW_BYTES, size) - 1)) from gap
    try:
        files = tuple(_listed(file, limits)) or gemspec.files
    except MissingBytes as gap:
        if not gemspec.files:
            raise MissingBytes(gap.first, size - 1) from gap
        files = gemspec.files
    found = _names(files, gemspec.require_paths)
    if not found.names:
        found = ImportNames(tuple(clean([name or gemspec.name or ""])))
    return replace(found, repository_url=gemspec.repository_url, license=gemspec.license)


def _gemspec(file: BinaryIO, limits: ArchiveLimits) -> Gemspec:
    _refuse_old_format(file)
    for member in iterate_plain_tar(file, limits):
        if member.name in _METADATA:
            packed = io.BytesIO(member.read())
            return parse_gemspec(ExpandedStream(expand(packed), MAX_METADATA_BYTES).read(MAX_METADATA_BYTES + 1))
    raise ArchiveRefused("a gem without metadata", reason="no_metadata")


def _refuse_old_format(file: BinaryIO) -> None:
    """The first gems were Ruby scripts with their contents behind `__END__`."""
    file.seek(0)
    if _OLD_FORMAT_MARK in file.read(_OLD_FORMAT_BYTES):
        msg = "a gem in the format of before 2005, a script with its contents at the end"
        raise ArchiveRefused(msg, reason="old_format")


def _listed(file: BinaryIO, limits: ArchiveLimits) -> Iterator[str]:
    """Yield the files inside the data; if there are several data members the first counts, as for RubyGems.

    RubyGems unpacks links, too, and `require` follows them.
    """
    for member in iterate_plain_tar(file, limits):
        if member.name == _DATA:
            yield from (inner.name for inner in member.inner() if inner.is_file or inner.is_link)
            return


def _names(files: Iterable[str], require_paths: Iterable[str]) -> ImportNames:
    folders = {folder for path in require_paths if (folder := _folder(path)) is not None}
    paths = {
        name[start:].removesuffix(".rb")
        for name in filter(None, map(safe_name, files))
        if name.endswith(".rb") and not name.endswith(_TESTS) and len(name) <= MAX_PATH_LENGTH
        for start in _starts(name)
        if name[:start] in folders
    }
    # Of each path two names.
    found = import_names(paths, separator="/", limit=MAX_NAMES // 2)
    return replace(found, names=tuple(sorted({*found.names, *(path.replace("/", "::") for path in found.names)})))


def _starts(name: str) -> Iterator[int]:
    """Yield the positions at which a path that is required may begin: after each of the folders around the file, or at
    the beginning."""
    yield 0
    yield from (match.end() for match in _FOLDER_END.finditer(name))


def _folder(require_path: str) -> str | None:
    """`./lib` becomes `lib/`; the gem's root becomes an empty text, and a folder outside of the gem becomes None."""
    path = require_path.removeprefix("./").rstrip("/")
    if path in ("", "."):
        return ""
    folder = safe_name(path)
    return None if folder is None else f"{folder}/"
