"""These are short ways to say which packages a test writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from packaging.version import InvalidVersion
from packaging.version import Version as PyPIVersion

from securechain_ingest.model import (
    Ecosystem,
    ImportNames,
    LeftOut,
    Link,
    Package,
    PackageRef,
    PackageWrite,
    Parent,
    Rating,
    Requirement,
    Version,
)
from securechain_ingest.registries.pypi.names import older_spellings

MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)


def _pypi_key(name: str) -> PyPIVersion:
    try:
        return PyPIVersion(name)
    except InvalidVersion as error:
        raise ValueError(name) from error


def _npm_key(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split("."))


PYPI = Ecosystem("pypi", "PyPIPackage", "pypi", "PyPI", _pypi_key, older_spellings=older_spellings)
NPM = Ecosystem(
    "npm",
    "NPMPackage",
    "npm",
    "npm",
    _npm_key,
    endpoint="npm_registry",
    archives="made_archives",
    document_has_all_but_names=True,
)


def pypi(name: str) -> PackageRef:
    return PackageRef(PYPI, name, name.lower(), f"pkg:pypi/{name.lower().replace('_', '-').replace('.', '-')}")


def npm(name: str) -> PackageRef:
    return PackageRef(NPM, name, name.lower(), f"pkg:npm/{name.replace('@', '%40')}")


def version(
    ref: PackageRef,
    name: str,
    requires: Mapping[PackageRef, str] | None = None,
    *,
    unknown: bool = False,
    **facts: bool,
) -> Version:
    requirements = tuple(Requirement(target, text) for target, text in (requires or {}).items())
    return Version(name, f"{ref.purl}@{name}", "2021-05-11T14:05:36Z", None if unknown else requirements, **facts)


def write(
    ref: PackageRef,
    *versions: str | Version,
    ratings: Mapping[str, Rating] | None = None,
    names: ImportNames | None = ImportNames(("module",)),  # noqa: B008 - frozen
    parents: tuple[Parent, ...] = (),
    follow: bool = True,
    checked_at: datetime = MONDAY,
    properties: Mapping[str, str] | None = None,
    gone: Iterable[str] = (),
    listed: str | None = None,
    leave_out: LeftOut | None = None,
    archive_pending: bool = False,
) -> PackageWrite:
    package = Package(
        ref=ref,
        vendor="n/a",
        repository_url="n/a",
        versions=tuple(version(ref, each) if isinstance(each, str) else each for each in versions),
        artifacts=(),
        validator='"etag"',
        properties=properties or {},
    )
    return PackageWrite(
        package, ratings or {}, names, checked_at, parents, follow, frozenset(gone), listed, leave_out, archive_pending
    )


def link(
    ref: PackageRef,
    *parents: Parent,
    follow: bool = True,
    repeat_follow: bool = False,
    checked_at: datetime | None = None,
    ratings: Mapping[str, Rating] | None = None,
) -> Link:
    return Link(ref, parents, follow, repeat_follow, checked_at, ratings)
