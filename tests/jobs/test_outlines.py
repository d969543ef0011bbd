"""These tests are about what is kept of each package while a whole list is compared, and what is written meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from securechain_ingest.errors import StoreError
from securechain_ingest.graph.names import PackageNames
from securechain_ingest.jobs.outlines import Outlines
from tests.graph.builders import MONDAY, pypi, version, write
from tests.jobs.feeds import FeedBench


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Outlines]:
    with closing(Outlines(tmp_path / "spool")) as held:
        yield held


def test_outlines_tell_the_state_of_each_of_many_packages(held: Outlines) -> None:
    held.add([(f"pkg:npm/{number}", number % 2 == 0, str(number), False) for number in range(3_000)])
    held.add([("pkg:npm/gone", True, "1", True), ("pkg:npm/foreign", False, None, False)])
    held.add_awaited(["pkg:npm/awaited"])

    found = dict(held.listed([f"pkg:npm/{number}" for number in range(3_000)]))
    for number in range(3_000):
        outline = found[f"pkg:npm/{number}"]
        assert (outline.is_complete, outline.is_removed) == (number % 2 == 0, False)
        assert outline.is_of(str(number))
        assert not outline.is_of(str(number + 1))
    others = dict(held.listed([f"pkg:npm/{name}" for name in ("gone", "foreign", "awaited", "other")]))
    assert {purl: (each.is_complete, each.is_removed) for purl, each in others.items()} == {
        "pkg:npm/gone": (True, True),
        "pkg:npm/foreign": (False, False),
        "pkg:npm/awaited": (False, False),
    }


def test_what_is_not_listed_is_counted_but_for_what_is_gone_already_or_only_awaited(held: Outlines) -> None:
    held.add([("pkg:npm/a", True, "1", False), ("pkg:npm/b", True, "1", False), ("pkg:npm/gone", True, "1", True)])
    held.add_awaited(["pkg:npm/awaited", "pkg:npm/b"])
    for listed in (["pkg:npm/a"], ["pkg:npm/a", "pkg:npm/awaited"]):
        assert {purl for purl, _ in held.listed(listed)} == set(listed)

    assert held.count_unlisted() == 1
    assert held.unlisted([f"pkg:npm/{name}" for name in ("a", "b", "gone", "awaited", "other")]) == {"pkg:npm/b"}


def test_the_file_of_a_comparison_has_no_name_that_a_kill_could_leave_behind(held: Outlines, tmp_path: Path) -> None:
    held.add([("pkg:npm/a", True, "1", False)])

    assert list((tmp_path / "spool").iterdir()) == []


def test_a_folder_that_cannot_keep_a_comparison_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file is in the way")

    with pytest.raises(StoreError, match=r"spool cannot keep what the graph has while a list is compared: .*exists"):
        Outlines(tmp_path / "spool")


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the purls that were looked up one by one."""
    found: list[str] = []
    states = PackageNames.states

    async def noting(self: PackageNames, ecosystem: Any, purls: Sequence[str]) -> object:
        found.extend(purls)
        return await states(self, ecosystem, purls)

    monkeypatch.setattr(PackageNames, "states", noting)
    return found


def behind_the_walk(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Awaitable[None]]) -> None:
    """Let somebody write right after the graph was walked."""
    walk = PackageNames.walk

    async def walked(self: PackageNames, ecosystem: Any) -> AsyncIterator[Any]:
        async for page in walk(self, ecosystem):
            yield page
        await work()

    monkeypatch.setattr(PackageNames, "walk", walked)


async def test_only_what_the_walk_does_not_settle_is_looked_up(bench: FeedBench, looked_up: list[str]) -> None:
    await bench.store("same", "changed", "unlisted")
    await bench.store("gone")
    await bench.graph.mark_absent(pypi("gone"), MONDAY, "gone", removed=True)
    needs = {pypi("awaited"): "any"}
    await bench.graph.write([write(pypi("parent"), version(pypi("parent"), "1.0", needs))])
    bench.feed.listed = {"same": "1", "changed": "2", "gone": "1", "awaited": "1", "unknown": "1", "parent": None}

    await bench.update(reconcile="true")

    assert sorted(looked_up) == ["pkg:pypi/awaited", "pkg:pypi/changed", "pkg:pypi/gone"]
    looked_up.clear()
    await bench.ingest()
    assert sorted(looked_up) == ["pkg:pypi/awaited", "pkg:pypi/unknown"]


async def test_a_package_that_comes_while_a_list_is_compared_is_not_queued(
    bench: FeedBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.store("a")
    bench.feed.listed = dict.fromkeys(("a", "b", "c"), "1")
    behind_the_walk(monkeypatch, lambda: bench.store("b"))

    await bench.ingest()

    assert await bench.queued_names() == ["c"]


async def test_a_state_that_comes_while_lists_are_compared_is_not_asked_for(
    bench: FeedBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.store("a", "b", "c")
    bench.feed.listed = {"a": "2", "b": "2", "c": "1"}
    behind_the_walk(monkeypatch, lambda: bench.store("a", revision="2"))

    await bench.update(reconcile="true")

    assert await bench.queued_names() == ["b"]


async def test_a_package_that_comes_while_lists_are_compared_does_not_count_as_gone(
    bench: FeedBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.store("a", "gone")
    bench.feed.listed = {"a": "1"}
    behind_the_walk(monkeypatch, lambda: bench.store("new"))

    await bench.update(reconcile="true")

    [message] = await bench.queued()
    assert (message.package, message.removed) == ("gone", True)
