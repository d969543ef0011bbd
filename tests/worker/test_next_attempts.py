"""This tests when an archive that could not be read is tried again, by the daemon itself and by whoever asks."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from securechain_ingest.jobs.backfill import BackfillOutcome
from securechain_ingest.model import PackageRef
from securechain_ingest.queue.keys import Keys
from securechain_ingest.registries import named_package
from tests.registry_server import Fault, FaultKind, Server, World, maven, npm, pypi, serve
from tests.registry_server.pypi.archives import Sdist, Wheel
from tests.stores import AdvisoryTarget, GraphTarget
from tests.worker.everything import Everything, everything

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
MOMENT = timedelta(minutes=1)
LIBRARY = {"index.js": b"", "lib/part.js": b""}
NPM_NAMES = [
    "waits",
    "exhausted",
    "insisted",
    "fresh",
    "remembered",
    "undocumented",
    "adopted",
    "older",
    "gone",
    "changes",
]


def npm_package(name: str, *more: str) -> npm.Package:
    return npm.Package(name, tuple(npm.Version(each, members=LIBRARY) for each in ("1.0.0", *more)))


def world(*more: npm.Package) -> World:
    sourced = Wheel({"sourced/__init__.py": b"", "sourced/wheel.py": b""}), Sdist({"sourced/__init__.py": b""})
    replaced = {package.name for package in more}
    return World(
        (
            *(npm_package(name) for name in NPM_NAMES if name not in replaced),
            *more,
            maven.Package("org.made:bom", (maven.Version("1.0", packaging="pom"),)),
            maven.Package("org.made:turned", (maven.Version("1.0"), maven.Version("2.0", packaging="pom"))),
            pypi.Project("empty", (pypi.ProjectRelease("1.0", files=()),)),
            pypi.Project("sourced", (pypi.ProjectRelease("1.0", files=sourced),)),
        )
    )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(world()) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(
    server: Server,
    redis_server: str,
    arcadedb_server: GraphTarget,
    advisory_server: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Everything]:
    advisories = AdvisoryTarget(advisory_server, f"tries-{uuid.uuid4().hex}")
    state_dir = tmp_path_factory.mktemp("tries")
    async with everything(server, redis_server, arcadedb_server, advisories, state_dir) as daemon:
        yield daemon


@pytest.fixture
def bench(daemon: Everything) -> Everything:
    daemon.server.faults.clear()
    return daemon


def downloads(bench: Everything, name: str) -> int:
    return bench.requests(f"/{name}/-/")


def unchanged(bench: Everything, name: str) -> int:
    """Return how often the registry has said that a package is as it was."""
    return sum(request.target == f"/{name}" and request.status == 304 for request in bench.server.requests)


async def failed(bench: Everything, name: str, status: int = 404) -> PackageRef:
    """Return a package whose archive has been tried once in vain, and goes on like this."""
    bench.server.faults.add(Fault(f"/{name}/-/*", FaultKind.STATUS, times=None, status=status))
    ref = named_package(f"npm:{name}")
    await bench.ask(ref)
    assert (await bench.marks(ref))["tries"] == 1
    return ref


async def test_that_a_package_is_unchanged_keeps_nobody_from_its_archive_when_that_is_due(bench: Everything) -> None:
    ref = await failed(bench, "waits")
    await bench.refresh_as_the_daemon(ref)
    assert (downloads(bench, "waits"), unchanged(bench, "waits")) == (1, 1)
    await bench.let_pass(ref, HOUR - MOMENT)
    assert await bench.due() == 0
    await bench.refresh_as_the_daemon(ref)
    assert (downloads(bench, "waits"), unchanged(bench, "waits")) == (1, 2), "not yet"
    await bench.let_pass(ref, MOMENT)
    await bench.refresh_as_the_daemon(ref)
    assert downloads(bench, "waits") == 2, "whoever comes by"
    bench.server.faults.clear()
    await bench.let_pass(ref, DAY)
    await bench.refresh_as_the_daemon(ref)
    assert await bench.names(ref) == ["waits", "waits/lib/part"]
    await bench.refresh_as_the_daemon(ref)
    assert (downloads(bench, "waits"), unchanged(bench, "waits")) == (3, 3), "all is well again"


async def test_an_archive_is_asked_for_after_an_hour_a_day_and_a_week_and_with_the_next_change(
    bench: Everything,
) -> None:
    ref = await failed(bench, "exhausted")
    for tries, wait in enumerate((HOUR, DAY, WEEK), 2):
        await bench.let_pass(ref, wait - MOMENT)
        assert await bench.due() == 0
        await bench.let_pass(ref, MOMENT)
        assert await bench.due() == 1
        assert (await bench.marks(ref))["tries"] == tries == downloads(bench, "exhausted")
    await bench.let_pass(ref, 10 * WEEK)
    assert await bench.due() == 0
    await bench.refresh_as_the_daemon(ref)
    assert downloads(bench, "exhausted") == 4
    assert "retry_at" not in await bench.marks(ref)

    bench.server.faults.clear()
    bench.server.replace(world(npm_package("exhausted", "1.1.0")))
    await bench.refresh_as_the_daemon(ref)
    assert await bench.names(ref) == ["exhausted", "exhausted/lib/part"]
    assert await bench.marks(ref) == {}


async def test_the_archive_of_a_new_version_has_attempts_of_its_own(bench: Everything) -> None:
    ref = await failed(bench, "changes")
    await bench.let_pass(ref, HOUR)
    assert await bench.due() == 1
    assert (await bench.marks(ref))["tries"] == 2
    bench.server.replace(world(npm_package("changes", "1.1.0")))
    await bench.refresh_as_the_daemon(ref)
    marks = await bench.marks(ref)
    assert (marks["tries"], marks["failed_version"], marks["retry_at"] - marks["tried_at"]) == (1, "1.1.0", HOUR)


async def test_whoever_asks_for_a_refresh_need_not_wait(bench: Everything) -> None:
    ref = await failed(bench, "insisted", status=500)
    await bench.ask(ref, refresh=True)
    assert ((await bench.marks(ref))["tries"], downloads(bench, "insisted")) == (1, 2), "too early to count"
    bench.server.faults.clear()
    await bench.ask(ref, refresh=True)
    assert await bench.marks(ref) == {}


async def test_a_package_that_had_no_names_gets_the_fallback_and_says_why(bench: Everything) -> None:
    with capture_logs() as logs:
        ref = await failed(bench, "fresh")
    marks = await bench.marks(ref)
    assert await bench.names(ref) == ["fresh"]
    assert "status 404" in marks["error"]
    assert marks["retry_at"] - marks["tried_at"] == HOUR
    [line] = [line for line in logs if line["event"] == "import_names_failed"]
    assert (line["package"], line["kind"], line["tries"]) == ("pkg:npm/fresh", "not_found", 1)
    assert line["next_try"] == marks["retry_at"].isoformat()
    assert line["reason"] == marks["error"]


async def test_names_that_are_remembered_need_no_archive(bench: Everything) -> None:
    ref = named_package("npm:remembered")
    await bench.ask(ref)
    bench.server.faults.add(Fault("/remembered/-/*", FaultKind.STATUS, times=None, status=404))
    await bench.set(ref, validator=None)
    await bench.refresh_as_the_daemon(ref)
    assert (await bench.marks(ref), downloads(bench, "remembered")) == ({}, 1)


async def test_names_of_another_program_are_kept_when_a_package_is_adopted(bench: Everything) -> None:
    await bench.read(
        "CREATE (:NPMPackage {name: 'adopted', import_names: ['adopted/theirs']})-[:HAVE]->(:Version {name: '1.0.0'})"
    )
    ref = await failed(bench, "adopted")
    assert await bench.names(ref) == ["adopted/theirs"]
    bench.server.faults.clear()
    await bench.let_pass(ref, HOUR)
    assert await bench.due() == 1
    assert await bench.names(ref) == ["adopted", "adopted/lib/part"]


async def test_a_package_whose_document_cannot_be_read_is_asked_for_once_a_day(bench: Everything) -> None:
    ref = await failed(bench, "undocumented")
    bench.server.faults.add(Fault("/undocumented", FaultKind.HTML, times=None))
    await bench.let_pass(ref, HOUR)
    before = bench.requests("/undocumented")
    assert await bench.queue_due() == 1
    await bench.forget_dead_letters()
    assert bench.requests("/undocumented") == before + 1
    assert await bench.queue_due() == 0
    await bench.let_pass(ref, DAY)
    assert await bench.queue_due() == 1
    await bench.forget_dead_letters()
    bench.server.faults.clear()
    await bench.let_pass(ref, DAY)
    assert await bench.due() == 1
    assert await bench.marks(ref) == {}


async def test_a_package_that_its_registry_lacks_is_not_asked_for_its_archive(bench: Everything) -> None:
    ref = await failed(bench, "gone")
    bench.server.faults.add(Fault("/gone", FaultKind.STATUS, times=None, status=404))
    await bench.refresh_as_the_daemon(ref)
    await bench.let_pass(ref, HOUR)
    assert await bench.due() == 0
    bench.server.faults.clear()
    await bench.refresh_as_the_daemon(ref)
    assert await bench.marks(ref) == {}


@pytest.mark.parametrize(
    ("name", "names"),
    [("maven:org.made:bom", ["org.made"]), ("maven:org.made:turned", ["org.made"]), ("pypi:empty", ["empty"])],
)
async def test_where_the_packaging_makes_no_archive_none_is_asked_for(
    bench: Everything, name: str, names: list[str]
) -> None:
    ref = named_package(name)
    for _ in range(2):
        await bench.ask(ref, refresh=True)
        await bench.set(ref, validator=None)
    assert (await bench.names(ref), await bench.marks(ref)) == (names, {})
    last = name.rpartition(":")[2]
    assert bench.requests(f"{last}-") == bench.requests(f"{last}-1.0.pom") + bench.requests(f"{last}-2.0.pom")


async def test_names_from_the_source_do_until_the_wheel_can_be_read(bench: Everything) -> None:
    ref = named_package("pypi:sourced")
    bench.server.faults.add(Fault("*/sourced-1.0-*.whl", FaultKind.STATUS, times=None, status=404))
    await bench.ask(ref)
    assert (await bench.names(ref), (await bench.marks(ref))["tries"]) == (["sourced"], 1)
    bench.server.faults.clear()
    await bench.let_pass(ref, HOUR)
    assert await bench.due() == 1
    assert (await bench.names(ref), await bench.marks(ref)) == (["sourced", "sourced.wheel"], {})


async def test_a_backfill_that_fails_leaves_the_version_of_the_parser_that_found_the_names(bench: Everything) -> None:
    ref = named_package("npm:older")
    await bench.ask(ref)
    await bench.service.import_names.close()
    await bench.stores.redis.delete(Keys("package-extraction").import_names("npm", "older", "1.0.0"))
    await bench.set(ref, import_names_parser=0)
    bench.server.faults.add(Fault("/older/-/*", FaultKind.DROP, times=None))
    assert (await bench.backfill(ref.ecosystem.label, older_than=1))[BackfillOutcome.DOWNLOAD_ERROR] >= 1
    node = await bench.node(ref)
    assert (node["import_names"], node["import_names_parser"]) == (["older", "older/lib/part"], 0)
    bench.server.faults.clear()
    await bench.backfill(ref.ecosystem.label, older_than=1)
    assert (await bench.node(ref))["import_names_parser"] == ref.ecosystem.import_names_version
