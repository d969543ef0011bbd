"""This module reads `Requires-Dist` as requirements: PEP 508 and the older forms that real packages still have."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from packaging.markers import Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508Requirement

from securechain_ingest.errors import InvalidName, Malformed
from securechain_ingest.model import PackageRef, Requirement
from securechain_ingest.registries.pypi.constraints import constraints
from securechain_ingest.registries.pypi.core_metadata import read_core_metadata
from securechain_ingest.registries.pypi.legacy_requirements import (
    MAX_VERSION_LENGTH,
    mended,
    without_ordered_wildcards,
)
from securechain_ingest.registries.pypi.names import identify

ENVIRONMENT: Final = {
    "implementation_name": "cpython",
    "implementation_version": "3.11.9",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "6.1.0",
    "platform_system": "Linux",
    "platform_version": "#1 SMP",
    "python_full_version": "3.11.9",
    "python_version": "3.11",
    "sys_platform": "linux",
    "extra": "",
}
"""Markers are evaluated for this one environment: CPython 3.11 on Linux x86_64, without extras. The graph says what a
plain `pip install` takes there, whatever machine the daemon runs on."""

# `git@github.com:owner/repository` is an address, too, and no requirement of git.
_ELSEWHERE: Final = re.compile(r"[^@]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]+:(?!//)|(?:git|hg|svn|bzr)@(?![a-z+]+:)")
_MAX_LINE_LENGTH: Final = 10_000
_CACHED_LENGTH: Final = 300
"""This is in characters; longer lines are rare, and in a cache of them authors could take as much memory as they like.
"""


@dataclass(frozen=True, slots=True)
class DeclaredRequirements:
    """A distribution requires these; nobody can read the other lines as a requirement."""

    requirements: tuple[Requirement, ...] = ()
    unreadable: tuple[str, ...] = ()


def read_requirements(lines: Iterable[object], owner: PackageRef) -> DeclaredRequirements:
    """Return one requirement for each target, with the clauses of its lines joined.

    Lines whose marker is false are left out, and so are those on extras of the package itself, which only switch extras
    on.
    """
    found: dict[str, tuple[PackageRef, list[str]]] = {}
    unreadable = []
    for line in lines:
        try:
            parsed = _read_line(line if isinstance(line, str) else "")
        except (InvalidRequirement, InvalidName):
            unreadable.append(str(line)[:200])
            continue
        if parsed is None:
            continue
        target, specifiers, has_extras = parsed
        if has_extras and target.purl == owner.purl:
            continue
        _, joined = found.setdefault(target.purl, (target, []))
        joined += specifiers
    return DeclaredRequirements(
        tuple(Requirement(target, constraints(tuple(joined))) for target, joined in found.values()), tuple(unreadable)
    )


def requirements_of_metadata(body: bytes, owner: PackageRef, url: str) -> DeclaredRequirements:
    """Return the requirements in a core metadata file. It raises Malformed for a file that is not one."""
    try:
        metadata = read_core_metadata(body)
    except ValueError as error:
        raise Malformed(f"the metadata of a file of {owner.registry_name} cannot be read ({error})", url=url) from error
    return read_requirements(metadata.requires_dist, owner)


def _read_line(line: str) -> tuple[PackageRef, tuple[str, ...], bool] | None:
    return _cached_line(line) if len(line) <= _CACHED_LENGTH else _parsed_line(line)


def _parsed_line(line: str) -> tuple[PackageRef, tuple[str, ...], bool] | None:
    """Return the target, the clauses and whether extras of the target are named. The result is None if the marker is
    false.

    It raises InvalidRequirement and InvalidName.
    """
    requirement = _parse(line)
    if requirement is None or (requirement.marker is not None and not _applies(requirement.marker)):
        return None
    clauses = tuple(map(str, requirement.specifier))
    if any(len(specifier.version) > MAX_VERSION_LENGTH for specifier in requirement.specifier):
        raise InvalidRequirement("a version of very many characters")
    return identify(requirement.name), clauses, bool(requirement.extras)


_cached_line: Final = lru_cache(maxsize=65_536)(_parsed_line)


def _parse(line: str) -> Pep508Requirement | None:
    """Return the requirement, read leniently if it has to be. The result is None if its marker demands an extra."""
    if len(line) > _MAX_LINE_LENGTH:
        raise InvalidRequirement(f"a requirement of {len(line)} characters")
    line = without_ordered_wildcards(line)
    try:
        requirement = Pep508Requirement(line)
    except (ValueError, RecursionError):
        return mended(line)
    if requirement.url is not None and _ELSEWHERE.match(f"{requirement.name}@{requirement.url}"):
        raise InvalidRequirement(line)
    return requirement


def _applies(marker: Marker) -> bool:
    try:
        return marker.evaluate(ENVIRONMENT)
    except (UndefinedComparison, UndefinedEnvironmentName, ValueError, RecursionError):
        return True  # a condition that nobody can read may hold
