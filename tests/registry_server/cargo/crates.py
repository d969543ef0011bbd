"""These are crates of a made registry and what the graph must hold of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.registry_server.declarations import ExpectedPackage, ExpectedVersion, default_date


@dataclass(frozen=True, slots=True)
class CrateDependency:
    """This is one entry of a version's `deps`."""

    name: str
    """This is the true name of the crate."""
    req: str
    constraints: str | None
    """These are the edge's constraints, as contract section 2 wants them; None: no edge comes of this entry."""
    alias: str | None = None
    """This is the name in the manifest, of a renamed dependency."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """This is what differs from a plain normal dependency: `kind`, `target`, `optional`."""


@dataclass(frozen=True, slots=True)
class CrateVersion:
    version: str
    dependencies: tuple[CrateDependency, ...] = ()
    date: str | None = None
    """This is a date such as `2021-05-11T14:05:36Z`; None means a month after the version before."""
    yanked: bool = False
    members: Mapping[str, str] = field(default_factory=lambda: {"src/lib.rs": "//! Made.\n"})
    """These are the archive's files below its top folder, beside Cargo.toml."""
    manifest: str = ""
    """This is more of Cargo.toml: what follows the `[package]` table's first lines."""
    padding_bytes: int = 0
    """These are bytes of noise that does not compress."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """This is whatever else the index line says; None takes a field away."""
    archive: bool = True
    """This says whether the archive can be had."""


@dataclass(frozen=True, slots=True)
class Crate:
    """This is one crate; its `versions` are in ascending order."""

    name: str
    """This is the name as published, with case, `-` and `_`."""
    versions: tuple[CrateVersion, ...]
    repository: str | None = None
    """This is what the manifest says."""
    vendor: str = "n/a"
    """This is what the graph must hold."""
    repository_url: str = "n/a"
    """This is what the graph must hold."""
    import_names: tuple[str, ...] | None = None
    """This is what the graph must hold; None means that the author does not say."""

    def date_of(self, version: CrateVersion) -> str | None:
        """Return the date of a version; None means that the index line has none."""
        if "pubtime" in version.fields:
            return None
        return version.date or default_date(self.versions.index(version))

    def truth(self) -> ExpectedPackage:
        purl = purl_of(self.name)
        return ExpectedPackage(
            label="CargoPackage",
            ecosystem="cargo",
            name=self.name.lower(),
            purl=purl,
            registry_name=self.name,
            vendor=self.vendor,
            repository_url=self.repository_url,
            versions=tuple(
                ExpectedVersion(
                    name=version.version,
                    purl=f"{purl}@{quote(version.version, safe='')}",
                    serial_number=serial_number,
                    release_date=self.date_of(version),
                    requirements={
                        purl_of(dependency.name): dependency.constraints
                        for dependency in version.dependencies
                        if dependency.constraints is not None
                    },
                    yanked=version.yanked,
                    deprecated=False,
                )
                for serial_number, version in enumerate(self.versions)
            ),
            import_names=self.import_names,
        )


def purl_of(name: str) -> str:
    return f"pkg:cargo/{name.lower()}"
