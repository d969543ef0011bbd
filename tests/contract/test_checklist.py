"""The contract's check-list (section 5) and rules 1 to 4 are asked of a graph that the daemon made, as the clients
ask.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from securechain_ingest.registries import ECOSYSTEMS
from tests.contract.layout import assert_as_the_model_says
from tests.contract.running import Running, running
from tests.contract.world import ADVISORIES, MESSAGES, NOT_THERE, REPOSITORY_INIT, WORLD
from tests.registry_server import serve
from tests.stores import AdvisoryTarget, GraphTarget

LABELS = tuple(ecosystem.label for ecosystem in ECOSYSTEMS)
ANY_PACKAGE = f"(p:{'|'.join(LABELS)})"
PACKAGE_PURL = re.compile(r"pkg:[a-z]+(/[^/]+)+")
VERSION_PURL = re.compile(r"pkg:[a-z]+(/[^/]+)+@[^@]+")

FILES = (("a/requirements.txt", "PyPI"), ("b/pyproject.toml", "PyPI"), ("package.json", "NPM"))
FLASK_EDGES = {
    "pkg:pypi/werkzeug": (">=2.0", "pkg:pypi/flask"),
    "pkg:pypi/typing-extensions": (">=4.2, <5", "pkg:pypi/flask"),
    "pkg:pypi/zope-interface": ("any", "pkg:pypi/flask"),
    "pkg:pypi/six": (">=1.0, <2.0", "pkg:pypi/flask"),
    "pkg:pypi/direct": ("any", "pkg:pypi/flask"),
}


@pytest.fixture(scope="module")
def client(
    contract_environment: dict[str, str], graph_server: GraphTarget, contract_advisories: AdvisoryTarget
) -> Iterator[Running]:
    with (
        serve(WORLD) as registries,
        running(contract_environment, graph_server, contract_advisories, registries, ADVISORIES) as client,
    ):
        files = [
            client.graph.rows(
                "CREATE (:User {_id: $name})-[:OWN]->(:Repository {owner: 'o', name: $name, is_complete: true})"
                "-[:USE]->(f:RequirementFile {name: $name, manager: $manager,"
                " moment: localdatetime('2020-01-01T00:00:00')})"
                " RETURN elementId(f) AS id",
                name=name,
                manager=manager,
            )[0]["id"]
            for name, manager in FILES
        ]
        client.send(*MESSAGES)
        client.send(
            REPOSITORY_INIT % ("PyPIPackage", "flask", "==  2.0.0 ", files[0]),
            REPOSITORY_INIT % ("PyPIPackage", "flask", ">=1", files[1]),
            REPOSITORY_INIT % ("PyPIPackage", "zope-interface", "any", files[1]),
            REPOSITORY_INIT % ("NPMPackage", "@babel/core", "^7", files[2]),
            REPOSITORY_INIT % ("NPMPackage", "onlyupper", "*", files[2]),
            REPOSITORY_INIT % ("NPMPackage", "loop", "*", "4:00000000-0000-0000-0000-000000000000:99"),
            *(REPOSITORY_INIT % ("PyPIPackage" if n == "no-releases" else "NPMPackage", n, "", "") for n in NOT_THERE),
        )
        yield client


def rows(client: Running, query: str, **parameters: Any) -> list[dict[str, Any]]:
    return client.graph.rows(query, **parameters)


def test_only_what_the_registries_lack_became_a_dead_letter(client: Running) -> None:
    assert sorted(client.dead()) == sorted(("not_found", name) for name in NOT_THERE)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("PyPIPackage", "flask"),
        ("PyPIPackage", "typing_extensions"),
        ("PyPIPackage", "zope.interface"),
        ("PyPIPackage", "no-files"),
        ("NPMPackage", "@babel/core"),
        ("NPMPackage", "jsonstream"),
        ("NPMPackage", "onlyupper"),
    ],
)
def test_status_of_a_package_by_its_lower_case_name(client: Running, label: str, name: str) -> None:
    if name == "no-files":
        client.ask(label, name)
    [row] = rows(
        client,
        f"MATCH (p:{label} {{name: $name}}) RETURN properties(p) AS p, labels(p) AS labels, p.moment AS moment",
        name=name,
    )
    package = row["p"]
    assert row["labels"] == [label]
    assert PACKAGE_PURL.fullmatch(package["purl"])
    assert isinstance(package["vendor"], str)
    assert isinstance(package["repository_url"], str)
    assert package["import_names"]
    assert all(isinstance(each, str) for each in package["import_names"])
    assert "group_id" not in package
    moment = row["moment"].to_native()
    age_s = (datetime.now(UTC) - (moment if moment.tzinfo else moment.replace(tzinfo=UTC))).total_seconds()
    assert -5 < age_s < 3600
    versions = client.versions(label, name)
    assert versions
    for version in versions.values():
        assert VERSION_PURL.fullmatch(version["purl"])
        assert type(version["serial_number"]) is int
        assert type(version["mean"]) is float
        assert type(version["weighted_mean"]) is float
        assert isinstance(version["vulnerabilities"], list)
        assert isinstance(version.get("release_date", ""), str)


def test_names_and_purls_follow_the_table_of_the_contract(client: Running) -> None:
    found = {
        row["purl"]: row["name"] for row in rows(client, f"MATCH {ANY_PACKAGE} RETURN p.purl AS purl, p.name AS name")
    }
    wanted = {
        "pkg:pypi/flask": "flask",
        "pkg:pypi/typing-extensions": "typing_extensions",
        "pkg:pypi/zope-interface": "zope.interface",
        "pkg:npm/%40babel/core": "@babel/core",
        "pkg:npm/JSONStream": "JSONStream",
        "pkg:npm/jsonstream": "jsonstream",
        "pkg:npm/OnlyUpper": "onlyupper",
        "pkg:maven/org.antlr/ST4": "org.antlr:st4",
        "pkg:cargo/inflector": "inflector",
        "pkg:gem/RedCloth": "redcloth",
        "pkg:nuget/newtonsoft.json": "newtonsoft.json",
    }
    assert wanted.items() <= found.items()


@pytest.mark.parametrize(
    ("label", "name", "versions", "edges", "advisory"),
    [
        ("MavenPackage", "org.antlr:st4", ["4.3.3", "4.3.4"], {"pkg:maven/org.antlr/runtime": "[3.5]"}, "GHSA-maven"),
        ("CargoPackage", "inflector", ["0.11.3", "0.11.4"], {"pkg:cargo/lazy_static": "^1.2"}, "GHSA-crate"),
        ("RubyGemsPackage", "redcloth", ["4.2", "4.10"], {"pkg:gem/rake": "~> 1.2"}, "GHSA-gem"),
        (
            "NuGetPackage",
            "newtonsoft.json",
            ["9.0.1", "13.0.1"],
            {"pkg:nuget/microsoft.csharp": "[4.3.0, )"},
            "GHSA-nuget",
        ),
    ],
)
def test_a_package_asked_for_in_lower_case_has_its_versions_edges_and_advisories(
    client: Running, label: str, name: str, versions: list[str], edges: dict[str, str], advisory: str
) -> None:
    found = client.versions(label, name)
    assert sorted(found, key=lambda version: found[version]["serial_number"]) == versions
    [purl] = {version["purl"].rpartition("@")[0] for version in found.values()}
    assert client.edges(label, name, versions[1]) == {target: (text, purl) for target, text in edges.items()}
    assert [found[version]["vulnerabilities"] for version in versions] == [[advisory], []]


def test_only_maven_packages_have_a_group(client: Running) -> None:
    query = (
        f"MATCH {ANY_PACKAGE} WHERE p.group_id IS NOT NULL RETURN p.name AS name, p.group_id AS g, p.artifact_id AS a"
    )
    found = {row["name"]: (row["g"], row["a"]) for row in rows(client, query)}
    assert found == {"org.antlr:st4": ("org.antlr", "ST4"), "org.antlr:runtime": ("org.antlr", "runtime")}


def test_status_of_a_version_is_exactly_one(client: Running) -> None:
    query = (
        "MATCH (p:PyPIPackage {name: 'flask'})-[:HAVE]->(v:Version {name: $version})"
        " RETURN v.purl AS purl, v.serial_number AS serial, v.release_date AS date"
    )
    assert rows(client, query, version="2.0.0") == [
        {"purl": "pkg:pypi/flask@2.0.0", "serial": 4, "date": "2015-05-31T12:00:00Z"}
    ]
    assert rows(client, query, version="1.0.1")[0]["date"] is None
    [legacy] = rows(client, query, version="0.1-legacy build")
    assert (legacy["purl"], legacy["serial"]) == ("pkg:pypi/flask@0.1-legacy%20build", -1)


@pytest.mark.parametrize("label", LABELS)
def test_serial_numbers_are_dense_integers_in_the_ecosystems_order(client: Running, label: str) -> None:
    found = rows(
        client, f"MATCH (p:{label})-[:HAVE]->(v:Version) RETURN p.purl AS purl, collect(v.serial_number) AS serials"
    )
    for row in found:
        ordered = sorted(serial for serial in row["serials"] if serial != -1)
        assert ordered == list(range(len(ordered))), row["purl"]
    babel = client.versions("NPMPackage", "@babel/core")
    by_serial = sorted(babel, key=lambda name: babel[name]["serial_number"])
    assert by_serial == ["not-a-version", "7.0.0-beta.2", "7.0.0-beta.11", "7.0.0", "7.10.0"]


def test_every_package_has_a_version_and_every_version_one_package(client: Running) -> None:
    assert rows(client, f"MATCH {ANY_PACKAGE} WHERE NOT EXISTS {{ (p)-[:HAVE]->(:Version) }} RETURN p.purl") == []
    assert (
        rows(
            client,
            "MATCH (v:Version) OPTIONAL MATCH (p)-[h:HAVE]->(v) WITH v, count(h) AS n WHERE n <> 1 RETURN v.purl, n",
        )
        == []
    )


def test_purls_are_unique_and_nothing_that_clients_key_on_is_null(client: Running) -> None:
    for label in (*LABELS, "Version"):
        assert (
            rows(
                client, f"MATCH (n:{label}) WITH n.purl AS purl, count(*) AS n WHERE purl IS NULL OR n > 1 RETURN purl"
            )
            == []
        )
    for key in ("name", "purl", "vendor", "repository_url", "moment", "import_names"):
        assert rows(client, f"MATCH {ANY_PACKAGE} WHERE p.{key} IS NULL RETURN p.purl") == []


def test_no_other_relationship_leaves_what_depex_expands(client: Running) -> None:
    found = rows(
        client,
        "MATCH (n)-[r]->(m) WHERE NOT n:AbsentPackage AND NOT n:User AND NOT n:Repository"
        " RETURN DISTINCT labels(n) AS labels, type(r) AS type, labels(m) AS to",
    )
    assert {(row["labels"][0], row["type"]) for row in found} == {
        *((label, "HAVE") for label in LABELS),
        ("Version", "REQUIRE"),
        ("RequirementFile", "REQUIRE"),
    }
    assert all(len(row["labels"]) == len(row["to"]) == 1 for row in found)


def test_a_versions_edges_hold_constraints_and_the_purl_of_the_parent(client: Running) -> None:
    for version in ("1.0", "2.0.0"):
        assert client.edges("PyPIPackage", "flask", version) == FLASK_EDGES
    assert client.edges("PyPIPackage", "ping", "1.0") == {
        "pkg:pypi/pong": ("any", "pkg:pypi/ping"),
        "pkg:pypi/ping": (">=1", "pkg:pypi/ping"),
    }
    assert client.edges("PyPIPackage", "pong", "1.0") == {"pkg:pypi/ping": ("==1.0", "pkg:pypi/pong")}
    assert client.edges("NPMPackage", "@babel/core", "7.0.0") == {
        "pkg:npm/%40babel/types": ("^7.0.0", "pkg:npm/%40babel/core"),
        "pkg:npm/JSONStream": ("1.2.x || ^1.3.0", "pkg:npm/%40babel/core"),
        "pkg:npm/jsonstream": ("git+https://github.com/x/jsonstream.git", "pkg:npm/%40babel/core"),
        "pkg:npm/loop": ("any", "pkg:npm/%40babel/core"),
    }
    assert client.edges("NPMPackage", "loop", "1.0.0") == {"pkg:npm/loop": ("any", "pkg:npm/loop")}


def test_a_requirement_that_no_registry_has_waits_where_no_client_looks(client: Running) -> None:
    found = rows(
        client,
        "MATCH (a:AbsentPackage)-[w:AWAITED_BY]->(v:Version) RETURN a.purl AS a, v.purl AS v, w.constraints AS c",
    )
    assert sorted((row["a"], row["v"], row["c"]) for row in found) == [
        ("pkg:npm/left-out", "pkg:npm/%40babel/core@7.0.0", "^1.0.0"),
        ("pkg:npm/left-out", "pkg:npm/%40babel/core@7.10.0", "^1.0.0"),
        ("pkg:pypi/never-published", "pkg:pypi/flask@1.0", ">=1"),
        ("pkg:pypi/never-published", "pkg:pypi/flask@2.0.0", ">=1"),
    ]


def test_at_most_one_edge_between_two_nodes_and_its_constraints_are_never_empty(client: Running) -> None:
    assert (
        rows(client, "MATCH (a)-[r:REQUIRE]->(b) WITH a, b, count(r) AS n WHERE n > 1 RETURN a.purl, b.purl, n") == []
    )
    assert rows(client, "MATCH ()-[r:REQUIRE]->() WHERE r.constraints IS NULL OR r.constraints = '' RETURN r") == []


def test_a_files_edges_are_direct_and_keep_the_producers_string(client: Running) -> None:
    found = rows(
        client,
        "MATCH (f:RequirementFile)-[r:REQUIRE]->(p) RETURN f.name AS file, p.name AS name, properties(r) AS r,"
        " f.moment AS moment",
    )
    assert {(row["file"], row["name"]): row["r"] for row in found} == {
        ("a/requirements.txt", "flask"): {"constraints": "==  2.0.0 "},
        ("b/pyproject.toml", "flask"): {"constraints": ">=1"},
        ("b/pyproject.toml", "zope.interface"): {"constraints": "any"},
        ("package.json", "@babel/core"): {"constraints": "^7"},
        ("package.json", "onlyupper"): {"constraints": "*"},
    }
    for row in found:
        moment = row["moment"].to_native()
        assert (moment.tzinfo, moment.year > 2020) == (None, True)


def test_a_lost_parent_is_reported_and_its_package_is_there(client: Running) -> None:
    assert [event["package"] for event in client.process.events("parent_not_found")] == ["pkg:npm/loop"]


def test_expanding_a_file_a_version_and_a_package_gives_unique_purls(client: Running) -> None:
    for query in (
        "MATCH (f:RequirementFile {name: 'b/pyproject.toml'})-[:REQUIRE]->(n) RETURN n.purl AS purl",
        "MATCH (:Version {purl: 'pkg:pypi/flask@2.0.0'})-[:REQUIRE]->(n) RETURN n.purl AS purl",
        "MATCH (:PyPIPackage {purl: 'pkg:pypi/flask'})-[:HAVE]->(n) RETURN n.purl AS purl",
    ):
        purls = [row["purl"] for row in rows(client, query)]
        assert None not in purls
        assert len(purls) == len(set(purls)) > 1


def test_the_solver_separates_direct_from_indirect_and_joins_on_purls(client: Running) -> None:
    found = rows(
        client,
        "MATCH (:RequirementFile {name: 'a/requirements.txt'})-[d:REQUIRE]->(p)-[:HAVE]->(v:Version)-[i:REQUIRE]->(t)"
        " RETURN d.parent_version_name AS direct, p.purl AS parent, i.parent_version_name AS indirect, t.purl AS purl",
    )
    assert found
    assert all(row["direct"] is None and row["indirect"] == row["parent"] and row["purl"] for row in found)


def test_depex_expands_a_package_with_apoc_within_its_limit(client: Running) -> None:
    if client.target.kind != "neo4j":
        pytest.skip("APOC is Neo4j's")
    [row] = rows(
        client,
        "MATCH (f:RequirementFile {name: 'a/requirements.txt'})"
        " CALL apoc.path.subgraphAll(f, {relationshipFilter: 'REQUIRE>|HAVE>', maxLevel: 6}) YIELD nodes, relationships"
        " RETURN [n IN nodes WHERE NOT n:RequirementFile | n.purl] AS purls, size(relationships) AS edges",
    )
    assert None not in row["purls"]
    assert len(set(row["purls"])) == len(row["purls"]) > 10
    assert row["edges"] > 10


def test_config_look_ups_by_serial_and_by_name_meet_in_one_version(client: Running) -> None:
    by_serial = rows(
        client,
        "MATCH (:PyPIPackage {purl: 'pkg:pypi/flask'})-[:HAVE]->(v:Version {serial_number: 4}) RETURN v.name AS name",
    )
    assert by_serial == [{"name": "2.0.0"}]


@pytest.mark.parametrize(
    ("label", "name", "version", "ids", "mean", "weighted"),
    [
        ("PyPIPackage", "flask", "0.9", ["GHSA-listed"], 5.0, 5.0),
        ("PyPIPackage", "flask", "1.0", ["GHSA-listed", "GHSA-vector"], 6.25, 6.5),
        ("PyPIPackage", "flask", "2.0.0rc1", ["GHSA-vector"], 7.5, 7.5),
        ("PyPIPackage", "flask", "2.0.0", [], 0.0, 0.0),
        ("PyPIPackage", "typing_extensions", "4.2.0", ["GHSA-typing"], 0.0, 0.0),
        ("NPMPackage", "@babel/core", "7.0.0-beta.2", [], 0.0, 0.0),
        ("NPMPackage", "@babel/core", "7.0.0", ["GHSA-v4"], 0.0, 0.0),
        ("NPMPackage", "@babel/core", "7.10.0", [], 0.0, 0.0),
        ("NPMPackage", "jsonstream", "1.0.0", ["GHSA-lower"], 0.0, 0.0),
        ("NPMPackage", "JSONStream", "1.0.0", ["GHSA-upper"], 0.0, 0.0),
        ("NPMPackage", "JSONStream", "1.3.5", [], 0.0, 0.0),
    ],
)
def test_vulnerabilities_and_means_of_a_version(
    client: Running, label: str, name: str, version: str, ids: list[str], mean: float, weighted: float
) -> None:
    held = client.versions(label, name)[version]
    assert (held["vulnerabilities"], held["mean"], held["weighted_mean"]) == (ids, mean, weighted)


def test_every_vulnerability_of_a_version_is_a_document_with_details(client: Running) -> None:
    ids = {each for row in rows(client, "MATCH (v:Version) RETURN v.vulnerabilities AS ids") for each in row["ids"]}
    found = {document["id"]: document for document in client.advisories.find({"id": {"$in": sorted(ids)}})}
    assert set(found) == ids
    assert all(isinstance(document["details"], str) for document in found.values())


def test_advisory_documents_are_left_as_they_are(client: Running) -> None:
    for wanted in ADVISORIES:
        held = client.advisories.find_one({"id": wanted["id"]})
        assert {key: value for key, value in held.items() if key != "_id"} == wanted


def test_a_graph_has_the_indexes_that_no_client_creates(client: Running) -> None:
    found = {
        (row["labelsOrTypes"][0], row["properties"][0])
        for row in rows(client, "SHOW INDEXES")
        if row["labelsOrTypes"] and row["properties"]
    }
    assert {(label, key) for label in LABELS for key in ("name", "purl")} | {("Version", "purl")} <= found


def test_the_graph_is_as_its_machine_readable_model_says(client: Running) -> None:
    assert_as_the_model_says(client.graph)
