"""What can be imported from a package, read from its tarball as it streams by.

With `exports` in the package.json only what that exposes; without, every module file except tests, nested packages,
built files and internal ones. Names are as a user writes them: sub-paths of `exports` exactly, files without their
suffix, `index` files by their folder. The package's own name always stands: its main file may lie in a folder that is
excluded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

import orjson

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.tars import TarMember, iterate_tar
from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.model import ImportNames
from securechain_ingest.registries.import_name_rules import import_names
from securechain_ingest.registries.npm.exports import exported_subpaths

_SUFFIXES: Final = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx")
_DECLARATION: Final = re.compile(r".*\.d\.(?:[^.]+\.ts|[mc]?ts)")
_EXCLUDED_FOLDERS: Final = frozenset({"test", "tests", "__tests__", "node_modules", "dist", "build"})
_MANIFEST: Final = "package.json"
_ENTRY_FIELDS: Final = ("main", "module", "browser", "exports")


@dataclass(slots=True)
class _Contents:
    """What of a tarball matters for its names."""

    modules: dict[str, None] = field(default_factory=dict)
    manifest: dict[str, Any] | None = None
    entry_folders: set[str] = field(default_factory=set)
    """Folders whose own package.json names a module to load: they are imported by the folder's name."""


def read_tarball(file: BinaryIO, limits: ArchiveLimits, name: str | None) -> ImportNames:
    """The names, under `name` or, if that is None, under the name in the tarball's package.json.

    Raises ArchiveRefused for an archive that is damaged, beyond a limit or without a readable package.json.
    """
    contents = _Contents()
    for member in iterate_tar(file, limits):
        # The one folder around everything is `package`, or anything else.
        _, _, path = member.name.partition("/")
        if member.is_file and path:
            _take(contents, member, path)
    if contents.manifest is None:
        raise ArchiveRefused("no package.json in the archive", reason="no_manifest")
    prefix = name or contents.manifest.get("name")
    if not isinstance(prefix, str) or not prefix:
        raise ArchiveRefused("the archive's package.json names no package", reason="no_name")
    subpaths = _subpaths(contents, contents.manifest.get("exports"))
    return import_names([prefix, *(f"{prefix}/{subpath}" for subpath in subpaths if subpath)], separator="/")


def _take(contents: _Contents, member: TarMember, path: str) -> None:
    folder, _, filename = path.rpartition("/")
    if path == _MANIFEST:
        contents.manifest = _manifest(member)
    elif filename == _MANIFEST:
        if not is_internal(path) and _names_a_module(member):
            contents.entry_folders.add(folder)
    elif filename.endswith(_SUFFIXES) and not _DECLARATION.fullmatch(filename):
        contents.modules[path] = None


def _manifest(member: TarMember) -> dict[str, Any]:
    try:
        document = orjson.loads(member.read().decode("utf-8-sig", "replace"))
    except orjson.JSONDecodeError as error:
        raise ArchiveRefused(f"{member.name} is not JSON ({error})", reason="bad_manifest") from error
    if not isinstance(document, dict):
        raise ArchiveRefused(f"{member.name} is not a JSON object", reason="bad_manifest")
    return document


def _names_a_module(member: TarMember) -> bool:
    try:
        return any(map(_manifest(member).get, _ENTRY_FIELDS))
    except ArchiveRefused as error:
        if error.reason == "truncated":
            raise
        return False  # broken ones lie about as examples


def _subpaths(contents: _Contents, exports: object) -> set[str]:
    if exports is not None:
        return set(exported_subpaths(exports, contents.modules, is_internal))
    return contents.entry_folders | {_without_suffix(path) for path in contents.modules if not is_internal(path)}


def is_internal(path: str) -> bool:
    """Whether a path leads through a folder that is no part of what a package offers, or a hidden or private name."""
    *folders, filename = path.split("/")
    return filename[:1] in "._" or any(folder in _EXCLUDED_FOLDERS or folder[:1] in "._" for folder in folders)


def _without_suffix(path: str) -> str:
    stem = path.rpartition(".")[0]
    return stem[: -len("index")].rstrip("/") if stem == "index" or stem.endswith("/index") else stem
