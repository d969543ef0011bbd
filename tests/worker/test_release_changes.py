"""Which importable names a release adds and takes away is kept, and nothing is compared that cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from securechain_ingest.errors import Malformed, StoreAway, StoreRefused, TooLarge
from securechain_ingest.model import ImportNames, Package
from securechain_ingest.reports.package import read_package
from securechain_ingest.worker.release_changes import MAX_KEPT_NAMES
from tests.graph.builders import npm
from tests.worker.made import Bench, package

COUNTS = ("import_names_before", "import_names_added", "import_names_removed")


async def offer(bench: Bench, names: tuple[str, ...], *versions: str, **changes: Any) -> None:
    """Let the registry have these versions of a package, the last of which is the one that a user gets; it is read."""
    bench.registry.names = names
    bench.registry.has(package("left", *versions, **{"validator": " ".join(versions), **changes}))
    await bench.serve("left", refresh=True)


async def counts(bench: Bench, version: str) -> tuple[str, int, int] | None:
    [row] = await bench.read(
        "MATCH (:NPMPackage {name: 'left'})-[:HAVE]->(v:Version {name: $version}) RETURN properties(v) AS held",
        version=version,
    )
    held: Mapping[str, Any] = row["held"]
    return (held[COUNTS[0]], held[COUNTS[1]], held[COUNTS[2]]) if COUNTS[0] in held else None


async def told(bench: Bench, version: str | None = None) -> dict[str, Any] | None:
    """Return what `show --json` says."""
    stores = bench.stores
    report = await read_package(
        stores.graph.reader, stores.advisories, stores.changes, npm("left"), version, is_rated=True
    )
    found: dict[str, Any] | None = report.as_dict()["import_names_changes"]
    return found


CHANGED = {
    "version": "2.0.0",
    "before": "1.0.0",
    "added_count": 1,
    "removed_count": 2,
    "added": ["left/new"],
    "removed": ["left/gone", "left/old"],
}


async def change(bench: Bench) -> None:
    await offer(bench, ("left", "left/gone", "left/old"), "1.0.0")
    await offer(bench, ("left", "left/new"), "1.0.0", "2.0.0")


async def test_a_newer_release_is_compared_with_the_one_that_was_read_before(bench: Bench) -> None:
    await change(bench)
    assert await counts(bench, "2.0.0") == ("1.0.0", 1, 2)
    assert await counts(bench, "1.0.0") is None
    assert await told(bench) == CHANGED
    assert await told(bench, "2.0.0") == CHANGED
    assert await told(bench, "1.0.0") is None


async def test_the_first_archive_is_compared_with_nothing(bench: Bench) -> None:
    await offer(bench, ("left",), "1.0.0", "2.0.0")
    assert await told(bench) is None
    assert (await bench.node("left"))["import_names_of"] == "2.0.0"


async def test_reading_a_release_again_leaves_its_comparison_as_it_is(bench: Bench) -> None:
    await change(bench)
    before = await bench.nodes()
    await offer(bench, ("left", "left/new"), "1.0.0", "2.0.0", validator="another")
    assert await told(bench) == CHANGED
    kept = (await bench.nodes())[npm("left").purl]
    assert kept["import_names"] == before[npm("left").purl]["import_names"]


async def test_a_release_without_a_difference_says_so(bench: Bench) -> None:
    await offer(bench, ("left",), "1.0.0")
    await offer(bench, ("left",), "1.0.0", "1.0.1")
    assert await counts(bench, "1.0.1") == ("1.0.0", 0, 0)


async def test_an_older_release_that_users_get_again_is_not_compared_and_the_next_newer_one_is(bench: Bench) -> None:
    await change(bench)
    await offer(bench, ("left", "left/gone"), "2.0.0", "1.0.0")
    assert await counts(bench, "1.0.0") is None
    assert await told(bench) == CHANGED
    await offer(bench, ("left",), "1.0.0", "2.0.0", "2.0.1")
    assert await counts(bench, "2.0.1") == ("1.0.0", 0, 2)


async def test_a_release_without_an_order_is_not_compared(bench: Bench) -> None:
    await offer(bench, ("left",), "not a version")
    await offer(bench, ("left", "left/new"), "not a version", "2.0.0")
    assert await told(bench) is None


async def test_names_of_another_parser_are_not_compared(bench: Bench) -> None:
    await offer(bench, ("left", "left/old"), "1.0.0")
    await bench.read("MATCH (p:NPMPackage {name: 'left'}) SET p.import_names_parser = 0")
    await offer(bench, ("left",), "1.0.0", "2.0.0")
    assert await told(bench) is None
    await offer(bench, ("left", "left/new"), "1.0.0", "2.0.0", "3.0.0")
    assert await counts(bench, "3.0.0") == ("2.0.0", 1, 0)


async def test_names_of_an_earlier_release_of_the_daemon_are_not_compared(bench: Bench) -> None:
    await offer(bench, ("left", "left/old"), "1.0.0")
    await bench.read("MATCH (p:NPMPackage {name: 'left'}) SET p.import_names_of = null")
    await offer(bench, ("left",), "1.0.0", "2.0.0")
    assert await told(bench) is None


@pytest.mark.parametrize("incomplete", ["1.0.0", "2.0.0"])
async def test_a_list_that_was_cut_is_not_compared(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, incomplete: str
) -> None:
    async def cut(found: Package) -> ImportNames:
        error = "of 9 names the 1 nearest to the root are kept" if found.artifacts[0].version == incomplete else None
        return ImportNames((f"left/{found.artifacts[0].version}",), error=error)

    monkeypatch.setattr(bench.registry, "import_names", cut)
    await offer(bench, (), "1.0.0")
    await offer(bench, (), "1.0.0", "2.0.0")
    assert await told(bench) is None
    await offer(bench, (), "1.0.0", "2.0.0", "3.0.0")
    assert (await counts(bench, "3.0.0") is None) == (incomplete == "2.0.0")


@pytest.mark.parametrize("error", [TooLarge("too large", url="x"), Malformed("broken", url="x")])
async def test_the_release_after_an_archive_that_cannot_be_read_is_compared_with_the_one_before_it(
    bench: Bench, error: Exception
) -> None:
    await offer(bench, ("left", "left/old"), "1.0.0")
    bench.registry.archive_error = error
    await offer(bench, ("left",), "1.0.0", "2.0.0")
    assert await told(bench) is None
    bench.registry.archive_error = None
    await offer(bench, ("left", "left/new"), "1.0.0", "2.0.0", "3.0.0")
    assert await counts(bench, "3.0.0") == ("1.0.0", 1, 1)


async def test_of_very_many_names_the_first_are_kept_and_all_are_counted(bench: Bench) -> None:
    many = tuple(f"left/{number:05}" for number in range(MAX_KEPT_NAMES + 2_000))
    await offer(bench, ("left",), "1.0.0")
    await offer(bench, many, "1.0.0", "2.0.0")
    found = await told(bench)
    assert found is not None
    assert (found["added_count"], found["removed_count"]) == (len(many), 1)
    assert found["added"] == list(many[:MAX_KEPT_NAMES])


async def test_while_mongodb_is_away_the_message_waits_and_nothing_is_lost(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await offer(bench, ("left", "left/gone", "left/old"), "1.0.0")

    async def away(*_: object, **__: object) -> None:
        raise StoreAway("MongoDB did not answer")

    with monkeypatch.context() as patch:
        patch.setattr(type(bench.stores.changes), "keep", away)
        with pytest.raises(StoreAway):
            await offer(bench, ("left", "left/new"), "1.0.0", "2.0.0")
    assert (await bench.node("left"))["import_names_of"] == "1.0.0"
    await bench.serve("left", refresh=True)
    assert await told(bench) == CHANGED


async def test_if_mongodb_refuses_the_names_the_counts_are_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await offer(bench, ("left", "left/gone", "left/old"), "1.0.0")

    async def refused(*_: object, **__: object) -> None:
        raise StoreRefused("MongoDB refused a query or a document (2)")

    monkeypatch.setattr(type(bench.stores.changes), "keep", refused)
    await offer(bench, ("left", "left/new"), "1.0.0", "2.0.0")
    assert await told(bench) == CHANGED | {"added": None, "removed": None}


async def test_a_package_that_its_registry_has_no_more_keeps_its_comparison(bench: Bench) -> None:
    await change(bench)
    bench.registry.packages.clear()
    await bench.serve("left", refresh=True, removed=True, internal=True)
    assert (await bench.node("left"))["removed_at"] is not None
    assert await told(bench) == CHANGED


async def test_a_package_without_an_archive_any_more_is_not_compared(bench: Bench) -> None:
    await offer(bench, ("left", "left/old"), "1.0.0")
    bench.registry.has(replace(package("left", "1.0.0", "2.0.0"), artifacts=(), validator="another"))
    await bench.serve("left", refresh=True)
    assert await told(bench) is None
    assert "import_names_of" not in await bench.node("left")


async def test_a_release_that_declares_no_licence_does_not_keep_the_older_ones(bench: Bench) -> None:
    await offer(bench, ("left",), "1.0.0", license="MIT")
    assert (await bench.node("left"))["license"] == "MIT"
    bench.registry.archive_error = TooLarge("too large", url="x")
    await offer(bench, ("left",), "1.0.0", "2.0.0")
    assert (await bench.node("left"))["license"] == "MIT", "the archive might have declared it"
    bench.registry.archive_error = None
    await offer(bench, ("left",), "1.0.0", "2.0.0", "3.0.0")
    assert "license" not in await bench.node("left")
