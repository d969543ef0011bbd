"""Into stores on which a daemon runs nothing is imported, and a daemon does not run on stores while that goes on."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from securechain_ingest.configuration import load
from securechain_ingest.daemon import Daemon
from securechain_ingest.errors import ConfigError, SnapshotError
from securechain_ingest.queue.heartbeats import Heartbeat, daemons_seen
from securechain_ingest.queue.keys import Keys
from securechain_ingest.service import build_service
from securechain_ingest.snapshot.load import SnapshotImport
from tests.graph.builders import pypi, write
from tests.graph_digest import graph_lines
from tests.schedules_off import SCHEDULES_OFF
from tests.snapshot.conftest import WholeInstallation


@pytest.fixture
async def snapshot(source: WholeInstallation, tmp_path: Path) -> Path:
    await source.stores.graph.write([write(pypi("six"), "1.0")])
    await source.export(tmp_path / "snapshot")
    return tmp_path / "snapshot"


def heartbeat_on(target: WholeInstallation) -> Heartbeat:
    stream = target.settings.queue.stream
    return Heartbeat(target.stores.redis, stream, "a-daemon", in_flight=lambda: 0, last_progress_at=lambda: None)


async def test_nothing_is_imported_while_a_daemon_runs(target: WholeInstallation, snapshot: Path) -> None:
    await heartbeat_on(target).beat()
    with pytest.raises(SnapshotError, match="a daemon is running on these stores"):
        await target.load(snapshot)
    assert graph_lines(target.graph) == []


async def test_nothing_is_imported_if_a_daemon_starts_while_the_graph_is_looked_at(
    target: WholeInstallation, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = SnapshotImport._check_graph

    async def slow_look(self: SnapshotImport) -> None:
        await look(self)
        await heartbeat_on(target).beat()

    monkeypatch.setattr(SnapshotImport, "_check_graph", slow_look)
    with pytest.raises(SnapshotError, match="a daemon is running on these stores"):
        await target.load(snapshot)
    assert graph_lines(target.graph) == []
    # The daemon, which goes on, can be started again.
    async with build_service(target.stores, target.settings, lambda: 0):
        pass


@pytest.fixture
def daemon(target: WholeInstallation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    # Without a service manager the notifier leaves a socket to the garbage collector.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("")
        monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname().decode().replace("\0", "@"))
        with monkeypatch.context() as patch:
            for name, value in {**target.variables, **SCHEDULES_OFF}.items():
                patch.setenv(name, value)
            settings = load(None, warn=lambda _: None)
        daemon = Daemon(settings, lambda: settings, time.monotonic())
        yield daemon
        daemon._notifier.socket.close()


async def test_a_daemon_does_not_serve_if_an_import_has_begun_while_it_was_starting(
    daemon: Daemon, target: WholeInstallation
) -> None:
    redis, stream = target.stores.redis, target.settings.queue.stream
    async with build_service(target.stores, target.settings, lambda: 0) as service:
        await redis.hset(Keys(stream).snapshot_import, "id", "a-snapshot")
        unfinished = pytest.raises(ConfigError, match="import of a snapshot into these stores is unfinished")
        with unfinished, anyio.fail_after(30):
            await daemon.serve(target.stores, service, None)
    assert await daemons_seen(redis, stream) == []
