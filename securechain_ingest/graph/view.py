"""A package as a person reads it: what `ingest` prints at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from securechain_ingest.graph.dialect import aware


@dataclass(frozen=True, slots=True)
class RequirementView:
    purl: str
    constraints: str
    present: bool
    """False: the required package is not in the graph yet."""


@dataclass(frozen=True, slots=True)
class VersionView:
    name: str
    serial_number: int
    release_date: str | None
    mean: float
    vulnerabilities: tuple[str, ...]
    requirements: tuple[RequirementView, ...]


@dataclass(frozen=True, slots=True)
class PackageView:
    purl: str
    name: str
    vendor: str
    repository_url: str
    checked_at: datetime
    import_names: tuple[str, ...]
    import_names_error: str | None
    versions: tuple[VersionView, ...]
    """In their order, oldest first; those without an order come before."""


def package_view(rows: Sequence[Mapping[str, Any]]) -> PackageView | None:
    """From the rows of `Statements.view`: one row a version; None if there are none."""
    if not rows:
        return None
    package = rows[0]["package"]
    versions = [_version_view(row) for row in rows if row["version"]]
    return PackageView(
        purl=package["purl"],
        name=package["name"],
        vendor=package["vendor"],
        repository_url=package["repository_url"],
        checked_at=aware(package["moment"]),
        import_names=tuple(package["import_names"]),
        import_names_error=package.get("import_names_error"),
        versions=tuple(sorted(versions, key=lambda version: (version.serial_number, version.name))),
    )


def _version_view(row: Mapping[str, Any]) -> VersionView:
    version = row["version"]
    present = [RequirementView(purl, constraints, True) for purl, constraints in row["present"]]
    awaited = [RequirementView(purl, constraints, False) for purl, constraints in row["awaited"]]
    return VersionView(
        name=version["name"],
        serial_number=version["serial_number"],
        release_date=version.get("release_date"),
        mean=version["mean"],
        vulnerabilities=tuple(version["vulnerabilities"]),
        requirements=tuple(sorted(present + awaited, key=lambda requirement: requirement.purl)),
    )
