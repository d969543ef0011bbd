"""All three servers start on data that an earlier start made: this tests what is there again, and what others on the
machine can see.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from neo4j.exceptions import AuthError
from pymongo.errors import OperationFailure
from redis.exceptions import AuthenticationError

from securechain_ingest.embedded.addresses import StoreAddresses
from tests.embedded import owner
from tests.embedded.contents import Facts, drivers, read, write
from tests.stores import local_stores
from tests.waiting import PATIENCE_S


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("a folder with spaces")


@pytest.fixture(scope="module")
def first_passwords(home: Path) -> set[str]:
    """Return the passwords of a start that wrote one fact to each store."""
    with local_stores(home, owner.ALL) as addresses:
        asyncio.run(write(addresses, "acknowledged"))
    return passwords(home)


@pytest.fixture(scope="module")
def addresses(home: Path, first_passwords: set[str]) -> Iterator[StoreAddresses]:
    assert first_passwords
    with local_stores(home, owner.ALL) as addresses:
        yield addresses


def passwords(home: Path) -> set[str]:
    kept = json.loads((home / "secrets.json").read_text())
    return {value for value in kept.values() if isinstance(value, str)}


@pytest.fixture
def processes(home: Path, addresses: StoreAddresses) -> list[psutil.Process]:
    assert addresses
    found = [psutil.Process(json.loads(path.read_text())[0]) for path in home.glob("*.pid")]
    assert len(found) == 3
    return found


async def test_data_and_passwords_are_those_of_the_first_start(
    home: Path, first_passwords: set[str], addresses: StoreAddresses
) -> None:
    assert await read(addresses) == Facts(1, 1, 1)
    assert passwords(home) == first_passwords
    assert len(first_passwords) == 3


@pytest.mark.parametrize("password", ["", "wrong"])
async def test_no_store_answers_to_a_missing_or_wrong_password(addresses: StoreAddresses, password: str) -> None:
    login = f"securechain:{password}@" if password else ""
    strange = replace(
        addresses,
        redis_url=f"redis://:{password}@{(addresses.redis_url or '').partition('@')[2]}",
        graph_password=password,
        vulnerability_uri=f"mongodb://{login}{(addresses.vulnerability_uri or '').partition('@')[2]}",
    )
    async with drivers(strange) as held:
        with pytest.raises(AuthenticationError):
            await held.redis.dbsize()
        with pytest.raises(AuthError):
            await held.graph.verify_connectivity()
        with pytest.raises(OperationFailure):
            await held.facts.count_documents({})


def test_a_browser_may_turn_its_connection_to_the_graph_into_a_websocket(addresses: StoreAddresses) -> None:
    """Neo4j Browser speaks Bolt in one."""
    where = urlsplit(addresses.graph_uri or "")
    request = (
        f"GET / HTTP/1.1\r\nHost: {where.netloc}\r\nOrigin: http://localhost:7474\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with socket.create_connection((where.hostname, where.port), timeout=PATIENCE_S) as connection:
        connection.sendall(request.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    "question",
    [
        "CALL dbms.components()",
        "SHOW DATABASES",
        "CALL db.labels()",
        "CALL db.schema.visualization()",
        "CALL dbms.showCurrentUser()",
    ],
)
async def test_what_neo4j_browser_asks_first_is_answered(addresses: StoreAddresses, question: str) -> None:
    async with drivers(addresses) as held:
        records, _, _ = await held.graph.execute_query(question, database_=held.graph_database)
    assert records


def test_servers_listen_on_loopback_only(processes: list[psutil.Process]) -> None:
    for process in processes:
        listening = [entry.laddr.ip for entry in process.net_connections("inet") if entry.status == "LISTEN"]
        assert listening
        assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


def test_passwords_show_neither_in_command_lines_nor_in_logs(home: Path, processes: list[psutil.Process]) -> None:
    shown = [" ".join(process.cmdline()) for process in processes]
    logs = [path for path in home.rglob("*") if path.suffix == ".log" or ".log." in path.name]
    assert {"redis.log", "graph.log", "advisories.log"} <= {path.name for path in logs}
    shown += [path.read_text(errors="replace") for path in logs]
    assert not [password for password in passwords(home) for text in shown if password in text]


def test_other_users_can_read_no_file_of_the_servers(home: Path, addresses: StoreAddresses) -> None:
    assert addresses
    assert not [path for path in home.rglob("*") if path.stat().st_mode & 0o077]


def test_the_terminals_interrupt_does_not_reach_the_servers(processes: list[psutil.Process]) -> None:
    assert os.getsid(0) not in {os.getsid(process.pid) for process in processes}
