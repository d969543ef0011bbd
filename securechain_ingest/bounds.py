"""This module limits the length of each text in a registry's answer, and of all of them together. It asks no registry
and no store.

Every package passes through it between its registry and the store that keeps it, and so do all import names. What is
out of bounds is left out, or replaced where a value has to be there, and that is recorded; only a package with too many
versions is refused. An entry of Neo4j's indexes can have about 8 kB, so names and purls stay below that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from securechain_ingest.archives.faults import tell
from securechain_ingest.errors import InvalidName, Malformed, TooLarge
from securechain_ingest.model import ANY, Artifact, ImportNames, Package, PackageRef, Requirement, Version
from securechain_ingest.yielding import in_pieces

MAX_NAME_BYTES: Final = 1024
"""This limits a package's name in UTF-8; registries allow 64 to 500 characters."""
MAX_PURL_BYTES: Final = 4096
MAX_VERSION_BYTES: Final = 1024
MAX_VERSION_PURL_BYTES: Final = 7500
MAX_CONSTRAINTS_BYTES: Final = 64 * 1024
MAX_VENDOR_BYTES: Final = 255
MAX_URL_BYTES: Final = 2048
MAX_PROPERTY_BYTES: Final = 1024
"""This limits a licence, a validator, a revision and similar properties."""
MAX_REASON_CHARACTERS: Final = 1000
MAX_IMPORT_NAME_CHARACTERS: Final = 255
MAX_IMPORT_NAMES_BYTES: Final = 1024 * 1024
"""This limits all import names of a package together."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SPACE: Final = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85]+")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def is_possible(text: str, limit_bytes: int) -> bool:
    """Return whether a text is not empty, has at most `limit_bytes` bytes in UTF-8 and has no control characters or
    lone surrogates."""
    if not 0 < len(text) <= limit_bytes:
        return False
    if text.isascii():
        return text.isprintable()
    return _CONTROL.search(text) is None and len(text.encode()) <= limit_bytes


def is_possible_package(ref: PackageRef) -> bool:
    """Return whether a package may have this name."""
    is_name = is_possible(ref.name, MAX_NAME_BYTES) and is_possible(ref.registry_name, MAX_NAME_BYTES)
    return is_name and is_possible(ref.purl, MAX_PURL_BYTES)


def require_possible(ref: PackageRef) -> PackageRef:
    """Return the same ref. Raise InvalidName if its name is out of bounds."""
    if not is_possible_package(ref):
        raise InvalidName(f"{sentence(ref.registry_name, 60)} is too long for a package's name, or has odd characters")
    return ref


def sentence(text: str, limit: int = MAX_REASON_CHARACTERS) -> str:
    """Return a reason as one line of at most `limit` characters, without control characters."""
    shown = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _SPACE.sub(" ", text[: 2 * limit]))
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def bounded_constraints(text: str) -> str:
    """Return the constraints with spaces in place of line breaks. The result is `any`, which leaves out no version,
    for constraints that are out of bounds after that."""
    if is_possible(text, MAX_CONSTRAINTS_BYTES):
        return text
    spaced = _SPACE.sub(" ", text[: MAX_CONSTRAINTS_BYTES + 1]).strip()
    return spaced if is_possible(spaced, MAX_CONSTRAINTS_BYTES) else ANY


def bounded_names(names: ImportNames) -> ImportNames:
    """Return the names without those that are too long or have odd characters. Of the others it has the first ones that
    fit into the limit together.

    The result's `error` says what is left out; it is kept on the package.
    """
    kept: list[str] = []
    room = MAX_IMPORT_NAMES_BYTES
    for name in names.names:
        if len(name) <= MAX_IMPORT_NAME_CHARACTERS and is_possible(name, room):
            room -= len(name.encode())
            kept.append(name)
    errors = [names.error] if names.error else []
    if left_out := len(names.names) - len(kept):
        errors.append(
            f"{left_out} of {len(names.names)} names are left out: longer than {MAX_IMPORT_NAME_CHARACTERS} characters,"
            f" with control characters, or beyond {MAX_IMPORT_NAMES_BYTES} bytes of all together"
        )
    error = sentence("; ".join(errors)) if errors else None
    if not left_out and error == names.error:
        return names
    return replace(names, names=tuple(kept), error=error)


async def bounded_package(package: Package, *, max_versions: int) -> Package:
    """Return the package within the bounds; the log says what is left out.

    It raises TooLarge if the package has more than `max_versions` versions, and Malformed if it has a name that no
    package can have.
    """
    ref = package.ref
    if len(package.versions) > max_versions:
        raise TooLarge(
            f"{ref.purl} has {len(package.versions)} versions; at most {max_versions} are written ([packages]"
            " max_versions)",
            url=ref.purl,
        )
    if not is_possible_package(ref):
        raise Malformed(
            f"the registry's name {sentence(ref.registry_name, 60)} is none that a package can have", url=""
        )
    left_out = _LeftOut()
    possible: set[str] = set()
    versions = [
        kept
        async for version in in_pieces(package.versions)
        if (kept := _version(version, possible, left_out)) is not None
    ]
    bounded = replace(
        package,
        vendor=left_out.text("vendor", package.vendor, MAX_VENDOR_BYTES),
        repository_url=left_out.text("repository_url", package.repository_url, MAX_URL_BYTES),
        versions=tuple(versions),
        artifacts=tuple(_artifacts(package.artifacts, left_out)),
        validator=left_out.text("validator", package.validator, MAX_PROPERTY_BYTES),
        license=left_out.text("license", package.license, MAX_PROPERTY_BYTES),
        revision=left_out.text("revision", package.revision, MAX_PROPERTY_BYTES),
        properties={
            key: text
            for key, held in package.properties.items()
            if (text := left_out.text(key, held, MAX_PROPERTY_BYTES)) is not None
        },
    )
    if left_out.counts:
        tell("package_bounded", package=ref.purl, example=left_out.example, **left_out.counts)
    return bounded


@dataclass(slots=True)
class _LeftOut:
    """This counts what was left out or replaced."""

    counts: Counter[str] = field(default_factory=Counter)
    example: str = ""

    def note(self, what: str, text: str) -> None:
        self.example = self.example or sentence(text, 60)
        self.counts[what] += 1

    def text(self, what: str, text: str | None, limit_bytes: int) -> str | None:
        if text is None or is_possible(text, limit_bytes):
            return text
        self.note(what, text)
        return None


def _version(version: Version, possible: set[str], left_out: _LeftOut) -> Version | None:
    """Return the version, unchanged if nothing is wrong with it, or None if it has to be left out. `possible` has
    the purls of targets that were found to be possible."""
    if not (is_possible(version.name, MAX_VERSION_BYTES) and is_possible(version.purl, MAX_VERSION_PURL_BYTES)):
        left_out.note("versions", version.name)
        return None
    if version.release_date is not None and not _MOMENT.fullmatch(version.release_date):
        left_out.note("release_dates", version.release_date)
        version = replace(version, release_date=None)
    requirements = version.requirements
    if requirements is None or all(_is_fine(requirement, possible) for requirement in requirements):
        return version
    return replace(version, requirements=tuple(_requirements(requirements, left_out)))


def _is_fine(requirement: Requirement, possible: set[str]) -> bool:
    target = requirement.target
    if target.purl not in possible:
        if not is_possible_package(target):
            return False
        possible.add(target.purl)
    return is_possible(requirement.constraints, MAX_CONSTRAINTS_BYTES)


def _requirements(requirements: Iterable[Requirement], left_out: _LeftOut) -> Iterable[Requirement]:
    for requirement in requirements:
        if not is_possible_package(requirement.target):
            left_out.note("requirements", requirement.target.registry_name)
            continue
        constraints = bounded_constraints(requirement.constraints)
        if constraints == ANY != requirement.constraints:
            left_out.note("constraints", requirement.constraints)
        yield Requirement(requirement.target, constraints)


def _artifacts(artifacts: Iterable[Artifact], left_out: _LeftOut) -> Iterable[Artifact]:
    for artifact in artifacts:
        is_address = is_possible(artifact.url, MAX_URL_BYTES) and is_possible(artifact.filename, MAX_URL_BYTES)
        if is_address and is_possible(artifact.version, MAX_VERSION_BYTES):
            yield artifact
        else:
            left_out.note("artifacts", artifact.url)
