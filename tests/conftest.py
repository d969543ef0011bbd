"""This starts real servers once a run, and only if a test asks for one; each test gets an empty one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, settings

from securechain_ingest.embedded import process
from tests.distribution import ByFileAndStore, arrange
from tests.kept_parsers import end_kept_parsers
from tests.neo4j import server as real_neo4j
from tests.stores import QUICK_JAVA, AdvisoryTarget, GraphTarget, empty_graph, local_stores

SHARED_FIXTURES = Path(__file__).resolve().parents[2] / "shared" / "fixtures"

# CI sets this: what a bare machine skips must run there.
REQUIRE_ALL = bool(os.environ.get("TESTS_REQUIRE_ALL"))


# How long an example takes says something of the machine and its load, nothing of the code. CI tries the same examples
# each time, so that what fails there fails because of a change; everybody else tries new ones.
settings.register_profile("whole", deadline=None, derandomize=REQUIRE_ALL, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("whole"), max_examples=10)
settings.load_profile("whole")

_SLOW_FIXTURES = frozenset(
    {"redis_server", "advisory_server", "arcadedb_server", "neo4j_server", "graph_server", "server", "osv_server"}
)
"""They start something that listens."""

_SLOW_ROOMS = frozenset(
    {"archives", "browser", "chaos", "demo", "embedded", "end_to_end", "fuzz", "hostile", "mutants", "recorded", "soak"}
    | {"registry_server_tests"}
)
"""Their tests start processes, or take their time by design."""


def pytest_configure() -> None:
    os.environ.setdefault("JDK_JAVA_OPTIONS", QUICK_JAVA)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Arrange the tests, and mark what `make check` leaves out, so that the rest is quick."""
    here = Path(__file__).parent
    arrange(items, here, config)
    for item in items:
        room = item.path.relative_to(here).parts[0]
        if room in _SLOW_ROOMS or not _SLOW_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFileAndStore:
    """Hand the tests out to the processes in this way, whatever `--dist` says."""
    return ByFileAndStore(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos-messages", type=int, default=120, help="how many messages the chaos test sends")
    parser.addoption("--chaos-minutes", type=float, default=0, help="how long the chaos test lets things fail at least")
    parser.addoption("--chaos-kills", type=int, default=4, help="behind how many effects of a message; 0: of all")
    parser.addoption("--chaos-seed", type=int, default=1, help="what the chaos test does, repeated by the same number")
    parser.addoption("--snapshot-packages", type=int, default=120, help="how many packages the snapshot test moves")
    parser.addoption("--snapshot-seed", type=int, default=1, help="what the snapshot test does, repeated by it")
    parser.addoption("--kill-rounds", type=int, default=3, help="how often the tests of random kills kill daemons")
    parser.addoption("--kill-seed", type=int, default=1, help="what these tests do, repeated by the same number")
    parser.addoption("--soak-hours", type=float, default=0.007, help="how long the soak test puts a load on a daemon")
    parser.addoption("--soak-rate", type=float, default=5, help="how many messages a second it sends")
    parser.addoption("--soak-seed", type=int, default=1, help="what it does, repeated by the same number")
    parser.addoption("--soak-folder", help="where it leaves its figures; not given: in the folder of the test")


@pytest.fixture(scope="session", autouse=True)
def ports_of_this_process() -> Iterator[None]:
    """Each process of tests has ports of its own: one never takes the port that another has just found free."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "_PORTS", process._PORTS[number::count])
        yield


@pytest.fixture(scope="session", autouse=True)
def kept_parsers() -> Iterator[None]:
    """Those that tests have left are ended with the run."""
    yield
    end_kept_parsers()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with local_stores(tmp_path_factory.mktemp("redis"), frozenset({"redis"})) as addresses:
        assert addresses.redis_url is not None
        yield addresses.redis_url


@pytest.fixture(scope="session")
def advisory_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with local_stores(tmp_path_factory.mktemp("advisories"), frozenset({"vulnerabilities"})) as addresses:
        assert addresses.vulnerability_uri is not None
        yield addresses.vulnerability_uri


@pytest.fixture(scope="session")
def arcadedb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphTarget]:
    with local_stores(tmp_path_factory.mktemp("graph"), frozenset({"graph"})) as addresses:
        uri, user, password = addresses.graph_uri, addresses.graph_user, addresses.graph_password
        assert uri is not None
        yield GraphTarget(uri, user or "", password or "", addresses.graph_database, "arcadedb")


@pytest.fixture(scope="session")
def neo4j_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphTarget]:
    reason = real_neo4j.missing()
    if reason is not None:
        if REQUIRE_ALL:
            pytest.fail(reason)
        pytest.skip(reason)
    with real_neo4j.neo4j_server(tmp_path_factory.mktemp("neo4j")) as uri:
        yield GraphTarget(uri, "neo4j", real_neo4j.PASSWORD, None, "neo4j")


@pytest.fixture(scope="session", params=["arcadedb", "neo4j"])
def graph_server(request: pytest.FixtureRequest) -> GraphTarget:
    """Return both servers in turn."""
    target: GraphTarget = request.getfixturevalue(f"{request.param}_server")
    return target


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """Return a flushed database."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushdb()
    return redis_server


@pytest.fixture
def graph_target(graph_server: GraphTarget) -> GraphTarget:
    """Return an empty graph, on both servers in turn."""
    empty_graph(graph_server)
    return graph_server


@pytest.fixture
def advisory_target(advisory_server: str) -> AdvisoryTarget:
    """Return a fresh database."""
    return AdvisoryTarget(advisory_server, f"test-{uuid.uuid4().hex}")


@pytest.fixture(scope="session")
def shared_fixtures() -> Path:
    """Return the recorded payloads beside the checkout."""
    if not SHARED_FIXTURES.is_dir():
        reason = "the recorded payloads (../shared/fixtures) are not beside this checkout"
        if REQUIRE_ALL:
            pytest.fail(reason)
        pytest.skip(reason)
    return SHARED_FIXTURES
