"""This module reads what can be imported from a package, from its tarball as it streams by.

With `exports` in the package.json only what that exposes counts. Without it every module file counts, except tests,
nested packages, built files and internal ones. Names are as a user writes them (Node.js documentation, "Modules:
CommonJS modules", "All together"): sub-paths of `exports` are exact, scripts lose their suffix, and `index` files are
named by their folder. The suffix stays where `require` finds the file in no other way (`.mjs`, `.cjs`) and on what is
not a script (`.json`, `.node`). The package's own name is always there: its main file may lie in a folder that is
excluded.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Final

import orjson

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.tars import TarMember, iterate_tar
from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.model import ImportNames
from securechain_ingest.registries.kit.import_name_rules import import_names
from securechain_ingest.registries.kit.json_documents import loads
from securechain_ingest.registries.npm.exports import exported_subpaths

_SHORT_SUFFIXES: Final = (".js", ".jsx", ".ts", ".mts", ".cts", ".tsx")
"""Files with these suffixes are named without them; TypeScript and JSX are for bundlers, which guess their suffixes as
they guess `.js`."""
_FULL_SUFFIXES: Final = (".mjs", ".cjs", ".json", ".node")
_TRIED: Final = ("", ".js", ".json", ".node", "/index.js", "/index.json", "/index.node")
"""Node appends these to the path of a module."""
_DECLARATION: Final = re.compile(r".*\.d\.(?:[^.]+\.ts|[mc]?ts)")
_EXCLUDED_FOLDERS: Final = frozenset({"test", "tests", "__tests__", "node_modules", "dist", "build"})
_MANIFEST: Final = "package.json"
_TOO_MANY_PATTERNS: Final = "of exports with very many patterns only those nearest to the root are matched"
_ENTRY_FIELDS: Final = ("main", "module", "browser")


@dataclass(slots=True)
class _Contents:
    """This is what counts of a tarball for its names."""

    modules: dict[str, None] = field(default_factory=dict)
    manifest: dict[str, Any] | None = None
    entries: dict[str, list[str]] = field(default_factory=dict)
    """The package.json of a folder names these modules: if one of them is there, it is imported by the folder's name.
    """


def read_tarball(file: BinaryIO, limits: ArchiveLimits, name: str | None) -> ImportNames:
    """Return the names in a tarball, under `name` or, if that is None, under the name in its package.json.

    It raises ArchiveRefused for an archive that is damaged, beyond a limit or without a readable package.json.
    """
    contents = _Contents()
    for member in iterate_tar(file, limits):
        # npm takes one folder away, which is `package` or anything else, and in `./index.js` the dot.
        path = member.name if member.is_below_dot else member.name.partition("/")[2]
        if member.is_file and path:
            _take(contents, member, path)
    if contents.manifest is None:
        raise ArchiveRefused("no package.json in the archive", reason="no_manifest")
    prefix = name or contents.manifest.get("name")
    if not isinstance(prefix, str) or not prefix:
        raise ArchiveRefused("the archive's package.json names no package", reason="no_name")
    exports = contents.manifest.get("exports")
    if exports is None:
        subpaths, are_all = set(_names_of_files(contents)), True
    else:
        subpaths, are_all = exported_subpaths(exports, contents.modules, is_internal)
    names = import_names([prefix, *(f"{prefix}/{subpath}" for subpath in subpaths if subpath)], separator="/")
    return names if are_all else replace(names, error=names.error or _TOO_MANY_PATTERNS)


def _take(contents: _Contents, member: TarMember, path: str) -> None:
    folder, _, filename = path.rpartition("/")
    if path == _MANIFEST:
        contents.manifest = _manifest(member)
    elif filename == _MANIFEST:
        if not is_internal(path):
            contents.entries[folder] = _named_modules(member, folder)
    elif filename.endswith((*_SHORT_SUFFIXES, *_FULL_SUFFIXES)) and not _DECLARATION.fullmatch(filename):
        contents.modules[path] = None


def _manifest(member: TarMember) -> dict[str, Any]:
    try:
        document = loads(member.read().decode("utf-8-sig", "replace").encode())
    except orjson.JSONDecodeError as error:
        raise ArchiveRefused(f"{member.name} is not JSON ({error})", reason="bad_manifest") from error
    if not isinstance(document, dict):
        raise ArchiveRefused(f"{member.name} is not a JSON object", reason="bad_manifest")
    return document


def _named_modules(member: TarMember, folder: str) -> list[str]:
    """Return the modules that a folder's package.json names to load. They are paths of the archive."""
    try:
        manifest = _manifest(member)
    except ArchiveRefused as error:
        if error.reason == "truncated":
            raise
        return []  # broken ones lie about as examples
    named = (manifest.get(name) for name in _ENTRY_FIELDS)
    return [posixpath.normpath(f"{folder}/{path}") for path in named if isinstance(path, str) and path[:1] != "/"]


def _names_of_files(contents: _Contents) -> Iterator[str]:
    """Yield what can be imported where no `exports` says so: folders by their package.json, and files."""
    for folder, named in contents.entries.items():
        if any(f"{path}{suffix}" in contents.modules for path in named for suffix in _TRIED):
            yield folder
    for path in contents.modules:
        if not is_internal(path):
            stem, _, suffix = path.rpartition(".")
            has_short_name = f".{suffix}" in _SHORT_SUFFIXES
            if not has_short_name:
                yield path
            if stem == "index" or stem.endswith("/index"):
                if has_short_name or suffix in ("json", "node"):
                    yield stem[: -len("index")].rstrip("/")
            elif has_short_name:
                yield stem


def is_internal(path: str) -> bool:
    """Return whether a path leads through a folder that a package does not offer, or through a hidden or private
    name."""
    *folders, filename = path.split("/")
    return filename[:1] in "._" or any(folder in _EXCLUDED_FOLDERS or folder[:1] in "._" for folder in folders)
