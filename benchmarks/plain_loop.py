"""The way that this daemon replaces, for comparison: one package at a time, one request a version, one query a name.

It finds what the daemon finds as far as that is possible this way: metadata, versions, requirements, and the names in
the newest archive, which it downloads whole. There is no index in the graph, as the original made none. It is kinder
than the original, which asked twice as much: connections are kept open and no version is asked for advisories.
"""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

import httpx
from neo4j import Driver, Session
from packaging.requirements import Requirement

Requirements = dict[str, str]


class PlainLoop:
    """Reads the registries at `endpoints` (base URLs by name) and counts its queries."""

    def __init__(self, endpoints: Mapping[str, str], driver: Driver) -> None:
        self.queries = 0
        self._endpoints = endpoints
        self._driver = driver

    def ingest_pypi(self, names: Iterable[str]) -> None:
        self._ingest("PyPIPackage", names, self._pypi_package)

    def ingest_npm(self, names: Iterable[str]) -> None:
        self._ingest("NPMPackage", names, self._npm_package)

    def _ingest(
        self,
        label: str,
        names: Iterable[str],
        read: Callable[[httpx.Client, str], tuple[list[str], dict[str, Requirements]]],
    ) -> None:
        with httpx.Client(follow_redirects=True, timeout=30) as http, self._driver.session() as session:
            for name in names:
                known = f"MATCH (p:{label} {{name: $name}})-[:HAVE]->(:Version) RETURN p.name LIMIT 1"
                if not self._query(session, known, name=name.lower()):
                    self._write(session, label, name.lower(), *read(http, name))

    def _pypi_package(self, http: httpx.Client, name: str) -> tuple[list[str], dict[str, Requirements]]:
        document = _json(http, f"{self._endpoints['pypi']}/pypi/{name}/json")
        requirements: dict[str, Requirements] = {}
        for version in document["releases"]:
            url = f"{self._endpoints['pypi']}/pypi/{name}/{quote(version)}/json"
            parsed = [Requirement(line) for line in _json(http, url)["info"]["requires_dist"] or ()]
            requirements[version] = {
                each.name: str(each.specifier) or "any"
                for each in parsed
                if each.marker is None or each.marker.evaluate({"extra": ""})
            }
        return _python_names(http, document["urls"]), requirements

    def _npm_package(self, http: httpx.Client, name: str) -> tuple[list[str], dict[str, Requirements]]:
        url = f"{self._endpoints['npm_registry']}/{name.replace('/', '%2F')}"
        _json(http, url)
        document = _json(http, url)  # the original asks for each packument twice
        versions: dict[str, Any] = document["versions"]
        requirements = {version: dict(entry.get("dependencies") or {}) for version, entry in versions.items()}
        newest = versions[document["dist-tags"]["latest"]]
        with tarfile.open(fileobj=io.BytesIO(_bytes(http, newest["dist"]["tarball"]))) as tarball:
            return [member.name for member in tarball if member.name.endswith(".js")], requirements

    def _write(
        self, session: Session, label: str, name: str, names: list[str], requirements: dict[str, Requirements]
    ) -> None:
        self._query(
            session,
            f"MERGE (p:{label} {{name: $name}}) SET p.import_names = $names, p.moment = datetime()",
            name=name,
            names=names,
        )
        for serial, (version, required) in enumerate(requirements.items()):
            self._query(
                session,
                f"MATCH (p:{label} {{name: $name}})"
                " CREATE (p)-[:HAVE]->(:Version {name: $version, serial_number: $serial})",
                name=name,
                version=version,
                serial=serial,
            )
            for target, constraints in required.items():
                self._query(
                    session,
                    f"MATCH (p:{label} {{name: $name}})-[:HAVE]->(v:Version {{name: $version}})"
                    f" MERGE (t:{label} {{name: $target}}) MERGE (v)-[r:REQUIRE]->(t)"
                    " SET r.constraints = $constraints, r.parent_version_name = $name",
                    name=name,
                    version=version,
                    target=target.lower(),
                    constraints=constraints,
                )

    def _query(self, session: Session, text: str, **parameters: Any) -> list[Any]:
        self.queries += 1
        return list(session.run(text, parameters))


def _python_names(http: httpx.Client, files: list[dict[str, Any]]) -> list[str]:
    """From the first wheel, else the first source archive."""
    files = sorted(files, key=lambda file: not file["filename"].endswith(".whl"))
    if not files:
        return []
    body = io.BytesIO(_bytes(http, files[0]["url"]))
    if files[0]["filename"].endswith((".whl", ".zip")):
        with zipfile.ZipFile(body) as archive:
            paths = archive.namelist()
    else:
        with tarfile.open(fileobj=body) as tarball:
            paths = tarball.getnames()
    return [path.removesuffix(".py").replace("/", ".") for path in paths if path.endswith(".py")]


def _json(http: httpx.Client, url: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_bytes(http, url))
    return document


def _bytes(http: httpx.Client, url: str) -> bytes:
    return http.get(url).raise_for_status().content
