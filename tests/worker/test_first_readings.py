"""This tests a package that is read from the fewest requests first, one whose archives are away, and what completes
them.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from securechain_ingest.errors import ArchivesAway, NotFound, RateLimited, Unavailable, Unreachable, UpstreamError
from securechain_ingest.model import ImportNames, Package
from securechain_ingest.queue.breakers import FAILURES, Breakers
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from tests.graph.builders import NPM
from tests.worker.made import Bench, package

BREAKER = Keys("q").breaker(NPM.archives)


def at_the_archives(error: UpstreamError) -> UpstreamError:
    error.endpoint = NPM.archives
    return error


async def pending(bench: Bench, name: str) -> tuple[bool, set[str]]:
    """Return whether its archive, and which versions' requirements, have not been read."""
    node = await bench.node(name)
    rows = await bench.read(
        "MATCH (p:NPMPackage {name: $name})-[:HAVE]->(v) WHERE v.requirements_pending RETURN v.name AS name", name=name
    )
    is_due = node.get("complete_at") is not None
    found = bool(node.get("archive_pending")), {row["name"] for row in rows}
    assert is_due is (found != (False, set()))
    return found


async def end_of_pause(bench: Bench) -> None:
    await bench.stores.redis.hset(BREAKER, "open_until", 1)


async def test_a_first_reading_needs_no_archive_and_its_follow_ups_are_first_readings(bench: Bench) -> None:
    bench.registry.has(package("app", "1.0.0", "2.0.0", requires={"lib": "any"}))
    outcome = await bench.serve("app", first=True, internal=True, lane=Lane.LISTED)
    assert [(message.package, message.first) for message in outcome.queue] == [("lib", True)]
    assert (bench.registry.first_readings, bench.registry.archives_read) == (["app"], 0)
    assert await pending(bench, "app") == (True, {"1.0.0"})
    assert (await bench.node("app"))["import_names"] == ["app"]
    assert (await bench.node("app")).get("import_names_error") is None


async def test_a_pending_package_is_known_to_whoever_asks_for_no_more_and_completed_for_all_others(
    bench: Bench,
) -> None:
    bench.registry.has(package("app", "1.0.0", "2.0.0", requires={"lib": "any"}, validator='"v"'))
    file = await bench.requirement_file()
    await bench.serve("app", first=True)
    await bench.serve("app", first=True, parent_id=file)
    assert bench.registry.names_fetched == ["app"]
    assert await bench.edges_of(file) == {"pkg:npm/app": "any"}

    outcome = await bench.serve("app", parent_id=file, constraints="^1")
    assert (outcome.versions, bench.registry.archives_read) == (2, 1)
    assert await pending(bench, "app") == (False, set())
    assert (await bench.node("app"))["import_names"] == ["app", "app/more"]
    assert await bench.edges_of(file) == {"pkg:npm/app": "^1"}
    assert [each[1] for each in await bench.read.awaited()] == ["pkg:npm/app@1.0.0", "pkg:npm/app@2.0.0"]
    await bench.serve("app")
    assert bench.registry.names_fetched == ["app", "app"]


async def test_a_package_that_lacks_only_its_archive_is_completed_without_its_document(bench: Bench) -> None:
    bench.registry.has(package("app", requires={"lib": "any"}))
    file = await bench.requirement_file()
    await bench.serve("app", first=True)
    checked_at = (await bench.node("app"))["moment"]
    assert (await bench.node("app"))["pending_archive"][0] == "1.0.0"

    await bench.serve("app", parent_id=file, lane=Lane.COMPLETED)

    assert (bench.registry.names_fetched, bench.registry.archives_read) == (["app"], 1)
    assert await pending(bench, "app") == (False, set())
    node = await bench.node("app")
    assert (node["import_names"], node["import_names_of"]) == (["app", "app/more"], "1.0.0")
    assert (node.get("pending_archive"), node["moment"]) == (None, checked_at)
    assert await bench.edges_of(file) == {"pkg:npm/app": "any"}
    assert [each[1] for each in await bench.read.awaited()] == ["pkg:npm/app@1.0.0"]


