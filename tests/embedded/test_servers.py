"""This tests the local servers as the daemon uses them, with real processes and real drivers."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import psutil
import pytest
from neo4j import AsyncGraphDatabase

from securechain_ingest.embedded import process
from securechain_ingest.embedded import stores as embedded
from securechain_ingest.embedded.addresses import running_stores
from securechain_ingest.embedded.stores import EmbeddedStores, embedded_stores
from securechain_ingest.errors import ConfigError, StoreError
from securechain_ingest.settings import EmbeddedSettings
from securechain_ingest.waits import Waits
from tests.embedded import owner
from tests.embedded.contents import Facts, children, drivers, is_running, read_line, until_gone
from tests.waiting import PATIENCE_S, until

OPTIONS = EmbeddedSettings(start_timeout_s=PATIENCE_S)
REDIS = frozenset({"redis"})


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    before = set(children())
    yield
    assert set(children()) <= before


def pid_of(stores: EmbeddedStores, name: str) -> int:
    pid = stores.pids[name]
    assert pid is not None
    return pid


def owner_process(state_dir: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.embedded.owner", str(state_dir)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


async def test_after_kill_9_of_the_owner_the_next_finds_all_data_at_once_and_no_server_stays(tmp_path: Path) -> None:
    seen: list[int] = []
    for count in (1, 2):
        with owner_process(tmp_path) as owning:
            try:
                pids = [int(pid) for pid in (await read_line(owning)).split()]
                assert len(pids) == 3
                assert not any(is_running(pid) for pid in seen)
                addresses = running_stores(tmp_path)
                assert addresses is not None
                async with drivers(addresses) as held:
                    assert await held.read() == Facts(count - 1, count - 1, count - 1)
                    await held.write(f"acknowledged {count}")
            finally:
                owning.kill()
        seen += pids
    assert running_stores(tmp_path) is None
    await until_gone(seen)


async def test_the_advisory_database_ends_with_a_sigterm_that_reaches_any_of_its_threads(tmp_path: Path) -> None:
    """The kernel chooses the thread; it seldom chooses another than the first."""
    async with embedded_stores(tmp_path, OPTIONS, needed=frozenset({"vulnerabilities"})) as stores:
        pid = pid_of(stores, "advisory database")
        last = max(thread.id for thread in psutil.Process(pid).threads())
        assert last != pid
        assert ctypes.CDLL(None).tgkill(pid, last, signal.SIGTERM) == 0
        await until_gone([pid])


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that is no server of ours."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


async def test_a_server_that_a_killed_owner_left_running_is_stopped_before_its_data_is_opened(
    tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "redis.pid").write_text(f"[{stranger.pid}, {psutil.Process(stranger.pid).create_time()!r}]")
    async with embedded_stores(tmp_path, OPTIONS, needed=REDIS) as stores:
        assert stranger.wait(0) == -signal.SIGTERM
        assert is_running(pid_of(stores, "Redis"))


async def test_a_later_process_of_the_same_number_is_left_alone(
    tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "redis.pid").write_text(f"[{stranger.pid}, 1.5]")
    async with embedded_stores(tmp_path, OPTIONS, needed=REDIS):
        assert stranger.poll() is None


async def test_servers_that_die_come_back_with_their_data_under_drivers_that_stay_open(tmp_path: Path) -> None:
    async with (
        embedded_stores(tmp_path, OPTIONS, needed=owner.ALL) as stores,
        drivers(stores.addresses) as held,
        anyio.create_task_group() as group,
    ):
        group.start_soon(stores.watch)
        await held.write("before")
        before = set(stores.pids.values())
        for name in stores.pids:
            os.kill(pid_of(stores, name), signal.SIGKILL)

        async def restarted() -> bool:
            return not before & set(stores.pids.values()) and await held.answer()

        await until(restarted, "three new servers")
        await held.write("after")
        assert await held.read() == Facts(2, 2, 2)
        group.cancel_scope.cancel()


async def test_a_server_that_keeps_dying_is_given_up_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_WAITS", Waits(first_s=0.001, longest_s=1.0))
    monkeypatch.setattr(embedded, "_WATCH_S", 0.01)
    async with embedded_stores(tmp_path, OPTIONS, needed=REDIS) as stores:
        (tmp_path / "redis" / "redis.conf").write_text("no such directive\n")
        os.kill(pid_of(stores, "Redis"), signal.SIGKILL)
        with pytest.raises(StoreError, match=r"the local Redis keeps dying.*redis\.log"):
            await stores.watch()


async def test_a_server_that_does_not_come_up_is_named_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "redis" / "appendonlydir").mkdir(parents=True)
    (tmp_path / "redis" / "appendonlydir" / "appendonly.aof.manifest").write_text("not a manifest\n")
    with pytest.raises(StoreError, match=r"the local Redis ended at once.*redis\.log ends: .*manifest"):
        async with embedded_stores(tmp_path, OPTIONS, needed=REDIS):
            pytest.fail("it cannot start")
    assert running_stores(tmp_path) is None


@pytest.mark.parametrize("after_s", [0.0, 0.3, 0.9])
async def test_a_first_start_that_is_cancelled_leaves_no_server(tmp_path: Path, after_s: float) -> None:
    before = set(children())
    with anyio.move_on_after(after_s):
        async with embedded_stores(tmp_path, OPTIONS, needed=frozenset({"vulnerabilities"})):
            await anyio.sleep_forever()
    assert set(children()) <= before
    assert not (tmp_path / "advisories.pid").exists()


async def test_a_server_that_does_not_heed_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_STOP_S", 0.1)
    async with embedded_stores(tmp_path, OPTIONS, needed=REDIS) as stores:
        pid = pid_of(stores, "Redis")
        os.kill(pid, signal.SIGSTOP)
    assert not is_running(pid)


async def test_a_log_that_grows_large_is_begun_anew_while_the_server_writes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with embedded_stores(tmp_path, OPTIONS, needed=REDIS) as stores:
        monkeypatch.setattr(process, "LOG_LIMIT_BYTES", 100)
        [server] = stores._servers
        assert server.log.stat().st_size > 100
        server.bound_log()
        assert server.log.stat().st_size == 0
    assert "Redis is now ready to exit" in server.log.read_text()
    assert "Ready to accept connections" in server.log.with_suffix(".log.1").read_text()


@pytest.mark.parametrize(
    ("store", "words"), [("redis", "Redis server"), ("graph", "graph server"), ("vulnerabilities", "advisory database")]
)
async def test_without_the_extra_one_line_says_what_is_missing_and_how_to_mend_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str, words: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(ConfigError) as refusal:
        async with embedded_stores(tmp_path, OPTIONS, needed=frozenset({store})):
            pytest.fail("nothing is installed")
    message = str(refusal.value)
    assert f"no address of a {words} is configured" in message
    assert "pip install 'securechain-ingest[embedded]'" in message
    assert "\n" not in message


async def test_a_server_listens_where_the_settings_say(tmp_path: Path) -> None:
    [port] = process.free_ports(1)
    options = OPTIONS.model_copy(update={"redis_port": port})
    async with embedded_stores(tmp_path, options, needed=REDIS) as stores:
        assert f"@127.0.0.1:{port}/" in (stores.addresses.redis_url or "")
        listening = psutil.Process(pid_of(stores, "Redis")).net_connections("tcp")
        assert [each.laddr.port for each in listening if each.status == psutil.CONN_LISTEN] == [port]


async def test_a_port_that_another_program_has_is_refused_in_one_line_before_the_data_is_touched(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        options = OPTIONS.model_copy(update={"redis_port": port})
        with pytest.raises(StoreError, match=rf"port {port} of 127\.0\.0\.1, where the local Redis .*\[embedded\]"):
            async with embedded_stores(tmp_path, options, needed=REDIS):
                pytest.fail("it cannot start")
    assert not (tmp_path / "redis.log").exists()


def test_ports_that_nobody_has_chosen_are_others_than_the_chosen_ones() -> None:
    for _ in range(20):
        first, second, third = process.chosen_ports(0, 20_001, 0)
        assert second == 20_001
        assert len({first, second, third}) == 3


async def test_a_graph_of_an_earlier_release_is_indexed_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def left_out(*_: object) -> None:
        return

    async def asked(stores: EmbeddedStores, query: str) -> list[str]:
        at = stores.addresses
        login = at.graph_user or "", at.graph_password or ""
        async with (
            AsyncGraphDatabase.driver(at.graph_uri or "", auth=login) as driver,
            driver.session(database=at.graph_database) as session,
        ):
            return [row[0] async for row in await session.run(query)]

    with monkeypatch.context() as earlier:
        earlier.setattr(embedded, "index_lists", left_out)
        async with embedded_stores(tmp_path, OPTIONS, needed=frozenset({"graph"})) as stores:
            await asked(stores, "CREATE (:NPMPackage {purl: 'pkg:npm/old', import_names: ['old/api', 'Old']})")
    found = (
        "CALL db.index.fulltext.queryNodes('NPMPackage[import_namesbyitem]', '\"old/api\"') YIELD node RETURN node.purl"
    )
    for _ in range(2):
        async with embedded_stores(tmp_path, OPTIONS, needed=frozenset({"graph"})) as stores:
            assert await asked(stores, found) == ["pkg:npm/old"]
