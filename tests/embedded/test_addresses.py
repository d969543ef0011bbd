"""This tests who holds a state directory, and how other processes find its stores."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from securechain_ingest.embedded.addresses import RUNTIME_FILE, StoreAddresses, publish, running_stores, state_lock
from securechain_ingest.embedded.servers import Secrets, redis_server
from securechain_ingest.errors import ConfigError

ADDRESSES = StoreAddresses(
    redis_url="redis://:hidden@127.0.0.1:1/0",
    graph_uri="bolt://127.0.0.1:2",
    graph_user="root",
    graph_password="hidden",
    vulnerability_uri="mongodb://user:hidden@127.0.0.1:3",
)


def test_a_second_holder_of_a_state_directory_is_refused_in_one_line_that_names_the_first(tmp_path: Path) -> None:
    with state_lock(tmp_path), pytest.raises(ConfigError) as refusal, state_lock(tmp_path):
        pytest.fail("held twice")
    message = str(refusal.value)
    assert str(tmp_path) in message
    assert str(os.getpid()) in message
    assert "\n" not in message


def test_the_lock_ends_with_a_killed_process(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from securechain_ingest.embedded.addresses import state_lock\n"
        "with state_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match=f"process {holder.pid}"), state_lock(tmp_path):
            pytest.fail("held twice")
        holder.kill()
    with state_lock(tmp_path):
        pass


def test_commands_that_look_for_a_daemon_never_keep_one_from_starting(tmp_path: Path) -> None:
    with state_lock(tmp_path):
        pass
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            running_stores(tmp_path)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(50):
            with state_lock(tmp_path):
                pass
    finally:
        over.set()
        for looker in lookers:
            looker.join()


def test_the_stores_are_found_while_their_owner_runs_and_not_after(tmp_path: Path) -> None:
    assert running_stores(tmp_path) is None
    with state_lock(tmp_path):
        assert running_stores(tmp_path) is None
        publish(tmp_path, ADDRESSES)
        assert running_stores(tmp_path) == ADDRESSES
    assert running_stores(tmp_path) is None


def test_addresses_that_a_killed_process_left_are_not_believed_while_the_next_one_starts(tmp_path: Path) -> None:
    publish(tmp_path, ADDRESSES)
    with state_lock(tmp_path):
        assert running_stores(tmp_path) is None


def test_files_with_passwords_are_this_users_only(tmp_path: Path) -> None:
    publish(tmp_path, ADDRESSES)
    known = Secrets.of(tmp_path)
    redis_server(tmp_path, known.redis, 1)
    for path in (tmp_path / RUNTIME_FILE, known.path, tmp_path / "redis" / "redis.conf"):
        assert "hidden" in path.read_text() or known.redis in path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_repr_shows_a_password(tmp_path: Path) -> None:
    known = Secrets.of(tmp_path)
    shown = repr((ADDRESSES, known, redis_server(tmp_path, known.redis, 1)))
    secrets = [value for value in json.loads(known.path.read_text()).values() if isinstance(value, str)]
    assert not [secret for secret in ["hidden", *secrets] if secret in shown]


def test_passwords_stay_the_same_for_the_same_data(tmp_path: Path) -> None:
    first, again = Secrets.of(tmp_path), Secrets.of(tmp_path)
    assert (first.redis, first.graph, first.advisories) == (again.redis, again.graph, again.advisories)
    assert len({first.redis, first.graph, first.advisories}) == 3
