"""This tests updates: what changed of the packages that the graph has is queued, and the cursor moves only behind
it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from securechain_ingest.errors import CursorLost, StoreError, TooManyRemovals, Unavailable
from securechain_ingest.jobs import updates
from securechain_ingest.jobs.comparison import ALWAYS_REMOVABLE
from securechain_ingest.queue.messages import Message
from securechain_ingest.registries.feed import Change
from securechain_ingest.runs import utc_now
from tests.graph.builders import MONDAY, PYPI, link, pypi, version, write
from tests.jobs.feeds import DAY_S, FeedBench

MANY = [f"package-{number}" for number in range(ALWAYS_REMOVABLE + 5)]


async def followed(bench: FeedBench, *names: str) -> None:
    """Make a graph with these packages, and a cursor at the feed's end."""
    await bench.store(*names)
    bench.feed.listed = dict.fromkeys(names, "1")
    await bench.update()
    await bench.forget_queue()


async def test_changes_of_known_packages_are_queued_with_what_was_announced(bench: FeedBench) -> None:
    await followed(bench, "a", "b")
    bench.feed.changed = [Change("a", "2", False), Change("unknown", "3", False)]

    run = await bench.update()

    [message] = await bench.queued()
    assert message == Message("PyPIPackage", "a", refresh=True, internal=True, at_least="2", run=run.id)
    assert (run.cursor_before, run.cursor_after) == ("0", "2")
    assert run.metrics["queued"] == 1
    assert run.metrics["changes_read"] == 2


async def test_many_changes_of_one_package_are_one_message(bench: FeedBench) -> None:
    await followed(bench, "a")
    bench.feed.changed = [Change("a", str(number), False) for number in range(2, 9)]

    await bench.update()

    [message] = await bench.queued()
    assert message.at_least == "8"


async def test_a_change_that_the_graph_has_already_is_not_queued(bench: FeedBench) -> None:
    await followed(bench, "a")
    bench.feed.changed = [Change("a", "1", False)]

    await bench.update()

    assert await bench.queued() == []


async def test_a_package_that_versions_wait_for_is_queued_once_its_registry_has_it(bench: FeedBench) -> None:
    await followed(bench, "a")
    await bench.graph.write([write(pypi("b"), version(pypi("b"), "1.0", {pypi("late"): "any", pypi("soon"): "any"}))])
    await bench.graph.mark_absent(pypi("late"), MONDAY, "not there yet", removed=False)
    bench.feed.changed = [Change("late", "5", False), Change("soon", "6", False)]

    await bench.update()

    [message] = await bench.queued()
    assert (message.package, message.refresh) == ("late", False)


