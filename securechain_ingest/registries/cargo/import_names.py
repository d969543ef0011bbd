"""This module reads the import names in a `.crate`: the public paths of its library; its manifest names the repository.

A `.crate` is a gzip-packed tar with one folder around everything. Most of it is not needed: a first pass reads its Rust
sources, without those of other targets, and further passes read what these lead to (`path`, `include!`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, Final

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.tars import TarMember, iterate_tar
from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.model import ImportNames
from securechain_ingest.registries.cargo.manifest import Manifest, chosen_manifest, is_manifest, parse_manifest
from securechain_ingest.registries.cargo.modules import build_modules
from securechain_ingest.registries.cargo.public_names import public_paths
from securechain_ingest.registries.cargo.sources import Sources
from securechain_ingest.registries.kit.import_name_rules import import_names

MAX_CRATE_NAMES: Final = 20_000
"""This is more than elsewhere: bindings to C, which very many crates build on, offer that much (libc 17,000 names)."""

MAX_SOURCE_BYTES: Final = 128 * 1024 * 1024

MAX_PASSES: Final = 4
"""The archive is read at most so often; each pass reads what the sources of the one before lead to."""

_OTHER_TARGETS: Final = ("tests/", "benches/", "examples/")


def read_crate(file: BinaryIO, limits: ArchiveLimits) -> ImportNames:
    """Return the names in a crate. If it has none, because it is a program, that is the library's own name alone.

    An error beside the names says what a limit has cost. ArchiveRefused is raised for an archive that is damaged,
    beyond a limit or without a readable Cargo.toml.
    """
    manifest, sources = _opened(file, limits)
    try:
        names, problem = _names(file, limits, manifest, sources)
    except RecursionError as error:
        msg = "its modules and re-exports lead through too many others"
        raise ArchiveRefused(msg, reason="too_deep") from error
    found = import_names(names, separator="::", limit=MAX_CRATE_NAMES)
    return replace(
        found, error=problem or found.error, repository_url=manifest.repository_url, license=manifest.license
    )


def _opened(file: BinaryIO, limits: ArchiveLimits) -> tuple[Manifest, Sources]:
    """Return the manifest, and the sources as a first pass over the archive gives them."""
    manifests: dict[str, bytes] = {}
    contents: dict[str, bytes] = {}
    members: dict[str, None] = {}
    size_bytes = 0
    for path, member in _files(file, limits):
        members[path] = None
        if is_manifest(path):
            manifests[path] = member.read()
        elif path.endswith(".rs") and not path.startswith(_OTHER_TARGETS):
            size_bytes += member.size
            if size_bytes > MAX_SOURCE_BYTES:
                raise ArchiveRefused(f"over {MAX_SOURCE_BYTES} bytes of Rust sources", reason="too_large")
            contents[path] = member.read()
    chosen = chosen_manifest(manifests)
    if chosen is None:
        raise ArchiveRefused("no Cargo.toml in the archive", reason="no_manifest")
    manifest = parse_manifest(manifests[chosen])
    sources = Sources(members, manifest.environment)
    for path, text in contents.items():
        sources.add(path, text)
    return manifest, sources


def _names(file: BinaryIO, limits: ArchiveLimits, manifest: Manifest, sources: Sources) -> tuple[set[str], str | None]:
    """Return the public paths, and a sentence about what a limit has cost."""
    modules = None
    for number in range(MAX_PASSES):
        if number and not sources.missing:
            break
        if number:
            _read_missing(file, limits, sources)
        root = next((path for path in manifest.roots if sources.has(path)), None)
        modules = build_modules(sources, root) if root is not None else None
    if modules is None:
        return {manifest.library}, None
    found, problem = public_paths(modules.root, manifest.library, edition=manifest.edition)
    if modules.problem is None and sources.missing:
        return found, f"{min(sources.missing)!r} could not be read, so that names may be missing"
    return found, modules.problem or problem


def _read_missing(file: BinaryIO, limits: ArchiveLimits, sources: Sources) -> None:
    """Read what the sources lead to, and the Rust files near it, to which those may lead in turn."""
    folders = tuple({folder for folder in _OTHER_TARGETS for path in sources.missing if path.startswith(folder)})
    for path, member in _files(file, limits):
        is_wanted = path in sources.missing or (path.endswith(".rs") and path.startswith(folders))
        if is_wanted and member.size <= min(limits.max_member_bytes, MAX_SOURCE_BYTES - sources.size_bytes):
            sources.add(path, member.read())


def _files(file: BinaryIO, limits: ArchiveLimits) -> Iterator[tuple[str, TarMember]]:
    """Yield the regular files by their path below the one folder around everything."""
    file.seek(0)
    for member in iterate_tar(file, limits):
        if member.is_file:
            yield member.name.partition("/")[2], member
