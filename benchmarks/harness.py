"""This is what the benchmarks share: real servers of their own, the daemon as a process, and plain tables."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import orjson
import psutil
import redis

from securechain_ingest.ecosystem_settings import ConnectionSettings, EndpointSettings, RateSettings
from securechain_ingest.settings import HttpSettings
from tests.neo4j import server as real_neo4j
from tests.queue_contents import messages_waiting, retries_waiting
from tests.registry_server.declarations import ExpectedPackage
from tests.schedules_off import SCHEDULES_OFF
from tests.stores import GraphTarget, local_stores
from tests.waiting import block_until

STREAM = "package-extraction"
MACHINE_LOOPS, MACHINE_SECONDS = 100_000, 1.0


@contextmanager
def work_dir() -> Iterator[Path]:
    """Yield a folder for all data, which is gone at the end."""
    with TemporaryDirectory(prefix="securechain-benchmark-") as folder:
        yield Path(folder)


@contextmanager
def neo4j(home: Path) -> Iterator[GraphTarget]:
    """Yield a real Neo4j, freshly started on an empty folder."""
    with real_neo4j.neo4j_server(home) as uri:
        yield GraphTarget(uri, "neo4j", real_neo4j.PASSWORD, None, "neo4j")


@contextmanager
def arcadedb(home: Path) -> Iterator[GraphTarget]:
    """Yield the embedded graph server, freshly started on an empty folder."""
    with local_stores(home, frozenset({"graph"})) as stores:
        assert stores.graph_uri is not None
        yield GraphTarget(
            stores.graph_uri, stores.graph_user or "", stores.graph_password or "", stores.graph_database, "arcadedb"
        )


@contextmanager
def other_stores(folder: Path, graph: GraphTarget) -> Iterator[dict[str, str]]:
    """Start Redis and the advisory database beside a graph; yield the variables that point a daemon to all three.

    No package is ingested but those that are submitted.
    """
    with local_stores(folder / "stores", frozenset({"redis", "vulnerabilities"})) as stores:
        assert stores.redis_url is not None
        assert stores.vulnerability_uri is not None
        yield {
            "REDIS_URL": stores.redis_url,
            "VULN_DB_URI": stores.vulnerability_uri,
            "GRAPH_DB_URI": graph.uri,
            "GRAPH_DB_USER": graph.user,
            "GRAPH_DB_PASSWORD": graph.password,
            "SECURECHAIN_STATE_DIR": str(folder / "state"),
            **SCHEDULES_OFF,
            "SECURECHAIN_PACKAGES__DEPTH": "0",
            **({"SECURECHAIN_GRAPH__DATABASE": graph.database} if graph.database else {}),
        }


def client_settings(
    endpoints: Mapping[str, str],
) -> tuple[HttpSettings, EndpointSettings, RateSettings, ConnectionSettings]:
    """Return the HTTP client's arguments for a made registry, without rate limits."""
    rates = RateSettings.model_validate(dict.fromkeys(endpoints, "unlimited"))
    return HttpSettings(), EndpointSettings.model_validate(endpoints), rates, ConnectionSettings()


class Queue:
    """This is the daemon's queue as another program sees it; it is a context manager."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._redis = redis.Redis.from_url(environment["REDIS_URL"], decode_responses=True)

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *_: object) -> None:
        self._redis.close()

    def submit(self, packages: Iterable[ExpectedPackage], *, refresh: bool = False) -> None:
        with self._redis.pipeline(transaction=False) as pipeline:
            for package in packages:
                message = {"node_type": package.label, "package": package.registry_name, "refresh": refresh}
                pipeline.xadd(STREAM, {"data": orjson.dumps(message)})
            pipeline.execute()

    def wait_until_settled(self, timeout_s: float = 600.0) -> None:
        """Wait until every message is acknowledged and removed.

        A dead letter or a retry would make the figure a lie.
        """
        block_until(lambda: not messages_waiting(self._redis, STREAM), "an empty queue", timeout_s)
        left = retries_waiting(self._redis, STREAM), self._redis.xlen(f"{STREAM}-dlq")
        assert left == (0, 0), f"retries and dead letters: {left}"


def seconds(work: Callable[[], object]) -> float:
    started_at = time.perf_counter()
    work()
    return time.perf_counter() - started_at


def machine_ms() -> float:
    """Return the processor milliseconds of a loop that always does the same work: how fast the machine is just now.

    A virtual machine shares its cores with others, whom its own load figures do not show. Two runs compare only where
    this loop took the same time.
    """
    started_at = time.thread_time()
    total = 0
    for number in range(MACHINE_LOOPS):
        total += number * number
    return 1000 * (time.thread_time() - started_at)


@contextmanager
def machine_speed() -> Iterator[list[float]]:
    """Yield a list that gets a `machine_ms` every second until the end, and at least one."""
    found, ended = [machine_ms()], threading.Event()

    def sample() -> None:
        while not ended.wait(MACHINE_SECONDS):
            found.append(machine_ms())

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield found
    finally:
        ended.set()
        sampler.join()


def child_named(name: str) -> int:
    """Return the process id of the only process below this one that has the name."""
    [found] = [child.pid for child in psutil.Process().children(recursive=True) if child.name() == name]
    return found


def cpu_s(pid: int) -> float:
    """Return the processor seconds of a process and of those that it has started and that still run."""
    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def most_resident_mb(pid: int | str) -> float:
    """Return the most resident memory that a process has had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError(pid)


def print_header(title: str, given: str) -> None:
    """Print the title, the stated input, the date and the machine, with how fast it is (`machine_ms`)."""
    memory_gb = psutil.virtual_memory().total / 2**30
    speed_ms = median(machine_ms() for _ in range(50))
    machine = (
        f"{psutil.cpu_count()} cores, {memory_gb:.0f} GiB, Python {platform.python_version()}, loop {speed_ms:.1f} ms"
    )
    print(f"{title}\n{given}\n{datetime.now(UTC):%Y-%m-%d}, {machine}\n", flush=True)


def print_table(rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows with the same keys, in columns."""
    columns = {key: [key, *(_shown(row[key]) for row in rows)] for key in rows[0]}
    widths = {key: max(map(len, cells)) for key, cells in columns.items()}
    for number in range(len(rows) + 1):
        print("  ".join(cells[number].rjust(widths[key]) for key, cells in columns.items()), flush=True)
    print(flush=True)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
