"""This tests the collection of advisories on a real server that speaks MongoDB's protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from securechain_ingest.advisories.store import AdvisoryStore
from securechain_ingest.drivers.mongodb import Collection, connected
from securechain_ingest.errors import ConfigError, StoreError
from securechain_ingest.model import PackageRef
from securechain_ingest.registries import BY_OSV
from securechain_ingest.settings import VulnerabilitySettings
from tests.graph.builders import npm, pypi
from tests.stores import AdvisoryTarget


@pytest.fixture
async def collection(advisory_target: AdvisoryTarget) -> AsyncIterator[Collection]:
    async with connected(advisory_target.uri) as client:
        yield client[advisory_target.database]["vulnerabilities"]


@pytest.fixture
async def store(advisory_target: AdvisoryTarget) -> AsyncIterator[AdvisoryStore]:
    settings = VulnerabilitySettings(database=advisory_target.database)
    async with AdvisoryStore.connect(advisory_target.uri, settings) as store:
        yield store


def document(number: int, *packages: tuple[str, str]) -> dict[str, Any]:
    affected = [{"package": {"ecosystem": ecosystem, "name": name}, "versions": ["1"]} for ecosystem, name in packages]
    return {"id": f"GHSA-{number}", "details": "long text", "affected": affected}


async def advisories_of(store: AdvisoryStore, ref: PackageRef) -> list[dict[str, Any]]:
    return (await store.of_packages([ref]))[ref.purl]


async def test_a_package_gets_every_advisory_that_names_it(store: AdvisoryStore, collection: Collection) -> None:
    await collection.insert_many(
        [
            document(1, ("PyPI", "flask")),
            document(2, ("npm", "left-pad")),
            document(3, ("npm", "left-pad"), ("PyPI", "Flask")),
            document(4, ("PyPI", "flask-login")),
        ]
    )
    found = await advisories_of(store, pypi("flask"))
    assert sorted(advisory["id"] for advisory in found) == ["GHSA-1", "GHSA-3"]


async def test_a_package_is_found_in_any_case(store: AdvisoryStore, collection: Collection) -> None:
    await store.ensure_indexes()
    await collection.insert_many(
        [
            document(1, ("NuGet", "Newtonsoft.Json")),
            document(2, ("NuGet", "NewtonSoft.JSON")),
            document(3, ("npm", "json")),
        ]
    )
    json = PackageRef(BY_OSV["NuGet"].ecosystem, "newtonsoft.json", "newtonsoft.json", "pkg:nuget/newtonsoft.json")
    assert sorted(each["id"] for each in await advisories_of(store, json)) == ["GHSA-1", "GHSA-2"]


async def test_each_of_many_packages_gets_its_own_advisories(store: AdvisoryStore, collection: Collection) -> None:
    await collection.insert_many(
        [
            document(1, ("PyPI", "flask")),
            document(2, ("npm", "flask")),
            document(3, ("npm", "left-pad"), ("PyPI", "Flask")),
            document(4, ("PyPI", "Zope-Interface")),
        ]
    )
    refs = [pypi("flask"), npm("left-pad"), pypi("zope-interface"), pypi("nothing")]
    found = await store.of_packages(refs)
    assert {purl: sorted(each["id"] for each in documents) for purl, documents in found.items()} == {
        "pkg:pypi/flask": ["GHSA-1", "GHSA-3"],
        "pkg:npm/left-pad": ["GHSA-3"],
        "pkg:pypi/zope-interface": ["GHSA-4"],
        "pkg:pypi/nothing": [],
    }


async def test_only_the_fields_that_attribution_needs_are_read(store: AdvisoryStore, collection: Collection) -> None:
    await collection.insert_one(document(1, ("PyPI", "flask")))
    [found] = await advisories_of(store, pypi("flask"))
    assert set(found) == {"id", "affected"}


async def test_indexes_can_be_ensured_twice(store: AdvisoryStore, collection: Collection) -> None:
    await store.ensure_indexes()
    await store.ensure_indexes()
    indexed = {key for index in (await collection.index_information()).values() for key, _ in index["key"]}
    assert {"id", "affected.package.name"} <= indexed


async def test_an_old_collection_with_one_id_twice_gets_its_look_up_index_all_the_same(
    store: AdvisoryStore, collection: Collection
) -> None:
    await collection.insert_many([document(1, ("PyPI", "flask")), document(1, ("PyPI", "django"))])
    await store.ensure_indexes()
    assert len(await advisories_of(store, pypi("flask"))) == 1


async def test_a_server_that_is_away_is_a_store_error() -> None:
    settings = VulnerabilitySettings(timeout_s=0.2)
    async with AdvisoryStore.connect("mongodb://127.0.0.1:9", settings) as store:
        with pytest.raises(StoreError):
            await advisories_of(store, pypi("flask"))


async def test_an_address_that_is_none_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError):
        async with AdvisoryStore.connect("mongodb://host:port:port", VulnerabilitySettings()):
            pass
