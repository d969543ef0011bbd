"""This tests `cursors show|reset`, as a user types them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from securechain_ingest.jobs.cursors import Cursors
from tests.end_to_end.daemon_process import without_settings
from tests.forked_product import run

Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ask(redis_url: str) -> Ask:
    def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run("cursors", *arguments, environment=without_settings() | {"REDIS_URL": redis_url})

    return ask


@pytest.fixture
async def cursors(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        held = Cursors(redis, "package-extraction")
        await held.move("npm", "122786079", "run-1", reconciled=True)
        await held.move("osv:PyPI", '["2026-08-01T00:00:00Z", null]', "run-2")


@pytest.mark.usefixtures("cursors")
def test_cursors_are_shown_with_their_ages(ask: Ask) -> None:
    answer = ask("show")

    assert answer.returncode == 0
    # They are only as old as this test: its machine decides whether that is a second or more.
    assert re.sub(r"(\d+ \w+|less than a second) ago", "now", answer.stdout).splitlines() == [
        "npm            moved now, compared now: 122786079",
        'osv:PyPI       moved now, never compared: ["2026-08-01T00:00:00Z", null]',
    ]
    assert json.loads(ask("show", "--json").stdout)["npm"]["value"] == "122786079"


@pytest.mark.usefixtures("cursors")
def test_a_cursor_that_is_reset_is_gone_and_the_others_stay(ask: Ask) -> None:
    assert ask("reset", "npm").stdout == "npm: forgotten\n"
    assert list(json.loads(ask("show", "--json").stdout)) == ["osv:PyPI"]

    again = ask("reset", "npm")
    assert (again.returncode, again.stderr) == (1, "npm: there is no such cursor\n")
    assert ask("reset", "--all").returncode == 0
    assert ask("show").stdout.startswith("no cursors yet")


def test_reset_wants_to_know_which(ask: Ask) -> None:
    answer = ask("reset")

    assert answer.returncode == 2
    assert "--all" in answer.stderr
    assert "Traceback" not in answer.stderr
