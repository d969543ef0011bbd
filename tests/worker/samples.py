"""Small packages of every ecosystem, of which each version adds a module of its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from securechain_ingest.model import PackageRef
from securechain_ingest.registries import declaration_of
from tests.registry_server import World, cargo, maven, npm, nuget, pypi, rubygems, serve
from tests.registry_server.nuget.assemblies import assembly
from tests.registry_server.pypi.archives import Wheel
from tests.registry_server.registered import Made
from tests.stores import AdvisoryTarget, GraphTarget
from tests.worker.everything import Everything, everything

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


@asynccontextmanager
async def with_second_versions(
    names: Sequence[str], stores: tuple[str, GraphTarget, str], state_dir: Path
) -> AsyncIterator[Everything]:
    """Every ecosystem has packages of these names in the graph with their first version, and serves a second one.

    `stores` are the addresses of Redis, of the graph and of the server of advisories.
    """

    def world(*modules: str) -> World:
        return World(tuple(sample.make(name, modules) for sample in SAMPLES.values() for name in names))

    redis_server, graph, advisory_server = stores
    advisories = AdvisoryTarget(advisory_server, f"samples-{uuid.uuid4().hex}")
    with serve(world(FIRST)) as server:
        async with everything(server, redis_server, graph, advisories, state_dir) as bench:
            await bench.ingest(*(ref_of(ecosystem, name) for ecosystem in SAMPLES for name in names))
            server.replace(world(FIRST, SECOND))
            yield bench
