"""This reads what the graph holds, as a client would, and compares it with what a made world says it must hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from neo4j import Driver, GraphDatabase

from securechain_ingest.registries import ECOSYSTEMS
from tests.registry_server import ExpectedPackage
from tests.stores import GraphTarget

LABELS = tuple(ecosystem.label for ecosystem in ECOSYSTEMS)


@dataclass(frozen=True, slots=True)
class Stored:
    """This is one package with its versions and edges, in plain comparable data."""

    name: str
    purl: str
    vendor: str
    repository_url: str
    import_names: tuple[str, ...]
    versions: tuple[tuple[str, str, int, str | None], ...]
    """These are (name, purl, serial number, release date)."""
    edges: frozenset[tuple[str, str, str]]
    """These are (version purl, target purl, constraints without blanks), of REQUIRE edges and of waiting
    requirements.
    """


def expected(package: ExpectedPackage) -> Stored:
    """Return what must be stored of a made package; import names that the world does not say are compared as none."""
    return Stored(
        name=package.name,
        purl=package.purl,
        vendor=package.vendor,
        repository_url=package.repository_url,
        import_names=tuple(sorted(package.import_names or ())),
        versions=tuple((each.name, each.purl, each.serial_number, each.release_date) for each in package.versions),
        edges=frozenset(
            (version.purl, target, _plain(constraints))
            for version in package.versions
            for target, constraints in version.requirements.items()
        ),
    )


def _plain(constraints: str) -> str:
    return ",".join(sorted("".join(clause.split()) for clause in constraints.split(",")))


class PlainCypher:
    """This sends plain Cypher over the official driver."""

    def __init__(self, target: GraphTarget) -> None:
        self._target = target
        self._driver: Driver = GraphDatabase.driver(target.uri, auth=(target.user, target.password))

    def close(self) -> None:
        self._driver.close()

    def rows(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        with self._driver.session(database=self._target.database) as session:
            return [record.data() for record in session.run(query, parameters)]

    def count(self, query: str, **parameters: Any) -> int:
        """Return the single number that a query returns."""
        [row] = self.rows(query, **parameters)
        return int(next(iter(row.values())))

    def packages(self) -> dict[str, Stored]:
        """Return everything that is stored, by purl."""
        found: dict[str, Stored] = {}
        for label in LABELS:
            versions = self._by_package(
                f"MATCH (p:{label})-[:HAVE]->(v:Version) RETURN p.purl AS package, v.name AS name, v.purl AS purl,"
                " v.serial_number AS serial, v.release_date AS date"
            )
            edges = self._by_package(
                f"MATCH (p:{label})-[:HAVE]->(v:Version)-[r:REQUIRE]->(t) RETURN p.purl AS package, v.purl AS purl,"
                " t.purl AS target, r.constraints AS constraints"
            )
            waits = self._by_package(
                f"MATCH (p:{label})-[:HAVE]->(v:Version)<-[r:AWAITED_BY]-(t:AbsentPackage) RETURN p.purl AS package,"
                " v.purl AS purl, t.purl AS target, r.constraints AS constraints"
            )
            for row in self.rows(f"MATCH (p:{label}) RETURN properties(p) AS package"):
                package = row["package"]
                purl = package["purl"]
                found[purl] = Stored(
                    name=package["name"],
                    purl=purl,
                    vendor=package["vendor"],
                    repository_url=package["repository_url"],
                    import_names=tuple(sorted(package["import_names"])),
                    versions=tuple(
                        sorted(
                            ((v["name"], v["purl"], v["serial"], v["date"]) for v in versions.get(purl, ())),
                            key=lambda version: (version[2], version[0]),
                        )
                    ),
                    edges=frozenset(
                        (edge["purl"], edge["target"], _plain(edge["constraints"]))
                        for edge in [*edges.get(purl, ()), *waits.get(purl, ())]
                    ),
                )
        return found

    def _by_package(self, query: str) -> dict[str, list[dict[str, Any]]]:
        grouped: dict[str, list[dict[str, Any]]] = {}
        for row in self.rows(query):
            grouped.setdefault(row["package"], []).append(row)
        return grouped


def _differences(stored: Stored, wanted: Stored) -> list[str]:
    found = []
    for part in fields(Stored):
        has, should = getattr(stored, part.name), getattr(wanted, part.name)
        if has != should and isinstance(has, frozenset):
            found.append(
                f"{wanted.purl} {part.name}: lacks {sorted(should - has)}, has too much {sorted(has - should)}"
            )
        elif has != should:
            found.append(f"{wanted.purl} {part.name}: {has} instead of {should}")
    return found


def assert_graph_equals(reader: PlainCypher, truth: Mapping[str, ExpectedPackage], purls: Iterable[str]) -> None:
    """Every named package is stored exactly as the world says, nothing is doubled, and nothing else was written."""
    stored = reader.packages()
    purls = set(purls)
    assert set(stored) == purls, f"lacks {sorted(purls - set(stored))}, has too much {sorted(set(stored) - purls)}"
    differences = [
        difference
        for purl in sorted(purls)
        for difference in _differences(stored[purl], expected(truth[purl]))
        if truth[purl].import_names is not None or " import_names: " not in difference
    ]
    assert not differences, "\n".join(differences)
    pairs = reader.count("MATCH (v:Version)-[r:REQUIRE]->(t) RETURN count(r)")
    distinct = reader.count("MATCH (v:Version)-[:REQUIRE]->(t) WITH DISTINCT v, t RETURN count(*)")
    assert pairs == distinct
    assert reader.count("MATCH (v:Version) RETURN count(v)") == sum(len(truth[purl].versions) for purl in purls)
    assert reader.count("MATCH ()-[h:HAVE]->() RETURN count(h)") == sum(len(truth[purl].versions) for purl in purls)
