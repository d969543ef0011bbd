"""A listing that needs a folder is gone on with by the daemons that share it, for an hour, then begun anew by any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from securechain_ingest.jobs.listing import Listing, is_left_to_others, whole_listing
from securechain_ingest.queue.keys import Keys
from securechain_ingest.registries.feed import FeedClass, FolderFeed
from securechain_ingest.registries.kit.folders import folder_id
from securechain_ingest.registries.maven.feed import MavenFeed
from securechain_ingest.registries.maven.names import MAVEN
from securechain_ingest.registries.npm.feed import NpmFeed
from securechain_ingest.registries.nuget import feed as nuget_feed
from securechain_ingest.registries.nuget.feed import NuGetFeed
from securechain_ingest.registries.nuget.names import NUGET
from securechain_ingest.runs import Run, new_run_id, utc_now
from securechain_ingest.schedules.board import RunRequest
from tests.registries.asking import fed
from tests.registry_server import Fault, FaultKind, Server, World, serve
from tests.registry_server.history import What, history_of
from tests.schedules.conftest import JOB, STREAM, Installation, ended, settings
from tests.waiting import until

KEYS = Keys(STREAM)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = {f"Made.Thing{number}" for number in range(120)}
ARTIFACTS = {f"org.made:thing{number}" for number in range(40)}
INDEX = "/.index/nexus-maven-repository-index.gz"
WORLD = World(
    histories={
        "nuget": history_of((name, "1.0.0", What.PUBLISHED) for name in sorted(NAMES)),
        "maven": history_of((name, "1.0", What.PUBLISHED) for name in sorted(ARTIFACTS)),
    }
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(WORLD) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults.clear()
    server.requests.clear()
    monkeypatch.setattr(nuget_feed, "PAGE_NAMES", 5)


@dataclass
class ListingDaemons:
    """These are ListingDaemons that list one registry, each with a state directory, by one clock."""

    installation: Installation
    server: Server
    home: Path
    make: FeedClass = NuGetFeed
    minutes: float = 0.0
    """So long after noon it is."""
    listed: list[tuple[str, Listing]] = field(default_factory=list)
    """This says which daemon has read the whole list, and holds the list."""

    def now(self) -> datetime:
        return NOON + timedelta(minutes=self.minutes)

    @asynccontextmanager
    async def running(self, name: str) -> AsyncIterator[None]:
        """Run a daemon with the state directory of this name."""
        folder = self.home / name
        folder.mkdir(exist_ok=True)
        ecosystem = NUGET if self.make is NuGetFeed else MAVEN
        redis, key = self.installation.redis, KEYS.listing(ecosystem.name)
        async with fed(self.make, self.server, folder) as feed:

            async def job(run: Run) -> None:
                listing = await whole_listing(
                    redis, key, feed, ecosystem, run, ttl_s=60, lease_s=30.0, reuse=None, now=self.now
                )
                self.listed.append((name, listing))

            async def other(_run: Run) -> None: ...

            async with self.installation.scheduler(
                job,
                settings(),
                lease_s=30.0,
                now=self.now,
                jobs={JOB: job, "packages_refresh": other},
                left_to_others={JOB: partial(is_left_to_others, redis, key, feed)},
            ):
                yield

    @asynccontextmanager
    async def listing(self, name: str) -> AsyncIterator[asyncio.Task[Listing]]:
        """A job of such a daemon lists, whatever its scheduler says."""
        folder = self.home / name
        folder.mkdir(exist_ok=True)
        redis, key = self.installation.redis, KEYS.listing(NUGET.name)
        run = Run(id="run", job=JOB, started_at=utc_now())
        async with fed(self.make, self.server, folder) as feed:
            reading = asyncio.create_task(
                whole_listing(redis, key, feed, NUGET, run, ttl_s=60, lease_s=30.0, reuse=None, now=self.now)
            )
            yield reading

    async def lock_was_taken(self) -> bool:
        """Somebody has looked how far the listing is."""
        return bool(await self.installation.redis.exists(f"{KEYS.listing('nuget')}:reader"))

    async def ask(self) -> None:
        """A command asks for a run."""
        await self.installation.board.request(JOB, RunRequest(new_run_id(self.now()), {}))

    async def have_looked(self) -> None:
        """All daemons that run have looked at the board, and begun what they can."""
        for _ in range(2):
            probe = new_run_id(self.now())
            await self.installation.board.request("packages_refresh", RunRequest(probe, {}))
            await until(partial(self.installation.runs.get, probe))

    async def have_listed(self) -> tuple[str, Listing]:
        await until(lambda: self.listed)
        return self.listed[-1]

    async def names(self) -> set[str]:
        [(_, listing)] = self.listed
        redis = self.installation.redis
        return {entry.name for number in range(listing.pages) for entry in await listing.page(redis, number)}

    def asked_for(self) -> list[str]:
        """Return what the registry was asked for since the last call."""
        asked = [request.target for request in self.server.requests]
        self.server.requests.clear()
        return asked

    async def break_off(self, name: str, path: str) -> list[str]:
        """Let a daemon begin to list, and stop it while it waits for this document. The result is what it asked for.

        The pages that it asks for at the same time as for this one may come to the registry after it.
        """
        self.server.faults.add(Fault(path, FaultKind.STALL, times=1))
        asked_for = PAGES if path in PAGES else {path}
        async with self.running(name):
            await self.ask()
            await until(lambda: asked_for <= {request.target for request in self.server.requests})
        self.server.faults.clear()
        return self.asked_for()


@pytest.fixture
def daemons(installation: Installation, server: Server, tmp_path: Path) -> ListingDaemons:
    return ListingDaemons(installation, server, tmp_path)


OLDEST_PAGE = "/v3/catalog0/page0.json"
PAGES = {f"/v3/catalog0/page{number}.json" for number in range(24)}
LEFT = {f"/v3/catalog0/page{number}.json" for number in range(9)}
"""Eight are asked for at once, and what the one before has is kept with the page after it."""


async def test_the_daemon_with_the_files_goes_on_and_others_leave_it_to_it_for_an_hour(daemons: ListingDaemons) -> None:
    assert PAGES.issubset(await daemons.break_off("one", OLDEST_PAGE))
    daemons.minutes = 59
    async with daemons.running("other"):
        await daemons.have_looked()
        assert daemons.asked_for() == []
        async with daemons.running("one"):
            name, _ = await daemons.have_listed()
    assert name == "one"
    assert PAGES.intersection(daemons.asked_for()) == LEFT
    assert await daemons.names() == NAMES


@pytest.mark.parametrize("name", ["one", "other"])
async def test_after_an_hour_it_is_begun_anew_by_whichever_daemon(daemons: ListingDaemons, name: str) -> None:
    await daemons.break_off("one", OLDEST_PAGE)
    daemons.minutes = 61
    async with daemons.running(name):
        await daemons.have_listed()
    assert [each for each, _ in daemons.listed] == [name]
    assert PAGES.issubset(daemons.asked_for())
    assert await daemons.names() == NAMES


async def test_a_run_that_failed_is_asked_for_again_where_the_files_are(daemons: ListingDaemons) -> None:
    daemons.server.faults.add(Fault(OLDEST_PAGE, FaultKind.STATUS, times=1))
    async with daemons.running("one"):
        await daemons.ask()
        [failed] = await ended(daemons.installation)
    assert (failed.outcome, daemons.listed) == ("failed", [])
    daemons.asked_for()
    daemons.minutes = 30
    await daemons.ask()
    async with daemons.running("other"):
        await daemons.have_looked()
        assert daemons.asked_for() == []
    async with daemons.running("one"):
        await daemons.have_listed()
    assert PAGES.intersection(daemons.asked_for()) == LEFT
    assert await daemons.names() == NAMES


async def test_two_daemons_that_share_the_state_directory_are_one_host(daemons: ListingDaemons) -> None:
    await daemons.break_off("one", OLDEST_PAGE)
    daemons.minutes = 10
    (daemons.home / "again").symlink_to(daemons.home / "one")
    async with daemons.running("again"):
        await daemons.have_listed()
    assert PAGES.intersection(daemons.asked_for()) == LEFT


async def test_a_download_that_broke_off_before_the_first_page_is_left_to_its_host_too(daemons: ListingDaemons) -> None:
    daemons.make = MavenFeed
    await daemons.break_off("one", INDEX)
    daemons.minutes = 59
    async with daemons.running("other"):
        await daemons.have_looked()
        assert daemons.asked_for() == []
        async with daemons.running("one"):
            name, _ = await daemons.have_listed()
    assert name == "one"
    assert await daemons.names() == ARTIFACTS


async def test_a_job_that_meets_another_s_listing_waits_until_it_may_begin_anew(daemons: ListingDaemons) -> None:
    await daemons.break_off("one", OLDEST_PAGE)
    await daemons.installation.redis.delete(daemons.installation.board._key("marks"))
    async with daemons.listing("other") as reading:
        await until(daemons.lock_was_taken)
        assert not reading.done()
        assert PAGES.isdisjoint(daemons.asked_for())
        daemons.minutes = 61
        assert (await reading).names >= len(NAMES)


async def test_a_listing_that_needs_no_folder_is_gone_on_with_anywhere(tmp_path: Path, server: Server) -> None:
    async with fed(NpmFeed, server, tmp_path) as npm, fed(NuGetFeed, server, tmp_path) as nuget:
        assert not isinstance(npm, FolderFeed)
        assert isinstance(nuget, FolderFeed)


def test_a_folder_has_an_id_of_its_own_which_goes_with_its_files(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    found = folder_id(one)
    assert found == folder_id(one) != folder_id(other)
    assert [path.name for path in one.iterdir()] == ["id"]
    (one / "id").write_text("")
    emptied = folder_id(one)
    assert emptied == folder_id(one) not in ("", found)
    assert folder_id(tmp_path / "missing") != folder_id(tmp_path / "missing")