async def test_whoever_asks_for_the_document_gets_it_read_whatever_is_pending(bench: Bench) -> None:
    bench.registry.has(package("app", validator='"v"'))
    await bench.serve("app", first=True)
    bench.registry.has(package("app", "1.0.0", "2.0.0", validator='"w"'))

    assert (await bench.serve("app", refresh=True)).versions == 2

    assert await pending(bench, "app") == (False, set())
    node = await bench.node("app")
    assert (node["import_names_of"], node.get("pending_archive")) == ("2.0.0", None)


async def test_a_pending_archive_that_is_gone_is_noted_and_its_document_is_read_the_next_time(bench: Bench) -> None:
    bench.registry.has(package("app"))
    await bench.serve("app", first=True)
    bench.registry.archive_error = NotFound("the archive is gone", url="http://localhost/")
    await bench.serve("app", lane=Lane.COMPLETED, attempts=1)
    assert await pending(bench, "app") == (False, set())
    assert (await bench.node("app"))["import_names_error"] == "the archive is gone"
    assert bench.registry.names_fetched == ["app"]

    bench.registry.archive_error = None
    await bench.serve("app", refresh=True)
    assert bench.registry.names_fetched == ["app", "app"]
    node = await bench.node("app")
    assert (node["import_names"], node.get("import_names_error")) == (["app", "app/more"], None)


