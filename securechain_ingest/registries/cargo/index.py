"""A crate's file in the sparse index, one line a version, as the model.

Format: The Cargo Book, "Registry Index", "Index Format". One file tells versions, requirements, dates and yanks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import orjson

from securechain_ingest.errors import InvalidName, Malformed
from securechain_ingest.model import Artifact, Package, PackageRef, Requirement, Version
from securechain_ingest.registries.cargo.constraints import joined
from securechain_ingest.registries.cargo.names import identify, name_key, version_purl
from securechain_ingest.registries.cargo.revision import revision, version_digest
from securechain_ingest.registries.dates import utc_seconds
from securechain_ingest.registries.digests import sha256
from securechain_ingest.registries.semver import VersionKey, is_prerelease, version_key

_NORMAL: Final = (None, "normal")
_OWN_INDEX: Final = "crates.io-index"
"""How the address of the registry's own index ends, which some lines spell out."""


def parse_index(body: bytes, ref: PackageRef, url: str) -> Package:
    """The package that an index file describes, without validator; its artifact is without an address.

    Raises Malformed for one without a version, with a damaged line or about another crate: a line that were skipped
    would be a version that silently disappears, and a crate that does not exist has no file.
    """
    lines = list(_lines(body, ref, url))
    if not lines:
        raise Malformed(f"the index file of {ref.registry_name} is empty", url=url)
    ref = _own_spelling(lines[-1]["name"], ref, url)
    versions = {line["vers"]: _version(ref, line) for line in lines}
    return Package(
        ref=ref,
        vendor=None,
        repository_url=None,
        versions=tuple(versions.values()),
        artifacts=(_artifact(ref, default_version(versions.values()), lines),),
        validator=None,
        revision=revision(version_digest(version.name, version.yanked) for version in versions.values()),
    )


def default_version(versions: Collection[Version]) -> str:
    """What crates.io shows: the highest release that is not yanked, else any such version, else the highest of all."""
    usable = [version for version in versions if not version.yanked]
    releases = [version for version in usable if _is_release(version.name)]
    return max(releases or usable or versions, key=lambda version: _order(version.name)).name


def _artifact(ref: PackageRef, version: str, lines: Iterable[dict[str, Any]]) -> Artifact:
    digests = {line["vers"]: line.get("cksum") for line in lines}
    return Artifact("", f"{ref.registry_name}-{version}.crate", version, size=None, sha256=sha256(digests[version]))


def _lines(body: bytes, ref: PackageRef, url: str) -> Iterator[dict[str, Any]]:
    for number, text in enumerate(body.split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            line = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise _malformed(ref, number, f"is not JSON ({error})", url) from error
        if not isinstance(line, dict) or not _is_text(line.get("name")) or not _is_text(line.get("vers")):
            raise _malformed(ref, number, "names no version", url)
        if not isinstance(line.get("deps", []), list | None):
            raise _malformed(ref, number, "has no list of dependencies", url)
        yield line


def _malformed(ref: PackageRef, number: int, what: str, url: str) -> Malformed:
    return Malformed(f"line {number} of the index file of {ref.registry_name} {what}", url=url)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _own_spelling(name: str, ref: PackageRef, url: str) -> PackageRef:
    if name == ref.registry_name:
        return ref
    if name_key(name) != name_key(ref.registry_name):
        raise Malformed(f"the registry answered with {name!r} when asked for {ref.registry_name}", url=url)
    return identify(name)


def _version(ref: PackageRef, line: dict[str, Any]) -> Version:
    return Version(
        name=line["vers"],
        purl=version_purl(ref, line["vers"]),
        release_date=utc_seconds(line.get("pubtime")),
        requirements=_requirements(line.get("deps") or []),
        yanked=line.get("yanked") is True,
    )


def _requirements(dependencies: list[Any]) -> tuple[Requirement, ...]:
    """The dependencies of kind normal, optional ones and those of single platforms included.

    One on another registry is none on a crate of this one; a name that no crate can have is left out.
    """
    found: dict[str, tuple[str, list[str]]] = {}
    for dependency in dependencies:
        if not isinstance(dependency, dict) or dependency.get("kind") not in _NORMAL:
            continue
        registry = dependency.get("registry")
        if isinstance(registry, str) and not registry.rstrip("/").endswith(_OWN_INDEX):
            continue
        # A renamed dependency has its true name in `package`.
        name, text = dependency.get("package") or dependency.get("name"), dependency.get("req")
        if isinstance(name, str):
            found.setdefault(name.lower(), (name, []))[1].append(text if isinstance(text, str) else "")
    return tuple(_named(found.values()))


def _named(found: Iterable[tuple[str, list[str]]]) -> Iterator[Requirement]:
    for name, texts in found:
        with suppress(InvalidName):
            yield _requirement(name, tuple(texts))


@lru_cache(maxsize=65_536)
def _requirement(name: str, texts: tuple[str, ...]) -> Requirement:
    return Requirement(identify(name), joined(texts))


def _is_release(name: str) -> bool:
    try:
        return not is_prerelease(version_key(name))
    except ValueError:
        return False


def _order(name: str) -> tuple[VersionKey | tuple[()], str]:
    try:
        return version_key(name), name
    except ValueError:
        return (), name
