"""The import names in a `.crate`: the public paths of its library, and the repository that its manifest names.

A `.crate` is a gzip-packed tar with one folder around everything. Its Cargo.toml is the published one, in which cargo
has resolved what a workspace shares (The Cargo Book, "Cargo Targets" and "The Manifest Format").
"""

from __future__ import annotations

import posixpath
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, BinaryIO, Final

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.tars import iterate_tar
from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.model import NOT_AVAILABLE, ImportNames
from securechain_ingest.registries.cargo.modules import build_modules
from securechain_ingest.registries.cargo.names import library_name
from securechain_ingest.registries.cargo.public_names import public_paths
from securechain_ingest.registries.import_name_rules import import_names
from securechain_ingest.registries.repository import normalise_repository

MAX_CRATE_NAMES: Final = 20_000
"""More than elsewhere: bindings to C, which very many crates build on, offer that much (libc 17,000 names)."""

MAX_SOURCE_BYTES: Final = 128 * 1024 * 1024

_MANIFEST: Final = "Cargo.toml"
_USUAL_ROOT: Final = "src/lib.rs"
_OTHER_TARGETS: Final = ("tests/", "benches/", "examples/")


def read_crate(file: BinaryIO, limits: ArchiveLimits) -> ImportNames:
    """The names; the library's own alone if the crate has none, as a program has not.

    Raises ArchiveRefused for an archive that is damaged, beyond a limit or without a readable Cargo.toml.
    """
    manifest, sources = _read(file, limits)
    package, library = _table(manifest.get("package") or manifest.get("project")), _table(manifest.get("lib"))
    name = library.get("name") or package.get("name")
    if not isinstance(name, str):
        raise ArchiveRefused("the archive's Cargo.toml names no package", reason="no_name")
    root = library.get("path")
    root = posixpath.normpath(root.replace("\\", "/")) if isinstance(root, str) else _USUAL_ROOT
    found = {library_name(name)}
    if root in sources:
        try:
            found = public_paths(build_modules(sources, root), library_name(name), edition=_edition(package))
        except RecursionError as error:
            msg = "its modules and re-exports lead through too many others"
            raise ArchiveRefused(msg, reason="too_deep") from error
    repository = normalise_repository([package.get("repository"), package.get("homepage")])
    return replace(
        import_names(found, separator="::", limit=MAX_CRATE_NAMES),
        repository_url=None if repository == NOT_AVAILABLE else repository,
    )


def _read(file: BinaryIO, limits: ArchiveLimits) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest, and the Rust sources by their path below the one folder around everything."""
    manifest: dict[str, Any] | None = None
    sources: dict[str, bytes] = {}
    size = 0
    for member in iterate_tar(file, limits):
        path = member.name.partition("/")[2]
        if not member.is_file:
            continue
        if path == _MANIFEST:
            manifest = _parsed(member.read())
        elif path.endswith(".rs") and not path.startswith(_OTHER_TARGETS):
            size += member.size
            if size > MAX_SOURCE_BYTES:
                raise ArchiveRefused(f"over {MAX_SOURCE_BYTES} bytes of Rust sources", reason="too_large")
            sources[path] = member.read()
    if manifest is None:
        raise ArchiveRefused("no Cargo.toml in the archive", reason="no_manifest")
    return manifest, sources


def _parsed(manifest: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(manifest.decode("utf-8-sig", "replace"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ArchiveRefused(f"Cargo.toml cannot be read ({error})", reason="bad_manifest") from error


def _edition(package: Mapping[str, Any]) -> int:
    """Without one it is the first."""
    edition = package.get("edition")
    return int(edition) if isinstance(edition, str) and edition.isdecimal() else 2015


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
