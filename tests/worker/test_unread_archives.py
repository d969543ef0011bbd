"""An archive that cannot be read now costs a package no import names: every ecosystem, failure and way to ask."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
import pytest_asyncio

from securechain_ingest.model import PackageRef
from securechain_ingest.registries import DECLARATIONS, declaration_of
from tests.registry_server import Fault, Kind, Server, World, cargo, maven, npm, nuget, pypi, rubygems, serve
from tests.registry_server.nuget.assemblies import assembly
from tests.registry_server.pypi.archives import Wheel
from tests.registry_server.registered import Made
from tests.stores import AdvisoryTarget, GraphTarget
from tests.worker.everything import Everything, everything

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAULTS = {
    "is404": Fault("", Kind.STATUS, times=None, status=404),
    "is403": Fault("", Kind.STATUS, times=None, status=403),
    "is500": Fault("", Kind.STATUS, times=None, status=500),
    "html": Fault("", Kind.HTML, times=None),
    "reset": Fault("", Kind.DROP, times=None),
    "cutoff": Fault("", Kind.DROP, times=None, after_bytes=40),
    "half": Fault("", Kind.TRUNCATED, times=None),
}
WAYS = ("daemon", "ingest", "backfill")
PACKAGES = [f"{way}{fault}" for way in WAYS for fault in FAULTS]
FIRST, SECOND = "first", "second"
"""A module that the first, and one that the second version of every package adds to its root."""


@dataclass(frozen=True, slots=True)
class Sample:
    """How an ecosystem's packages are made, called and downloaded."""

    make: Callable[[str, tuple[str, ...]], Made]
    """From a name and the module of each version."""
    archives: str
    """A pattern for the paths of a package's archives."""
    name: str = "{0}"


def pypi_project(name: str, modules: tuple[str, ...]) -> pypi.Project:
    def wheel(module: str) -> Wheel:
        return Wheel({f"{name}/__init__.py": b"", f"{name}/{module}.py": b""})

    releases = (pypi.Release(f"{number}.0", files=(wheel(module),)) for number, module in enumerate(modules, 1))
    return pypi.Project(name, tuple(releases))


def npm_package(name: str, modules: tuple[str, ...]) -> npm.Package:
    return npm.Package(
        name,
        tuple(
            npm.Version(f"{number}.0.0", members={"index.js": b"", f"lib/{module}.js": b""})
            for number, module in enumerate(modules, 1)
        ),
    )


def maven_package(name: str, modules: tuple[str, ...]) -> maven.Package:
    return maven.Package(
        f"org.made:{name}",
        tuple(
            maven.Version(f"{number}.0", members={f"org/{name}/{module}/Made.class": b"\xca\xfe\xba\xbe"})
            for number, module in enumerate(modules, 1)
        ),
    )


def crate(name: str, modules: tuple[str, ...]) -> cargo.Crate:
    return cargo.Crate(
        name,
        tuple(
            cargo.Version(f"{number}.0.0", members={"src/lib.rs": f"pub mod {module} {{ pub struct Made; }}\n"})
            for number, module in enumerate(modules, 1)
        ),
    )


def gem(name: str, modules: tuple[str, ...]) -> rubygems.Gem:
    return rubygems.Gem(
        name,
        tuple(
            rubygems.Version(f"{number}.0", files=(f"lib/{name}.rb", f"lib/{name}/{module}.rb"))
            for number, module in enumerate(modules, 1)
        ),
    )


def nuget_package(name: str, modules: tuple[str, ...]) -> nuget.Package:
    def members(module: str) -> dict[str, bytes]:
        return {f"lib/netstandard2.0/{name}.dll": assembly(name, [f"{name}.{module}.Made"])}

    versions = (nuget.Version(f"{number}.0.0", members=members(module)) for number, module in enumerate(modules, 1))
    return nuget.Package(name, tuple(versions))


SAMPLES = {
    "pypi": Sample(pypi_project, "*/{0}-*.whl"),
    "npm": Sample(npm_package, "/{0}/-/*.tgz"),
    "maven": Sample(maven_package, "*/{0}-*.jar", "org.made:{0}"),
    "cargo": Sample(crate, "*/{0}-*.crate"),
    "rubygems": Sample(gem, "/gems/{0}-*.gem"),
    "nuget": Sample(nuget_package, "*/{0}.*.nupkg"),
}


def ref_of(ecosystem: str, name: str) -> PackageRef:
    return declaration_of(ecosystem).identify(SAMPLES[ecosystem].name.format(name))


def world(*modules: str) -> World:
    return World(tuple(sample.make(name, modules) for sample in SAMPLES.values() for name in PACKAGES))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(world(FIRST)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(
    server: Server,
    redis_server: str,
    arcadedb_server: GraphTarget,
    advisory_server: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Everything]:
    """Every package is in the graph with the names of its first version, and has a second one by now."""
    advisories = AdvisoryTarget(advisory_server, f"unread-{uuid.uuid4().hex}")
    state_dir = tmp_path_factory.mktemp("unread")
    async with everything(server, redis_server, arcadedb_server, advisories, state_dir) as bench:
        await bench.ingest(*(ref_of(ecosystem, name) for ecosystem in SAMPLES for name in PACKAGES))
        server.replace(world(FIRST, SECOND))
        yield bench


async def ask(bench: Everything, way: str, ref: PackageRef) -> None:
    if way == "daemon":
        await bench.ask(ref, refresh=True)
    elif way == "ingest":
        await bench.ingest(ref, refresh=True)
    else:
        await bench.set(ref, import_names_parser=0)
        assert (await bench.backfill(ref.ecosystem.label, older_than=1)).total() == 1


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("ecosystem", [declared.name for declared in DECLARATIONS])
@pytest.mark.parametrize("way", WAYS)
async def test_names_outlast_an_archive_that_cannot_be_read(
    bench: Everything, ecosystem: str, fault: str, way: str
) -> None:
    ref = ref_of(ecosystem, f"{way}{fault}")
    before = await bench.names(ref)
    assert any(FIRST in name for name in before)
    pattern = SAMPLES[ecosystem].archives.format(f"{way}{fault}")
    bench.server.faults.add(replace(FAULTS[fault], path=pattern))

    await ask(bench, way, ref)

    failed = await bench.marks(ref)
    assert await bench.names(ref) == before
    assert failed["error"]
    assert failed["failed_version"].startswith("2.")
    assert failed["tries"] == 1
    assert failed["retry_at"] - failed["tried_at"] == timedelta(hours=1)

    bench.server.faults.clear()
    if way == "daemon":
        assert await bench.due() == 0
        await bench.let_pass(ref, timedelta(hours=1))
        assert await bench.due() == 1
    else:
        await ask(bench, way, ref)

    after = await bench.names(ref)
    assert any(SECOND in name for name in after)
    assert not any(FIRST in name for name in after)
    assert await bench.marks(ref) == {}
