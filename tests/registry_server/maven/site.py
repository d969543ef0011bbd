"""This is the host of a made Maven repository; paths are case-sensitive."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import format_datetime
from functools import cache
from urllib.parse import unquote

from tests.registry_server.history import RegistryHistory
from tests.registry_server.maven.artifacts import MavenPackage, MavenVersion
from tests.registry_server.maven.index import INDEX, index_site
from tests.registry_server.resources import Headers, IncomingRequest, Resource, Site, archive, document, missing

ENDPOINTS = ("maven_central",)

MOMENT = (2020, 1, 1, 0, 0, 0)
NAMESPACE = (
    'xmlns="http://maven.apache.org/POM/4.0.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:schemaLocation="http://maven.apache.org/POM/4.0.0 http://maven.apache.org/xsd/maven-4.0.0.xsd"'
)
WITHOUT_FILE = frozenset({"pom"})
OWN_EXTENSION = frozenset({"aar", "war"})


def sites(packages: Iterable[MavenPackage], addresses: Mapping[str, str], history: RegistryHistory) -> dict[str, Site]:
    """Return the site of the one host; every document and archive is made here, before the first request."""
    found: dict[str, Resource] = {}
    folders: dict[str, set[str]] = {}
    for package in packages:
        group = f"/{package.group_id.replace('.', '/')}/"
        folder = f"{group}{package.artifact_id}/"
        folders.setdefault(group, set()).add(package.artifact_id)
        if package.listed:
            newest = max(map(package.date_of, package.versions))
            found[f"{folder}maven-metadata.xml"] = document(_metadata(package), "text/xml", _modified(newest))
        for version in package.versions:
            path = f"{folder}{version.version}/{package.artifact_id}-{version.version}"
            modified = _modified(package.date_of(version))
            if version.has_pom:
                found[f"{path}.pom"] = document(pom(package, version), "text/xml", modified)
            if version.has_jar and version.packaging not in WITHOUT_FILE:
                extension = version.packaging if version.packaging in OWN_EXTENSION else "jar"
                found[f"{path}.{extension}"] = archive(_jar(package, version), "application/java-archive")
    for folder, names in folders.items():
        found[folder] = document(_listing(folder, names), "text/html")

    @cache
    def index() -> dict[str, Resource]:
        return index_site(history)

    def find(request: IncomingRequest) -> Resource:
        if request.path.startswith(INDEX):
            return index().get(request.path) or missing()
        return found.get(unquote(request.path)) or missing()

    return {"maven_central": find}


def pom(package: MavenPackage, version: MavenVersion) -> bytes:
    """Return the version's POM."""
    if version.document is not None:
        return version.document
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<project {NAMESPACE}>", "<modelVersion>4.0.0</modelVersion>"]
    inherited_group = inherited_version = None
    if version.parent is not None:
        inherited_group, artifact_id, inherited_version = version.parent.split(":")
        lines.append(
            f"<parent><groupId>{inherited_group}</groupId><artifactId>{artifact_id}</artifactId>"
            f"<version>{inherited_version}</version></parent>"
        )
    if package.group_id != inherited_group:
        lines.append(f"<groupId>{package.group_id}</groupId>")
    lines.append(f"<artifactId>{package.artifact_id}</artifactId>")
    if version.version != inherited_version:
        lines.append(f"<version>{version.version}</version>")
    if version.packaging != "jar":
        lines.append(f"<packaging>{version.packaging}</packaging>")
    lines.append(version.pom)
    if version.needs:
        lines.append(f"<dependencies>{''.join(need.written for need in version.needs)}</dependencies>")
    lines.append("</project>")
    return "\n".join(line for line in lines if line).encode()


def _metadata(package: MavenPackage) -> bytes:
    versions = "".join(
        f"      <version>{version.version}</version>\n" for version in package.versions if version.is_listed
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<metadata>\n'
        f"  <groupId>{package.group_id}</groupId>\n  <artifactId>{package.artifact_id}</artifactId>\n"
        f"  <versioning>\n    <latest>{package.versions[0].version}</latest>\n"
        f"    <versions>\n{versions}    </versions>\n"
        "    <lastUpdated>20260101000000</lastUpdated>\n  </versioning>\n</metadata>\n"
    ).encode()


def _listing(folder: str, names: Iterable[str]) -> bytes:
    links = "".join(
        f'<a href="{name}/" title="{name}/">{name}/</a>     2020-01-01 00:00   -\n' for name in sorted(names)
    )
    page = f'<html><body><h1>{folder}</h1><pre><a href="../">../</a>\n{links}</pre></body></html>'
    return f"<!DOCTYPE html>\n{page}".encode()


def _jar(package: MavenPackage, version: MavenVersion) -> bytes:
    members = version.members
    if members is None:
        members = {f"{package.group_id.replace('.', '/')}/Made.class": b"\xca\xfe\xba\xbe"}
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in {"META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\r\n\r\n", **members}.items():
            archive.writestr(zipfile.ZipInfo(name, MOMENT), body, zipfile.ZIP_DEFLATED)
    return jar.getvalue()


def _modified(date: str) -> Headers:
    return (("Last-Modified", format_datetime(datetime.fromisoformat(date), usegmt=True)),)
