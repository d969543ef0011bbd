"""A graph that the upstream ingester made before the daemon came is adopted and completed; nothing is deleted
(section 1.4).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.running import Running, running
from tests.end_to_end.graph_contents import PlainCypher
from tests.registry_server import Need, World, npm, pypi, serve
from tests.registry_server.pypi import ProjectRelease
from tests.stores import AdvisoryTarget, GraphTarget, empty_graph

WORLD = World(
    (
        pypi.Project(
            "Flask",
            (
                ProjectRelease("1.0", (Need("Jinja2>=2", "Jinja2"), Need("never", "never"))),
                ProjectRelease("2.0", (Need("jinja2>=3", "jinja2"), Need("typing_extensions", "typing_extensions"))),
            ),
        ),
        pypi.Project("Jinja2", (ProjectRelease("2.0"), ProjectRelease("3.0"))),
        pypi.Project("typing_extensions", (ProjectRelease("4.0"),)),
        npm.Package("JSONStream", (npm.Version("1.0.0"), npm.Version("1.1.0"))),
        npm.Package("@Scope/Pkg", (npm.Version("1.0.0", (Need("^1.0.0", "JSONStream"),)),)),
    )
)

# As upstream writes them: no purl, a zone-less moment, numbers that are not dense, the parent's name on its edges.
SEED = """
CREATE (upper:PyPIPackage {name: 'Flask', vendor: 'n/a', moment: localdatetime('2025-01-01T10:00:00')})
CREATE (upper)-[:HAVE]->(:Version {name: '1.0', serial_number: 0, mean: 0.0, weighted_mean: 0.0, vulnerabilities: []})
CREATE (flask:PyPIPackage {name: 'flask', vendor: 'n/a', moment: localdatetime('2025-01-01T10:00:00')})
SET flask.repository_url = 'n/a'
WITH flask
CREATE (one:Version {name: '1.0', serial_number: 3, release_date: '2015-01-01T12:00:00Z', mean: 1.5,
                     weighted_mean: 1.5, vulnerabilities: ['GHSA-old']})
CREATE (again:Version {name: '1.0', serial_number: 3})
CREATE (private:Version {name: '0.5', serial_number: 1, release_date: 1620742536000})
CREATE (flask)-[:HAVE]->(one) CREATE (flask)-[:HAVE]->(again) CREATE (flask)-[:HAVE]->(private)
CREATE (jinja:PyPIPackage {name: 'jinja2', moment: localdatetime('2025-01-01T10:00:00')})
CREATE (one)-[:REQUIRE {constraints: '>= 1', parent_version_name: 'flask'}]->(jinja)
CREATE (typing:PyPIPackage {name: 'typing-extensions', moment: localdatetime('2025-01-01T10:00:00')})
CREATE (typing)-[:HAVE]->(:Version {name: '4.0'})
CREATE (scoped:NPMPackage {name: '@scope/pkg', moment: localdatetime('2025-01-01T10:00:00')})
CREATE (scoped)-[:HAVE]->(:Version {name: '1.0.0', serial_number: 0})
CREATE (:User {_id: 'u'})-[:OWN]->(:Repository {owner: 'o', name: 'r'})-[:USE]->
       (file:RequirementFile {name: 'requirements.txt', manager: 'PyPI', moment: localdatetime('2025-01-01T10:00:00')})
CREATE (file)-[:REQUIRE {constraints: '== 1.0'}]->(flask)
"""


@pytest.fixture(scope="module")
def before(graph_server: GraphTarget, contract_environment: dict[str, str]) -> set[str]:
    """Return the elementIds of the old graph."""
    assert contract_environment
    empty_graph(graph_server)
    graph = PlainCypher(graph_server)
    graph.rows(SEED)
    ids = {row["id"] for row in graph.rows("MATCH (n) RETURN elementId(n) AS id")}
    graph.close()
    return ids


@pytest.fixture(scope="module")
def client(
    before: set[str],
    contract_environment: dict[str, str],
    graph_server: GraphTarget,
    contract_advisories: AdvisoryTarget,
) -> Iterator[Running]:
    with (
        serve(WORLD) as registries,
        running(contract_environment, graph_server, contract_advisories, registries) as client,
    ):
        for _ in range(2):
            client.ask("PyPIPackage", "flask", refresh=True)
            client.ask("NPMPackage", "JSONStream")
            client.ask("NPMPackage", "@Scope/Pkg", refresh=True)
            client.ask("PyPIPackage", "typing.extensions")
        assert before
        yield client


def test_no_node_is_deleted_or_made_again(client: Running, before: set[str]) -> None:
    ids = {row["id"] for row in client.graph.rows("MATCH (n) RETURN elementId(n) AS id")}
    assert before <= ids
    assert client.dead() == []


def test_the_old_nodes_get_purls_and_the_names_of_the_contract(client: Running, before: set[str]) -> None:
    found = {
        row["purl"]: (row["name"], row["id"] in before)
        for row in client.graph.rows(
            "MATCH (p:PyPIPackage|NPMPackage) WHERE p.purl IS NOT NULL"
            " RETURN p.purl AS purl, p.name AS name, elementId(p) AS id"
        )
    }
    assert found == {
        "pkg:pypi/flask": ("flask", True),
        "pkg:pypi/jinja2": ("jinja2", True),
        "pkg:pypi/typing-extensions": ("typing_extensions", True),
        "pkg:npm/JSONStream": ("jsonstream", False),
        "pkg:npm/%40Scope/Pkg": ("@scope/pkg", True),
    }


def test_the_status_of_an_old_package_is_complete_and_each_version_is_found_once(client: Running) -> None:
    versions = client.versions("PyPIPackage", "flask")
    assert {name: (each["serial_number"], each["purl"], each["release_date"]) for name, each in versions.items()} == {
        "0.5": (0, "pkg:pypi/flask@0.5", "2021-05-11T14:15:36Z"),
        "1.0": (1, "pkg:pypi/flask@1.0", "2015-01-01T12:00:00Z"),
        "2.0": (2, "pkg:pypi/flask@2.0", "2015-01-31T12:00:00Z"),
    }
    for each in versions.values():
        assert (each["mean"], each["weighted_mean"], each["vulnerabilities"]) == (0.0, 0.0, [])


def test_old_edges_get_the_constraints_of_the_registry_and_the_purl_of_the_parent(client: Running) -> None:
    assert client.edges("PyPIPackage", "flask", "1.0") == {"pkg:pypi/jinja2": (">=2", "pkg:pypi/flask")}
    assert client.edges("PyPIPackage", "flask", "2.0") == {
        "pkg:pypi/jinja2": (">=3", "pkg:pypi/flask"),
        "pkg:pypi/typing-extensions": ("any", "pkg:pypi/flask"),
    }
    assert client.edges("NPMPackage", "@scope/pkg", "1.0.0") == {
        "pkg:npm/JSONStream": ("^1.0.0", "pkg:npm/%40Scope/Pkg")
    }


def test_a_required_package_without_versions_gets_them(client: Running) -> None:
    assert set(client.versions("PyPIPackage", "jinja2")) == {"2.0", "3.0"}


def test_what_a_file_requires_is_reached_as_before(client: Running) -> None:
    rows = client.graph.rows(
        "MATCH (f:RequirementFile)-[r:REQUIRE]->(p) RETURN p.purl AS purl, p.name AS name, properties(r) AS r"
    )
    assert rows == [{"purl": "pkg:pypi/flask", "name": "flask", "r": {"constraints": "== 1.0"}}]
