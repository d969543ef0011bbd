"""This puts a real headless Chromium before the page of the demonstration's daemon, once for all tests of a process."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.browser.attack import attack
from tests.browser.pages import ASKED_ON_THE_PAGE, every_page
from tests.browser.visitor import PageVisitor, launched
from tests.conftest import REQUIRE_ALL
from tests.demo.running import Demo, demo
from tests.demo.world import KNOWN, names, world
from tests.waiting import block_until

CHROMIUM = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser"))), None)
"""The first one is the same browser without the windows that nobody sees, which take half of its processor time."""


def _missing() -> str | None:
    """Return what a machine lacks for these tests."""
    if CHROMIUM is None:
        return "there is neither chromium-headless-shell nor chromium (Debian's packages) on this machine"
    missing = [name for name in ("playwright", "axe_playwright_python") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(missing)} of the extra dev are not installed" if missing else None


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Yield the demonstration, with its well-known packages in the graph."""
    if reason := _missing():
        if REQUIRE_ALL:
            pytest.fail(reason)
        pytest.skip(reason)
    with demo(world(packages=0), tmp_path_factory.mktemp("demo") / "state") as running:
        for arguments in (
            ("submit", "--wait", *(name for name in names(KNOWN) if name != ASKED_ON_THE_PAGE)),
            ("submit", "npm:left-padd", "pypi:reqeusts"),
            ("schedules", "run", "npm_packages_updates"),
        ):
            done = running.command(*arguments)
            assert done.returncode == 0, done.stdout + done.stderr
        # By name: a job that the clock starts may end meanwhile, too.
        wanted = {"advisory_sync", "npm_packages_updates"}
        block_until(
            lambda: wanted <= {told["job"] for told in running.told("job_finished")}, "the advisories and a run"
        )
        block_until(lambda: len(running.told("message_dead_lettered")) >= 2, "what no registry has")
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(shown: Demo) -> AsyncIterator[PageVisitor]:
    """Yield a browser. What strangers write stands on the pages from the start, whichever test comes first."""
    assert CHROMIUM is not None
    await attack(shown)
    async with launched(Path(CHROMIUM), shown.address) as visitor:
        yield visitor


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(chromium: PageVisitor) -> AsyncIterator[PageVisitor]:
    """Yield nobody's page: what it asks, says and stumbles over is looked at when the test ends."""
    async with chromium.anew() as fresh:
        yield fresh
        fresh.assert_clean()


@pytest_asyncio.fixture(loop_scope="session")
async def operator(visitor: PageVisitor) -> PageVisitor:
    """Return the same, logged in."""
    await visitor.log_in()
    return visitor


@pytest_asyncio.fixture(loop_scope="session")
async def reader(chromium: PageVisitor) -> AsyncIterator[PageVisitor]:
    """Yield somebody who has logged in and before whom no page changes, so that it can be looked at for a while."""
    async with chromium.anew(is_still=True) as fresh:
        await fresh.log_in()
        yield fresh
        fresh.assert_clean()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def paths(chromium: PageVisitor) -> list[str]:
    """Return an address of every page."""
    async with chromium.anew(is_still=True) as visitor:
        await visitor.log_in()
        return await every_page(visitor)


@pytest.fixture(scope="session")
def axe(shown: Demo) -> str:
    """Return axe-core's script."""
    from axe_playwright_python.base import AXE_FILE_PATH  # A machine without it skips these tests.

    text: str = AXE_FILE_PATH.read_text(encoding="utf-8")
    return text