async def test_the_cursor_stays_if_the_queue_does_not_take_the_changes(
    bench: FeedBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await followed(bench, "a", "b", "c")
    bench.feed.changed = [Change(name, "2", False) for name in ("a", "b", "c")]

    async def away(*_: object) -> None:
        raise StoreError("Redis is away")

    submit = type(bench.context()).submit
    monkeypatch.setattr("securechain_ingest.jobs.comparison.JobContext.submit", away)
    with pytest.raises(StoreError):
        await bench.update()
    cursor = await bench.cursors.get("pypi")
    assert cursor is not None
    assert cursor.value == "0"

    monkeypatch.setattr("securechain_ingest.jobs.comparison.JobContext.submit", submit)
    await bench.update()
    assert await bench.queued_names() == ["a", "b", "c"]


async def test_each_page_of_changes_moves_the_cursor(bench: FeedBench, monkeypatch: pytest.MonkeyPatch) -> None:
    await followed(bench, "a", "b", "c")
    bench.feed.changed = [Change(name, "2", False) for name in ("a", "b", "c")]
    read = updates.messages_of
    pages = 0

    async def failing(*arguments: object) -> object:
        nonlocal pages
        pages += 1
        if pages == 2:
            raise Unavailable("the second page cannot be read", url="made")
        return await read(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(updates, "messages_of", failing)
    with pytest.raises(Unavailable):
        await bench.update()

    cursor = await bench.cursors.get("pypi")
    assert cursor is not None
    assert cursor.value == "2"


@pytest.mark.parametrize("why", ["no cursor", "lost", "due", "asked for"])
async def test_everything_is_compared_when_changes_cannot_be_followed(bench: FeedBench, why: str) -> None:
    await followed(bench, "a", "b")
    bench.feed.listed = {"a": "2", "b": "1", "unknown": "1"}
    bench.feed.changed = [Change("unknown", "1", False)]
    bench.feeds = bench.feeds.model_copy(update={"listing_ttl_s": 1e-6})
    if why == "no cursor":
        assert await bench.cursors.reset("pypi")
    if why == "lost":
        bench.feed.forgotten = 1

    run = await bench.update(
        reconcile_s=1e-6 if why == "due" else 1000.0, **({"reconcile": "true"} if why == "asked for" else {})
    )

    [message] = await bench.queued()
    assert (message.package, message.refresh, message.at_least) == ("a", True, None)
    assert run.cursor_after == "1"
    cursor = await bench.cursors.get("pypi")
    assert cursor is not None
    assert cursor.value == "1"


async def test_what_changes_while_everything_is_compared_is_told_by_the_same_run(bench: FeedBench) -> None:
    await bench.store("a")
    bench.feed.listed = {"a": "1"}
    listing = bench.feed.listing

    async def changing(position: str) -> object:
        bench.feed.changed.append(Change("a", "2", False))
        async for page in listing(position):
            yield page

    bench.feed.listing = changing  # type: ignore[assignment,method-assign]

    run = await bench.update()

    [message] = await bench.queued()
    assert (message.package, message.at_least) == ("a", "2")
    assert run.cursor_after == "1"
    assert run.metrics["queued"] == 1


async def test_after_a_comparison_with_a_list_read_earlier_its_changes_follow_in_the_same_run(bench: FeedBench) -> None:
    await bench.store("a", "b")
    bench.feed.listed = {"a": "1", "b": "1", "new": "1"}
    await bench.ingest()
    await bench.forget_queue()
    bench.feed.changed = [Change("a", "2", False), Change("b", None, True), Change("a", "3", False)]
    pages_read = bench.feed.pages_read

    run = await bench.update()

    assert bench.feed.pages_read == pages_read
    assert [(message.package, message.at_least, message.removed) for message in await bench.queued()] == [
        ("a", "3", False),
        ("b", None, True),
    ]
    cursor = await bench.cursors.get("pypi")
    assert cursor is not None
    assert cursor.value == run.cursor_after == "3"
    assert cursor.reconciled_at is not None


async def test_a_feed_that_no_longer_reaches_back_to_the_list_leaves_the_rest_to_the_next_comparison(
    bench: FeedBench,
) -> None:
    await bench.store("a")
    bench.feed.listed = {"a": "2"}
    bench.feed.forgotten = 5

    run = await bench.update()

    assert await bench.queued_names() == ["a"]
    assert run.cursor_after == "0"


async def test_too_many_removals_since_the_list_was_read_fail_the_run_behind_the_comparison(bench: FeedBench) -> None:
    await bench.store(*MANY)
    bench.feed.listed = dict.fromkeys(MANY, "1")
    await bench.ingest()
    bench.feed.changed = [Change(name, None, True) for name in MANY]

    with pytest.raises(TooManyRemovals):
        await bench.update()

    cursor = await bench.cursors.get("pypi")
    assert cursor is not None
    assert cursor.value == "0"


async def test_a_listed_state_that_its_registry_was_asked_about_in_vain_is_not_asked_about_again(
    bench: FeedBench,
) -> None:
    await followed(bench, "a")
    bench.feeds = bench.feeds.model_copy(update={"listing_ttl_s": 1e-6})
    bench.feed.listed = {"a": "2"}
    await bench.update(reconcile="true")
    [message] = await bench.queued()
    assert (message.package, message.refresh, message.listed) == ("a", True, "2")
    await bench.forget_queue()

    # The registry confirms what the graph has, and its list goes on saying something else.
    await bench.graph.link([replace(link(pypi("a"), checked_at=MONDAY), listed="2")])
    await bench.update(reconcile="true")
    assert await bench.queued() == []

    bench.feed.listed = {"a": "3"}
    await bench.update(reconcile="true")
    assert await bench.queued_names() == ["a"]


async def test_an_absent_package_that_is_listed_and_is_not_there_is_asked_for_once_a_listed_state(
    bench: FeedBench,
) -> None:
    await bench.graph.write([write(pypi("b"), version(pypi("b"), "1.0", {pypi("late"): "any"}))])
    await bench.graph.mark_absent(pypi("late"), MONDAY, "not there yet")
    bench.feeds = bench.feeds.model_copy(update={"listing_ttl_s": 1e-6})
    bench.feed.listed = {"b": "1", "late": "5"}
    await bench.update(reconcile="true")
    assert [(message.package, message.listed) for message in await bench.queued() if message.package == "late"] == [
        ("late", "5")
    ]
    await bench.forget_queue()

    await bench.graph.mark_absent(pypi("late"), MONDAY, "no versions", listed="5")
    await bench.update(reconcile="true")
    await bench.ingest()
    assert "late" not in await bench.queued_names()

    bench.feed.listed = {"b": "1", "late": "6"}
    await bench.update(reconcile="true")
    assert "late" in await bench.queued_names()


async def test_a_package_that_is_no_longer_listed_is_asked_for_as_gone(bench: FeedBench) -> None:
    await followed(bench, "a", "b")
    bench.feeds = bench.feeds.model_copy(update={"listing_ttl_s": 1e-6})
    bench.feed.listed = {"a": "1"}

    await bench.update(reconcile="true")

    [message] = await bench.queued()
    assert (message.package, message.refresh, message.removed) == ("b", True, True)


async def test_a_package_that_was_marked_as_gone_is_not_asked_for_again_until_it_is_listed(bench: FeedBench) -> None:
    await followed(bench, "a", "b")
    await bench.graph.mark_absent(pypi("b"), MONDAY, "gone", removed=True)
    bench.feeds = bench.feeds.model_copy(update={"listing_ttl_s": 1e-6})
    bench.feed.listed = {"a": "1"}
    await bench.update(reconcile="true")
    assert await bench.queued() == []

    bench.feed.listed = {"a": "1", "b": "1"}
    await bench.update(reconcile="true")

    assert await bench.queued_names() == ["b"]


async def test_a_list_that_lacks_too_many_packages_marks_none_and_leaves_the_cursor(bench: FeedBench) -> None:
    await followed(bench, *MANY)
    bench.feeds = bench.feeds.model_copy(update={"listing_ttl_s": 1e-6})
    bench.feed.listed = {}
    bench.feed.changed = [Change("unknown", "1", False)]

    with pytest.raises(
        TooManyRemovals, match=f"{len(MANY)} or more of {len(MANY)} packages of pypi .* --allow-removals"
    ):
        await bench.update(reconcile="true")

    assert await bench.queued() == []
    cursor = await bench.cursors.get("pypi")
    assert cursor is not None
    assert cursor.value == "0"


async def test_a_feed_that_removes_too_many_packages_queues_none_of_them(bench: FeedBench) -> None:
    await followed(bench, *MANY)
    bench.feed.changed = [Change(name, None, True) for name in MANY]

    with pytest.raises(TooManyRemovals):
        await bench.update()

    assert await bench.queued() == []
    cursor = await bench.cursors.get("pypi")
    assert cursor is not None
    assert cursor.value == "0"


async def test_versions_that_a_feed_tells_as_removed_are_no_removed_packages_however_many_have_lost_one(
    bench: FeedBench,
) -> None:
    await followed(bench, *MANY)
    bench.feed.changed = [Change(name, None, removed=True, versions_only=True) for name in MANY]

    run = await bench.update()

    messages = await bench.queued()
    assert sorted(message.package for message in messages) == sorted(MANY)
    assert all(message.removed for message in messages), "the last version may be gone: its registry is to confirm it"
    assert run.cursor_after == str(len(MANY))


async def test_removals_that_somebody_has_looked_at_are_let_through(bench: FeedBench) -> None:
    await followed(bench, *MANY)
    bench.feed.changed = [Change(name, None, True) for name in MANY]

    run = await bench.update(allow_removals="true")

    assert sorted(await bench.queued_names()) == sorted(MANY)
    assert run.cursor_after == str(len(MANY))
    assert all(message.removed for message in await bench.queued())


async def test_a_lost_cursor_raises_nothing_to_the_scheduler(bench: FeedBench) -> None:
    await followed(bench, "a")
    bench.feed.forgotten = 5

    run = await bench.update()

    assert run.cursor_after == "0"
    with pytest.raises(CursorLost):
        _ = [page async for page in bench.feed.changes("0")]


@pytest.mark.parametrize(("days", "is_read_again"), [(0.5, False), (2, True)])
async def test_a_kept_list_from_before_all_that_the_feed_still_tells_is_read_again_after_a_day(
    bench: FeedBench, days: float, is_read_again: bool
) -> None:
    bench.registry.ecosystem = replace(PYPI, listing_kept_s=7 * DAY_S)
    await followed(bench, "a")
    bench.feed.listed = {"a": "1"}
    await bench.update(reconcile="true")
    read = bench.feed.pages_read
    bench.feed.changed = [Change("a", "2", False), Change("b", "1", False)]
    bench.feed.forgotten = 1
    later = utc_now() + timedelta(days=days)
    bench.now = lambda: later

    first = await bench.update()
    second = await bench.update()

    assert first.cursor_after == second.cursor_after == ("2" if is_read_again else "0")
    assert bench.feed.pages_read == read + is_read_again
