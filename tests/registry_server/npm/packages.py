"""These are packages of a made npm registry and what the graph must hold of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.registry_server.declarations import ExpectedPackage, ExpectedVersion, Need, default_date, edges


@dataclass(frozen=True, slots=True)
class NpmVersion:
    version: str
    needs: tuple[Need, ...] = ()
    date: str | None = None
    """This is a date such as `2021-05-11T14:05:36Z`; None means a month after the version before."""
    deprecated: str | None = None
    members: Mapping[str, bytes] | None = None
    """These are the tarball's files below its top folder, beside package.json; None means one `index.js`."""
    root: str = "package"
    """This is the tarball's top folder."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """This is whatever else the version's document and its package.json say."""
    tarball: bool = True
    """This says whether the tarball can be had."""


@dataclass(frozen=True, slots=True)
class NpmPackage:
    """This is one package; its `versions` are in ascending order."""

    name: str
    """This is the name as the registry spells it, with scope and case."""
    versions: tuple[NpmVersion, ...]
    latest: str | None = None
    """This is the dist-tag; None: the last version without a pre-release part, or the last."""
    repository: object = None
    """This is the document's field as it stands: an object, a string, a list, null."""
    vendor: str | None = None
    """This is what the graph must hold; None: the scope, if there is one."""
    repository_url: str = "n/a"
    """This is what the graph must hold."""
    import_names: tuple[str, ...] | None = None
    """This is what the graph must hold; None means that the author does not say."""
    readme: str = "Made."
    unpublished: bool = False
    """This says whether the whole package is unpublished: a stub is served then."""
    unpublished_versions: tuple[str, ...] = ()
    """These are versions that only `time` still knows."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """This is whatever else the document says."""

    @property
    def scope(self) -> str | None:
        return self.name.partition("/")[0] if self.name.startswith("@") else None

    def date_of(self, version: NpmVersion) -> str:
        return version.date or default_date(self.versions.index(version))

    def default_version(self) -> str | None:
        if self.latest is not None or not self.versions:
            return self.latest
        released = [version.version for version in self.versions if "-" not in version.version]
        return (released or [version.version for version in self.versions])[-1]

    def truth(self) -> ExpectedPackage:
        purl = purl_of(self.name)
        return ExpectedPackage(
            label="NPMPackage",
            ecosystem="npm",
            name=self.name.lower(),
            purl=purl,
            registry_name=self.name,
            vendor=self.vendor or self.scope or "n/a",
            repository_url=self.repository_url,
            versions=tuple(
                ExpectedVersion(
                    name=version.version,
                    purl=f"{purl}@{quote(version.version, safe='')}",
                    serial_number=serial_number,
                    release_date=version.date or default_date(serial_number),
                    requirements=edges(version.needs, purl_of),
                    yanked=False,
                    deprecated=version.deprecated is not None,
                )
                for serial_number, version in enumerate(() if self.unpublished else self.versions)
            ),
            import_names=self.import_names,
        )


def need(name: str, written: str = "", constraints: str | None = None) -> Need:
    """Return a plain requirement: `need("express", "^4.0.0")`, with `constraints` where the graph's string differs."""
    return Need(written, name, constraints or written or "any")


def purl_of(name: str) -> str:
    scope, slash, rest = name.rpartition("/")
    return f"pkg:npm/{quote(scope, safe='')}{slash}{quote(rest, safe='')}"
