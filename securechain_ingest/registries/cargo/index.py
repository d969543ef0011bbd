"""A crate's file in the sparse index has a line for each version; this module makes the model of it.

The format is in The Cargo Book, "Registry Index", "Index Format". One file has versions, requirements, dates and yanks.
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
from securechain_ingest.registries.cargo.names import identify
from securechain_ingest.registries.cargo.revision import revision, version_digest
from securechain_ingest.registries.kit.dates import utc_seconds
from securechain_ingest.registries.kit.digests import sha256
from securechain_ingest.registries.kit.identity import own_spelling, version_purl
from securechain_ingest.registries.kit.lines import Lines
from securechain_ingest.registries.kit.preferred_version import Preference, preference
from securechain_ingest.registries.kit.semver import SemverKey, is_prerelease, version_key

_NORMAL: Final = (None, "normal")
_OWN_INDEX: Final = "crates.io-index"
"""The address of the registry's own index, which some lines spell out, ends so."""


def parse_index(body: bytes, ref: PackageRef, url: str) -> Package:
    """Return the package that an index file describes, without validator. Its artifact is without an address.

    A line that cannot be read is reported and left out, and then a version that is not listed may exist all the same.
    Malformed is raised for a file without a version or about another crate: a crate that does not exist has no file.
    """
    file = Lines(url)
    raw = body.split(b"\n")
    _refuse_cut_off(raw[-1], ref, url)
    lines = list(file.read(raw, _line))
    if not lines:
        raise Malformed(f"the index file of {ref.registry_name} is empty", url=url)
    ref = own_spelling(lines[-1]["name"], ref, identify, url)
    versions = {line["vers"]: _version(ref, line) for line in lines}
    return Package(
        ref=ref,
        vendor=None,
        repository_url=None,
        versions=tuple(versions.values()),
        artifacts=(_artifact(ref, default_version(versions.values()), lines),),
        validator=None,
        revision=revision(version_digest(version.name, version.yanked) for version in versions.values()),
        lists_all_versions=not file.left_out,
    )


def default_version(versions: Collection[Version]) -> str:
    """Return the version that crates.io shows: the highest release that is not yanked, otherwise the highest such
    version, otherwise the highest of all."""
    return max(versions, key=_preference).name


def _preference(version: Version) -> Preference[SemverKey]:
    """If all are yanked, a release is no better than a pre-release."""
    is_offered = not version.yanked
    return preference(version.name, version_key, lambda key: (is_offered, is_offered and not is_prerelease(key)))


def _artifact(ref: PackageRef, version: str, lines: Iterable[dict[str, Any]]) -> Artifact:
    digests = {line["vers"]: line.get("cksum") for line in lines}
    return Artifact("", f"{ref.registry_name}-{version}.crate", version, size=None, sha256=sha256(digests[version]))


def _line(text: bytes) -> dict[str, Any] | None:
    """The result is None for an empty line. ValueError or TypeError is raised for a line without a version."""
    if not text.strip():
        return None
    line = orjson.loads(text)
    if not isinstance(line, dict) or not _is_text(line.get("name")) or not _is_text(line.get("vers")):
        raise ValueError("it names no version")
    if not isinstance(line.get("deps", []), list | None):
        raise TypeError("it has no list of dependencies")
    return line


def _refuse_cut_off(last: bytes, ref: PackageRef, url: str) -> None:
    """If no line's end follows, the last line may be the beginning of one. Malformed is raised if it is."""
    try:
        orjson.loads(last.strip() or b"null")
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the index file of {ref.registry_name} is cut off in its last line", url=url) from error


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _version(ref: PackageRef, line: dict[str, Any]) -> Version:
    return Version(
        name=line["vers"],
        purl=version_purl(ref, line["vers"]),
        release_date=utc_seconds(line.get("pubtime")),
        requirements=_requirements(line.get("deps") or []),
        yanked=line.get("yanked") is True,
    )


def _requirements(dependencies: list[Any]) -> tuple[Requirement, ...]:
    """Return the dependencies of kind normal, including optional ones and those of single platforms.

    One on another registry is not one on a crate of this registry; a name that no crate can have is left out.
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
