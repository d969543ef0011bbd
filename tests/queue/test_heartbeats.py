"""Each daemon tells that it lives, so that an idle one can be told from none."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner

from securechain_ingest import __version__
from securechain_ingest.cli import app
from securechain_ingest.embedded.addresses import LOCK_FILE
from securechain_ingest.queue.heartbeats import SILENT_AFTER_S, Heartbeat, daemons_seen
from securechain_ingest.queue.keys import Keys
from tests.waiting import until

STREAM = "package-extraction"
KEY = Keys(STREAM).daemons


def heartbeat(redis: Redis, name: str = "one", progress: datetime | None = None) -> Heartbeat:
    return Heartbeat(redis, STREAM, name, in_flight=lambda: 3, last_progress_at=lambda: progress)


async def age(redis: Redis, name: str, by_s: float) -> None:
    """Make it as if the daemon had last told of itself that long ago."""
    told: Any = await redis.hget(KEY, name)
    seen, _, fields = told.partition(b" ")
    await redis.hset(KEY, name, f"{int(seen) - int(by_s * 1000)} {fields.decode()}")


async def test_a_running_daemon_is_seen_until_it_stops(redis: Redis) -> None:
    async def seen() -> bool:
        return bool(await daemons_seen(redis, STREAM))

    async with anyio.create_task_group() as group:
        group.start_soon(heartbeat(redis, progress=datetime(2026, 3, 1, tzinfo=UTC)).run)
        await until(seen)
        [daemon] = await daemons_seen(redis, STREAM)
        assert (daemon.name, daemon.version, daemon.in_flight, daemon.is_up) == ("one", __version__, 3, True)
        assert daemon.last_progress_at == "2026-03-01T00:00:00Z"
        group.cancel_scope.cancel()
    assert not await seen()


async def test_a_silent_daemon_is_told_as_such_and_forgotten_after_an_hour(redis: Redis) -> None:
    for name, silent_s in (("silent", SILENT_AFTER_S + 1), ("forgotten", 3601.0)):
        await heartbeat(redis, name).beat()
        await age(redis, name, silent_s)
    await heartbeat(redis).beat()
    assert [(daemon.name, daemon.is_up) for daemon in await daemons_seen(redis, STREAM)] == [
        ("one", True),
        ("silent", False),
    ]


async def test_a_daemon_that_makes_no_progress_says_what_hangs(redis: Redis) -> None:
    hanging = Heartbeat(
        redis, STREAM, "one", in_flight=lambda: 0, last_progress_at=lambda: None, stuck=lambda: "the loop npm hangs"
    )
    await hanging.beat()
    await heartbeat(redis, "two").beat()
    assert [daemon.stuck for daemon in await daemons_seen(redis, STREAM)] == ["the loop npm hangs", None]


@pytest.mark.parametrize("entry", ["", "soon {}", "1 not JSON", '1 {"host": 1}'])
async def test_what_another_release_tells_otherwise_is_left_out(redis: Redis, entry: str) -> None:
    await heartbeat(redis).beat()
    # Not before: a beat forgets whoever told no time, or an old one.
    await redis.hset(KEY, "other", entry)
    assert [daemon.name for daemon in await daemons_seen(redis, STREAM)] == ["one"]


@pytest.mark.parametrize(
    ("holder", "code"),
    [(str(os.getpid()), 0), ("1", 1), ("", 1), (None, 0)],
    ids=["the daemon itself", "one that has been killed", "one that has ended", "nobody knows"],
)
async def test_the_health_of_a_daemon_is_not_that_of_another_one_beside_it(
    holder: str | None, code: int, redis: Redis, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a page, `health` finds the daemon of its state directory among all of the machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("SECURECHAIN_WEB__PORT", "0")
    monkeypatch.setenv("SECURECHAIN_STATE_DIR", str(tmp_path))
    if holder is not None:
        (tmp_path / LOCK_FILE).write_text(holder)
    await heartbeat(redis).beat()
    result = await anyio.to_thread.run_sync(lambda: CliRunner().invoke(app, ["health"]))
    assert result.exit_code == code, result.output
