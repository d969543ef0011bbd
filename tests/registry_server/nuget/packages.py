"""These are packages of a made NuGet registry, their nupkgs, and what the graph must hold of each."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from tests.registry_server.declarations import ExpectedPackage, ExpectedVersion, Need, default_date
from tests.registry_server.nuget.assemblies import assembly

MOMENT = (2020, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class DependencyGroup:
    """These are dependencies for one target framework, or for any."""

    needs: tuple[Need, ...]
    framework: str | None = None


@dataclass(frozen=True, slots=True)
class NuGetVersion:
    version: str
    groups: tuple[DependencyGroup, ...] = ()
    date: str | None = None
    """This is a date such as `2021-05-11T14:05:36Z`; None means a month after the version before."""
    listed: bool = True
    """False means that the registration dates it 1900, and the graph has no date."""
    deprecation: Mapping[str, Any] | None = None
    merged: Mapping[str, str] = field(default_factory=dict)
    """These are constraints by package id where the groups declare different ranges."""
    members: Mapping[str, bytes] | None = None
    """These are the nupkg's files beside its nuspec; None means one assembly with a type in a namespace named after
    the package.
    """
    padding_bytes: int = 0
    """These are the bytes of a file that does not compress, between the nuspec and the rest."""
    nupkg: bool = True
    """This says whether the file can be had."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """This is whatever else its catalog entry says."""


@dataclass(frozen=True, slots=True)
class NuGetPackage:
    """This is one package; its `versions` are in ascending order."""

    id: str
    versions: tuple[NuGetVersion, ...]
    project_url: str = "https://example.org/"
    repository: str | None = None
    """This is what the nuspec's `repository` says."""
    vendor: str | None = None
    """This is what the graph must hold; None means `n/a`."""
    repository_url: str = "n/a"
    """This is what the graph must hold."""
    import_names: tuple[str, ...] | None = None
    """This is what the graph must hold; None means that the author does not say."""
    page_size: int | None = None
    """A page that is a document of its own has so many versions; None means one inlined page."""

    def date_of(self, version: NuGetVersion) -> str:
        return version.date or default_date(self.versions.index(version))

    def truth(self) -> ExpectedPackage:
        purl = purl_of(self.id)
        return ExpectedPackage(
            label="NuGetPackage",
            ecosystem="nuget",
            name=self.id.lower(),
            purl=purl,
            registry_name=self.id,
            vendor=self.vendor or "n/a",
            repository_url=self.repository_url,
            versions=tuple(
                ExpectedVersion(
                    name=version.version,
                    purl=f"{purl}@{quote(version.version, safe='')}",
                    serial_number=serial_number,
                    release_date=self.date_of(version) if version.listed else None,
                    requirements={
                        purl_of(need.target): version.merged.get(need.target, need.constraints)
                        for group in version.groups
                        for need in group.needs
                        if need.target is not None
                    },
                    yanked=not version.listed,
                    deprecated=version.deprecation is not None,
                )
                for serial_number, version in enumerate(self.versions)
            ),
            import_names=self.import_names,
        )


def need(name: str, written: str = "", constraints: str | None = None) -> Need:
    """Return a dependency: `need("NLog", "[4.0.0, )")`, with `constraints` where the graph's string differs."""
    return Need(written, name, constraints or written or "any")


def purl_of(name: str) -> str:
    return f"pkg:nuget/{quote(name.lower(), safe='')}"


def nupkg(package: NuGetPackage, version: NuGetVersion) -> bytes:
    """Return the package's file: a zip by the rules of OPC, which has parts for content types and relations."""
    members: dict[str, bytes] = {
        "_rels/.rels": b'<?xml version="1.0" encoding="utf-8"?><Relationships/>',
        f"{package.id}.nuspec": _nuspec(package, version),
    }
    if version.padding_bytes:
        members["content/noise.bin"] = random.Random(package.id).randbytes(version.padding_bytes)
    members |= _default_members(package) if version.members is None else version.members
    members["[Content_Types].xml"] = b'<?xml version="1.0" encoding="utf-8"?><Types/>'
    members["package/services/metadata/core-properties/1.psmdcp"] = b"<coreProperties/>"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, body in members.items():
            member = zipfile.ZipInfo(path, MOMENT)
            member.compress_type = zipfile.ZIP_STORED if path.endswith(".bin") else zipfile.ZIP_DEFLATED
            archive.writestr(member, body)
    return packed.getvalue()


def _default_members(package: NuGetPackage) -> dict[str, bytes]:
    return {f"lib/netstandard2.0/{package.id}.dll": assembly(package.id, [f"{package.id}.Thing"])}


def _nuspec(package: NuGetPackage, version: NuGetVersion) -> bytes:
    groups = "".join(
        f"<group{f' targetFramework={group.framework!r}' if group.framework else ''}>"
        + "".join(f'<dependency id="{need.target}" version="{escape(need.written)}" />' for need in group.needs)
        + "</group>"
        for group in version.groups
    )
    repository = f'<repository type="git" url="{escape(package.repository)}" />' if package.repository else ""
    text = (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd"><metadata>'
        f"<id>{package.id}</id><version>{version.version}</version><authors>Made</authors>"
        f"<projectUrl>{escape(package.project_url)}</projectUrl>{repository}<description>Made.</description>"
        f"<dependencies>{groups}</dependencies></metadata></package>"
    )
    return b"\xef\xbb\xbf" + text.encode()