async def test_an_archive_that_was_read_while_it_was_replaced_does_not_bring_its_names(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.registry.has(package("app"))
    await bench.serve("app", first=True)
    read = bench.registry.import_names

    async def overtaken(asked: Package) -> ImportNames:
        # Another daemon reads the package whole meanwhile.
        await bench.read(
            "MATCH (p:NPMPackage {name: 'app'}) SET p.import_names = ['new'], p.pending_archive = null,"
            " p.archive_pending = null, p.complete_at = null"
        )
        return await read(asked)

    monkeypatch.setattr(bench.registry, "import_names", overtaken)
    await bench.serve("app", lane=Lane.COMPLETED)

    assert (await bench.node("app"))["import_names"] == ["new"]


async def test_what_needs_no_registry_is_not_taken_for_known_while_it_is_pending(bench: Bench) -> None:
    bench.registry.has(package("app"))
    await bench.serve("app", first=True)
    assert await bench.link_known("app") is None
    assert await bench.link_known("app", first=True) is not None
    await bench.serve("app")
    assert await bench.link_known("app") is not None


async def test_whoever_wants_it_whole_does_not_share_a_first_reading(bench: Bench) -> None:
    bench.registry.has(package("app", "1.0.0", "2.0.0"))
    await bench.together(
        lambda: bench.serve("app", first=True),
        lambda: bench.serve("app"),
        lambda: bench.serve("app", first=True),
        lambda: bench.serve("app"),
    )
    assert bench.registry.names_fetched == ["app", "app"]
    assert bench.registry.first_readings == ["app"]
    assert await pending(bench, "app") == (False, set())


async def test_a_package_without_an_archive_has_none_pending(bench: Bench) -> None:
    bench.registry.has(replace(package("app"), artifacts=()))
    await bench.serve("app", first=True)
    assert await pending(bench, "app") == (False, set())


async def test_only_names_that_somebody_asks_for_are_remembered(bench: Bench) -> None:
    bench.registry.has(package("asked"), package("completed"))
    await bench.serve("completed", lane=Lane.COMPLETED)
    await bench.serve("asked", lane=Lane.ASKED)
    await bench.names.close()
    assert await bench.stores.redis.keys("q-import_names:*") == [b"q-import_names:npm:asked:1.0.0"]


async def test_while_the_archives_are_away_a_package_is_written_with_the_names_that_it_has(bench: Bench) -> None:
    bench.registry.has(package("old"))
    await bench.serve("old")
    bench.registry.archive_error = at_the_archives(Unreachable("nobody answers", url="http://localhost/"))
    bench.registry.has(package("old", "1.0.0", "1.1.0", validator='"next"'), package("new", requires={"lib": "any"}))
    with pytest.raises(Unreachable):
        await bench.serve("new")
    assert (await bench.serve("old", refresh=True, outages=1)).versions == 2
    outcome = await bench.serve("new", outages=1)
    assert [(message.package, message.first) for message in outcome.queue] == [("lib", False)]
    assert (await bench.node("old"))["import_names"] == ["old", "old/more"]
    assert (await bench.node("new"))["import_names"] == ["new"]
    for name in ("old", "new"):
        assert await pending(bench, name) == (True, set())
        assert (await bench.node(name)).get("import_names_error") is None, "that is no failure of the archive"

    bench.registry.archive_error = None
    assert (await bench.serve("old", lane=Lane.COMPLETED, internal=True)).versions == 2
    assert (await bench.serve("new", lane=Lane.COMPLETED, internal=True)).versions == 0, "its archive was all it lacked"
    for name in ("old", "new"):
        assert await pending(bench, name) == (False, set())
        assert (await bench.node(name))["import_names"] == [name, f"{name}/more"]


async def test_a_pause_that_the_archives_wish_is_kept_by_all_and_ends_with_one_that_succeeds(bench: Bench) -> None:
    bench.registry.has(*(package(f"app{number}") for number in range(4)))
    bench.registry.archive_error = at_the_archives(RateLimited("too fast", url="http://localhost/", delay_s=60))
    await bench.serve("app0")
    bench.registry.archive_error = None
    await bench.serve("app1")
    assert bench.registry.archives_read == 1, "nothing is asked of it"
    assert bench.registry.first_readings == ["app1"]
    with pytest.raises(ArchivesAway, match=f"{NPM.archives} is away"):
        await bench.serve("app0", lane=Lane.COMPLETED, internal=True)

    await end_of_pause(bench)
    bench.forget_what_is_known_of_the_archives()
    await bench.serve("app2")
    assert await pending(bench, "app2") == (False, set())
    assert not await bench.stores.redis.exists(BREAKER)
    await bench.serve("app0", lane=Lane.COMPLETED, internal=True)
    assert await pending(bench, "app0") == (False, set())


async def test_a_probe_that_fails_lets_the_archives_rest_longer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # So long that the time which a slow machine takes for the test makes no difference.
    monkeypatch.setattr("securechain_ingest.queue.breakers.FIRST_WAIT_S", 5e5)
    monkeypatch.setattr("securechain_ingest.queue.breakers.LONGEST_WAIT_S", 1e9)
    bench.registry.has(package("app"))
    bench.registry.archive_error = at_the_archives(RateLimited("too fast", url="http://localhost/", delay_s=None))
    await bench.serve("app")
    await end_of_pause(bench)
    bench.forget_what_is_known_of_the_archives()
    with pytest.raises(ArchivesAway):
        await bench.serve("app", lane=Lane.COMPLETED, internal=True)
    state = (await Breakers(bench.stores.redis, Keys("q")).states([NPM.archives]))[NPM.archives]
    assert 5e5 < state.open_for_s <= 1e6


async def test_one_archive_that_always_fails_is_a_matter_of_its_own_message_and_many_are_the_endpoint_s(
    bench: Bench,
) -> None:
    names = [f"app{number}" for number in range(FAILURES)]
    bench.registry.has(*map(package, names))
    bench.registry.archive_error = at_the_archives(Unavailable("status 500", url="http://localhost/"))
    for name in [names[0]] * FAILURES + names[1:-1]:
        with pytest.raises(Unavailable, match="status 500"):
            await bench.serve(name)
    assert await bench.nodes() == {}
    assert (await bench.serve(names[-1])).versions == 1
    assert await pending(bench, names[-1]) == (True, set())


async def test_documents_of_versions_that_lie_with_the_archives_wait_with_them(bench: Bench) -> None:
    bench.registry.has(package("app", "1.0.0", "2.0.0"))
    bench.registry.documents_error = at_the_archives(Unreachable("nobody answers", url="http://localhost/"))
    assert (await bench.serve("app", outages=1)).versions == 2
    assert await pending(bench, "app") == (True, {"1.0.0"})
    assert bench.registry.names_fetched == ["app", "app"]
    with pytest.raises(ArchivesAway):
        await bench.serve("app", lane=Lane.COMPLETED, internal=True, outages=1)
    bench.registry.documents_error = None
    await bench.serve("app", lane=Lane.COMPLETED, internal=True)
    assert await pending(bench, "app") == (False, set())


async def test_what_a_write_had_no_room_for_is_left_out_with_its_depth(bench: Bench) -> None:
    bench.registry.has(package("app", requires={"lib": "any"}))
    bench.has_room = False
    assert (await bench.serve("app", depth=4, first=True)).queue == ()
    [absent] = await bench.stores.graph.pending.left_out(NPM, 10)
    assert (absent.name, absent.left_out.depth, absent.left_out.first) == ("lib", 3, True)


async def test_what_nobody_wants_followed_is_not_left_out(bench: Bench) -> None:
    bench.registry.has(package("app", requires={"lib": "any"}))
    bench.has_room = False
    await bench.serve("app", depth=0)
    assert await bench.stores.graph.pending.left_out(NPM, 10) == []


MANY = tuple(f"1.{minor}.0" for minor in range(5))


async def test_somebody_who_waits_gets_a_package_of_very_many_versions_whole_portion_by_portion(bench: Bench) -> None:
    bench.registry.has(package("app", *MANY, requires={"lib": "any"}))
    bench.registry.portion = 2
    outcome = await bench.serve("app", refresh=True)
    assert ([message.package for message in outcome.queue], outcome.versions) == (["lib"], 5)
    assert await pending(bench, "app") == (False, set())
    assert (len(bench.registry.fetched), bench.registry.archives_read) == (3, 1)


async def test_what_fails_costs_one_portion_and_the_next_attempt_goes_on(bench: Bench) -> None:
    bench.registry.has(package("app", *MANY, requires={"lib": "any"}))
    bench.registry.portion = 2
    bench.registry.fails_after = 2
    with pytest.raises(Unreachable):
        await bench.serve("app")
    assert await pending(bench, "app") == (False, {"1.0.0"})
    bench.registry.fails_after = None
    outcome = await bench.serve("app", redelivered=True, attempts=1)
    assert [message.package for message in outcome.queue] == ["lib"], "it may never have been queued"
    assert await pending(bench, "app") == (False, set())
    assert (len(bench.registry.fetched), bench.registry.archives_read) == (4, 1)


async def test_where_nobody_waits_the_newest_come_first_and_the_rest_when_others_have_had_their_turn(
    bench: Bench,
) -> None:
    bench.registry.has(package("app", *MANY), package("other"))
    bench.registry.portion = 2
    await bench.serve("app", first=True, internal=True, lane=Lane.LISTED)
    await bench.serve("other", first=True, internal=True, lane=Lane.LISTED)
    for left in ({"1.0.0", "1.1.0"}, set[str]()):
        await bench.serve("app", internal=True, lane=Lane.COMPLETED)
        assert await pending(bench, "app") == (False, left)
        now = datetime.now(UTC)
        due = [each.name for each in await bench.stores.graph.pending.due(NPM, now, 1)]
        assert due == ["other"]
    assert bench.registry.archives_read == 1


async def test_two_messages_that_come_at_once_read_a_portion_each(bench: Bench) -> None:
    bench.registry.has(package("app", *MANY))
    bench.registry.portion = 2
    await bench.serve("app", first=True, internal=True, lane=Lane.LISTED)
    completing = (bench.serve("app", internal=True, lane=Lane.COMPLETED) for _ in range(2))
    await asyncio.gather(*completing)
    assert await pending(bench, "app") == (False, set())


async def test_who_asks_for_a_package_while_a_portion_of_it_is_read_gets_it_whole(bench: Bench) -> None:
    bench.registry.has(package("app", *MANY))
    bench.registry.portion = 2
    await bench.serve("app", first=True, internal=True, lane=Lane.LISTED)
    await asyncio.gather(bench.serve("app", internal=True, lane=Lane.COMPLETED), bench.serve("app"))
    assert await pending(bench, "app") == (False, set())
