"""`Requires-Dist` as requirements: PEP 508 and the older forms that real packages still carry."""

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
from securechain_ingest.registries.pypi.core_metadata import read_headers
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
"""The one environment that markers are evaluated for: CPython 3.11 on Linux x86_64, without extras. The graph tells
what a plain `pip install` there takes, whatever machine the daemon runs on."""

# Old tools wrote what PEP 440 does not allow, such as `>=1.0.*` or `>=2.0-dev_r1`.
_LEGACY: Final = re.compile(r"\s*(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)[^;]*(?P<marker>;.*)?", re.DOTALL)
_MAX_LINE_LENGTH: Final = 10_000


@dataclass(frozen=True, slots=True)
class Declared:
    """What a distribution requires, and the lines that nobody can read as a requirement."""

    requirements: tuple[Requirement, ...] = ()
    unreadable: tuple[str, ...] = ()


def read_requirements(lines: Iterable[object], owner: PackageRef) -> Declared:
    """One requirement for each target, its lines' clauses joined.

    Left out: lines whose marker is false, and those on extras of the package itself, which only switch them on.
    """
    found: dict[str, tuple[PackageRef, tuple[str, ...]]] = {}
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
        target, earlier = found.get(target.purl, (target, ()))
        found[target.purl] = target, earlier + specifiers
    return Declared(
        tuple(Requirement(target, constraints(specifiers)) for target, specifiers in found.values()), tuple(unreadable)
    )


def requirements_of_metadata(body: bytes, owner: PackageRef, url: str) -> Declared:
    """What a core metadata file says. Raises Malformed if it is none."""
    try:
        headers = read_headers(body)
    except ValueError as error:
        raise Malformed(f"the metadata of a file of {owner.registry_name} cannot be read ({error})", url=url) from error
    return read_requirements(headers.get("requires-dist", ()), owner)


@lru_cache(maxsize=65_536)
def _read_line(line: str) -> tuple[PackageRef, tuple[str, ...], bool] | None:
    """Target, clauses and whether extras of it are named; None if the marker is false.

    Raises InvalidRequirement, InvalidName.
    """
    requirement = _parse(line)
    if requirement.marker is not None and not _applies(requirement.marker):
        return None
    return identify(requirement.name), tuple(map(str, requirement.specifier)), bool(requirement.extras)


def _parse(line: str) -> Pep508Requirement:
    """The requirement; without clauses if PEP 440 cannot read them, since that it is required is certain."""
    if len(line) > _MAX_LINE_LENGTH:
        raise InvalidRequirement(f"a requirement of {len(line)} characters")
    try:
        return Pep508Requirement(line)
    except (ValueError, RecursionError) as error:
        legacy = _LEGACY.fullmatch(line)
        if isinstance(error, RecursionError) or legacy is None:
            raise InvalidRequirement(line) from error
    try:
        return Pep508Requirement(legacy["name"] + (legacy["marker"] or ""))
    except (ValueError, RecursionError) as error:
        raise InvalidRequirement(line) from error


def _applies(marker: Marker) -> bool:
    try:
        return marker.evaluate(ENVIRONMENT)
    except (UndefinedComparison, UndefinedEnvironmentName, ValueError, RecursionError):
        return True  # a condition that nobody can read may hold
