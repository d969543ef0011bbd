"""This tests what changes when a package is asked for again: new advisories, names that failed, names in another
case.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from securechain_ingest.queue.keys import Keys
from tests.contract.running import Running, running
from tests.end_to_end.conftest import STREAM
from tests.registry_server import Fault, FaultKind, World, npm, pypi, serve
from tests.registry_server.pypi import ProjectRelease
from tests.stores import AdvisoryTarget, GraphTarget
from tests.waiting import block_until

WORLD = World(
    (
        pypi.Project("rated", (ProjectRelease("1.0"), ProjectRelease("2.0"))),
        npm.Package("unlucky", (npm.Version("1.0.0", members={"index.js": b"", "lib/more.js": b""}),)),
        npm.Package("@plain/lower", (npm.Version("1.0.0"),)),
    )
)


@pytest.fixture(scope="module")
def client(
    contract_environment: dict[str, str], graph_server: GraphTarget, contract_advisories: AdvisoryTarget
) -> Iterator[Running]:
    variables = contract_environment | {"SECURECHAIN_HTTP__RETRIES": "0", "SECURECHAIN_ARCHIVES__MAX_STRIKES": "1"}
    with serve(WORLD) as registries, running(variables, graph_server, contract_advisories, registries) as client:
        yield client


def test_a_refresh_of_an_unchanged_package_brings_new_advisories_and_takes_withdrawn_ones_away(client: Running) -> None:
    client.ask("PyPIPackage", "rated")
    advisory = {
        "id": "GHSA-new",
        "details": "",
        "affected": [{"package": {"ecosystem": "PyPI", "name": "rated"}, "versions": ["1.0"]}],
        "severity": [{"type": "CVSS_V3", "base_score": 8.0}],
    }
    client.advisories.insert_one(advisory)
    for fields, held in (({}, (["GHSA-new"], 8.0)), ({"withdrawn": "2026-01-01T00:00:00Z"}, ([], 0.0))):
        client.advisories.update_one({"id": "GHSA-new"}, {"$set": {"details": "Made.", **fields}})
        client.ask("PyPIPackage", "rated", refresh=True)
        versions = client.versions("PyPIPackage", "rated")
        assert (versions["1.0"]["vulnerabilities"], versions["1.0"]["mean"]) == held
        assert versions["2.0"]["vulnerabilities"] == []
    first, *later = [each.status for each in client.registries.requests if each.target == "/pypi/rated/json"]
    # A message that had to be tried again asks again.
    assert (first, set(later)) == (200, {304})


def test_import_names_that_a_passing_error_hid_are_found_by_the_next_refresh(client: Running) -> None:
    client.registries.faults.add(Fault("/unlucky/-/*", FaultKind.STATUS, status=503))
    client.ask("NPMPackage", "unlucky")

    def held() -> tuple[list[str], bool]:
        [row] = client.graph.rows("MATCH (p:NPMPackage {name: 'unlucky'}) RETURN properties(p) AS p")
        return row["p"]["import_names"], row["p"].get("import_names_error") is not None

    assert held() == (["unlucky"], True)
    client.ask("NPMPackage", "unlucky", refresh=True)
    assert held() == (["unlucky", "unlucky/lib/more"], False)


def test_import_names_are_cached_for_seven_days_under_the_documented_key(client: Running) -> None:
    client.ask("NPMPackage", "@plain/lower")
    with redis.Redis(connection_pool=client.queue.connection_pool) as cache:
        key = Keys(STREAM).import_names("npm", "@plain/lower", "1.0.0")
        block_until(lambda: cache.exists(key), "the names, which are written a moment later")
        remaining_s = cache.ttl(key)
    assert isinstance(remaining_s, int)
    assert 604_800 - 600 < remaining_s <= 604_800


def test_a_name_in_the_wrong_case_finds_the_package(client: Running) -> None:
    client.ask("NPMPackage", "@Plain/LOWER")
    assert set(client.versions("NPMPackage", "@plain/lower")) == {"1.0.0"}
    assert client.dead() == []


def test_asking_twice_with_refresh_changes_no_node_and_no_edge(client: Running) -> None:
    client.ask("PyPIPackage", "rated")
    query = "MATCH (a)-[r]->(b) RETURN elementId(a) AS a, type(r) AS type, elementId(b) AS b ORDER BY a, type, b"
    before = client.graph.rows(query)
    for _ in range(2):
        client.ask("PyPIPackage", "RATED", refresh=True)
    assert client.graph.rows(query) == before
