"""These are artifacts of a made Maven repository and what the graph must hold of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from tests.registry_server.declarations import ExpectedPackage, ExpectedVersion, Need, default_date, edges


@dataclass(frozen=True, slots=True)
class MavenVersion:
    version: str
    needs: tuple[Need, ...] = ()
    """`written` is a whole `<dependency>` of the POM, or empty: an edge that comes of something else in `pom`."""
    pom: str = ""
    """What else stands in the POM, as XML: properties, dependencyManagement, profiles, scm, a relocation."""
    parent: str | None = None
    """`group:artifact:version`; what the group and the version have in common with it is not repeated."""
    packaging: str = "jar"
    date: str | None = None
    """Of the files, `2021-05-11T14:05:36Z`; None: a month after the version before."""
    members: Mapping[str, bytes] | None = None
    """The jar's files beside its manifest; None: one class in the group's package."""
    is_listed: bool = True
    """Whether maven-metadata.xml has it; the index has."""
    has_pom: bool = True
    has_jar: bool = True
    document: bytes | None = None
    """The whole POM, where it is to be something else than what the other fields make."""


@dataclass(frozen=True, slots=True)
class MavenPackage:
    """This is one artifact; its `versions` are in ascending order."""

    name: str
    """`group:artifact` as the repository spells it."""
    versions: tuple[MavenVersion, ...]
    listed: bool = True
    """Whether there is a maven-metadata.xml; without it its POMs are there for others to inherit from, and no more."""
    vendor: str | None = None
    """What the graph must hold; None: the group's first part."""
    repository_url: str = "n/a"
    """What the graph must hold."""
    import_names: tuple[str, ...] | None = None
    """What the graph must hold; None: the author does not say."""

    @property
    def group_id(self) -> str:
        return self.name.partition(":")[0]

    @property
    def artifact_id(self) -> str:
        return self.name.partition(":")[2]

    def date_of(self, version: MavenVersion) -> str:
        return version.date or default_date(self.versions.index(version))

    def truth(self) -> ExpectedPackage:
        purl = purl_of(self.name)
        return ExpectedPackage(
            label="MavenPackage",
            ecosystem="maven",
            name=self.name.lower(),
            purl=purl,
            registry_name=self.name,
            vendor=self.vendor or self.group_id.partition(".")[0],
            repository_url=self.repository_url,
            versions=tuple(
                ExpectedVersion(
                    name=version.version,
                    purl=f"{purl}@{quote(version.version, safe='')}",
                    serial_number=serial_number,
                    release_date=(version.date or default_date(serial_number)) if version.has_pom else None,
                    requirements=edges(version.needs, purl_of) if version.has_pom else {},
                    yanked=False,
                    deprecated=False,
                )
                for serial_number, version in enumerate(self.versions if self.listed else ())
            ),
            import_names=self.import_names,
        )


def need(name: str, version: str | None = None, constraints: str | None = None, **more: str) -> Need:
    """Return a dependency and the edge that it means: `need("org.x:y", "1.5")` is `[1.5]`; `more` as for
    `dependency`.
    """
    if constraints is None:
        constraints = "any" if version is None else version if version[0] in "[(" else f"[{version}]"
    return Need(dependency(name, version, **more), name, constraints)


def dependency(name: str, version: str | None = None, **more: str) -> str:
    """Return a `<dependency>`; `more` may hold scope, type, classifier, optional."""
    group_id, _, artifact_id = name.partition(":")
    parts = {"groupId": group_id, "artifactId": artifact_id, "version": version, **more}
    return f"<dependency>{''.join(f'<{key}>{text}</{key}>' for key, text in parts.items() if text)}</dependency>"


def purl_of(name: str) -> str:
    return f"pkg:maven/{name.replace(':', '/')}"
