"""This is the way that this daemon replaces, for comparison: one package at a time, one request a version, one query a
name.

It finds what the daemon finds as far as that is possible this way: metadata, versions, requirements, and the names in
the newest archive, which it downloads whole. There is no index in the graph, as the original made none. It is kinder
than the original, which asked twice as much: connections are kept open and no version is asked for advisories.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import httpx
from neo4j import Driver, Session

from benchmarks.plain_readers import READERS, Requirements


class PlainLoop:
    """This reads the registries at `endpoints` (base URLs by name) and counts its queries."""

    def __init__(self, endpoints: Mapping[str, str], driver: Driver) -> None:
        self.queries = 0
        self._endpoints = endpoints
        self._driver = driver

    def ingest(self, ecosystem: str, label: str, names: Iterable[str]) -> None:
        """Bring the packages that the graph lacks into it, one after the other."""
        read = READERS[ecosystem]
        with httpx.Client(follow_redirects=True, timeout=30) as http, self._driver.session() as session:
            for name in names:
                known = f"MATCH (p:{label} {{name: $name}})-[:HAVE]->(:Version) RETURN p.name LIMIT 1"
                if not self._query(session, known, name=name.lower()):
                    self._write(session, label, name.lower(), *read(http, self._endpoints, name))

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
