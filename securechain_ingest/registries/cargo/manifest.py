"""A crate's Cargo.toml says where its library is (The Cargo Book, "Cargo Targets" and "The Manifest Format").

The published manifest is read, in which cargo has resolved what a workspace shares.
"""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.model import NOT_AVAILABLE
from securechain_ingest.registries.cargo.names import library_name
from securechain_ingest.registries.kit.json_documents import as_table, as_text
from securechain_ingest.registries.kit.licenses import license_of
from securechain_ingest.registries.kit.repository import normalise_repository

MAX_MANIFEST_BYTES: Final = 4 * 1024 * 1024
"""This is in bytes; the manifest of a crate with a thousand features is far smaller."""

MAX_KEY_PARTS: Final = 80
"""A dotted key may have so many parts: cargo reads no more either, and tomllib takes time that grows with their
square."""

MAX_LIBRARY_NAME: Final = 255

_SPELLINGS: Final = ("Cargo.toml", "cargo.toml")
_USUAL_ROOT: Final = "src/lib.rs"
_FIRST_EDITION: Final = 2015
_EDITIONS: Final = {"2015": 2015, "2018": 2018, "2021": 2021, "2024": 2024}

_KEY_PART = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
# Strings of several lines and comments first: what is in them is no key.
_TOML: Final = re.compile(
    rf'''"""(?:[^"\\]|\\.|"(?!""))*+(?:""")?|\'\'\'(?:[^']|'(?!''))*+(?:\'\'\')?|\#[^\n]*+
    |(?P<key>{_KEY_PART}(?:[ \t]*+\.[ \t]*+{_KEY_PART})*+)''',
    re.VERBOSE | re.DOTALL,
)
_DOT: Final = re.compile(rf"{_KEY_PART}|(?P<dot>\.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Manifest:
    """This is what counts of a manifest."""

    library: str
    """Rust code knows the library by this name."""
    roots: tuple[str, ...]
    """The first of these files that exists is the library's; there are none for a package that says it has no
    library."""
    edition: int
    environment: Mapping[str, str]
    """cargo gives these to the compiler for `env!`; only those that paths to sources may be made of are kept."""
    repository_url: str | None
    """The repository is normalised."""
    license: str | None


def is_manifest(path: str) -> bool:
    """Return whether a member lies where a manifest does. Cargo once accepted `cargo.toml`, too, and other spellings do
    no harm."""
    return "/" not in path and path.lower() == "cargo.toml"


def chosen_manifest(paths: Collection[str]) -> str | None:
    """Return the member that counts, of those that `is_manifest` accepts. Without any the result is None."""
    return next((path for path in _SPELLINGS if path in paths), min(paths, default=None))


def parse_manifest(body: bytes) -> Manifest:
    """Return what a package's manifest says. ArchiveRefused is raised for a text that is not one (`bad_manifest`,
    `no_name`)."""
    manifest = _loaded(body)
    package, library = as_table(manifest.get("package") or manifest.get("project")), as_table(manifest.get("lib"))
    name = library.get("name") or package.get("name")
    if not isinstance(name, str):
        raise ArchiveRefused("the archive's Cargo.toml names no package", reason="no_name")
    if len(name) > MAX_LIBRARY_NAME:
        raise ArchiveRefused(f"a library's name of {len(name)} characters", reason="no_name")
    edition = _edition(library.get("edition") or package.get("edition"))
    repository = normalise_repository([package.get("repository"), package.get("homepage")])
    return Manifest(
        library=library_name(name),
        roots=tuple(_roots(library, package, library_name(name), edition)),
        edition=edition,
        environment={
            "CARGO_PKG_NAME": as_text(package.get("name")) or "",
            "CARGO_PKG_VERSION": as_text(package.get("version")) or "",
            "CARGO_CRATE_NAME": library_name(name),
        },
        repository_url=None if repository == NOT_AVAILABLE else repository,
        license=license_of(package.get("license")),
    )


def _roots(library: dict[str, Any], package: dict[str, Any], name: str, edition: int) -> list[str]:
    path = library.get("path")
    if isinstance(path, str):
        return [posixpath.normpath(path.replace("\\", "/"))]
    if library:
        # Cargo once looked there, and still does for crates of that time.
        return [_USUAL_ROOT, f"src/{name}.rs"] if edition == _FIRST_EDITION else [_USUAL_ROOT]
    return [] if package.get("autolib") is False else [_USUAL_ROOT]


def _loaded(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_MANIFEST_BYTES:
        msg = f"a Cargo.toml of {len(body)} bytes, at most {MAX_MANIFEST_BYTES} are read"
        raise ArchiveRefused(msg, reason="bad_manifest")
    text = body.decode("utf-8-sig", "replace")
    if any(_parts(match["key"]) > MAX_KEY_PARTS for match in _TOML.finditer(text) if match["key"]):
        raise ArchiveRefused(f"a key in Cargo.toml has more than {MAX_KEY_PARTS} parts", reason="bad_manifest")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Besides its own errors there are those of numbers too long and of days that no calendar has.
        raise ArchiveRefused(f"Cargo.toml cannot be read ({error})"[:500], reason="bad_manifest") from error


def _parts(key: str) -> int:
    if key.count(".") < MAX_KEY_PARTS:
        return 1
    return 1 + sum(match["dot"] is not None for match in _DOT.finditer(key))


def _edition(value: object) -> int:
    """A manifest without an edition has the first one; an edition that is still to come is read like the last, and so
    is one that a workspace shares: cargo 1.64 and later can do that, and whoever wrote it had an edition to share."""
    newest = max(_EDITIONS.values())
    if isinstance(value, Mapping):
        return newest
    return _EDITIONS.get(value, newest) if isinstance(value, str) else _FIRST_EDITION
