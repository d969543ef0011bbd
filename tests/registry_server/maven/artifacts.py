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
    """This is what else stands in the POM, as XML: properties, dependencyManagement, profiles, scm, a relocation."""
    parent: str | None = None
    """This is `group:artifact:version`; what the group and the version have in common with it is not repeated."""
    packaging: str = "jar"
    date: str | None = None
    """This is the date of the files, such as `2021-05-11T14:05:36Z`; None means a month after the version before."""
    members: Mapping[str, bytes] | None = None
    """These are the jar's files beside its manifest; None means one class in the group's package."""
    is_listed: bool = True
    """This says whether maven-metadata.xml has it; the index has it."""
    has_pom: bool = True
    has_jar: bool = True
    document: bytes | None = None
    """This is the whole POM, where it is to be something else than what the other fields make."""


@dataclass(frozen=True, slots=True)
class MavenPackage:
    """This is one artifact; its `versions` are in ascending order."""

    name: str
    """This is `group:artifact` as the repository spells it."""
    versions: tuple[MavenVersion, ...]
    listed: bool = True
    """This says whether there is a maven-metadata.xml; without it its POMs are there for others to inherit from, and
    no more.
    """
    vendor: str | None = None
    """This is what the graph must hold; None means the group's first part."""
    repository_url: str = "n/a"
    """This is what the graph must hold."""
    import_names: tuple[str, ...] | None = None
    """This is what the graph must hold; None means that the author does not say."""

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
