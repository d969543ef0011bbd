"""This serves small packages of every ecosystem, of which each version adds a module of its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from securechain_ingest.model import PackageRef
from securechain_ingest.registries import declaration_of
from tests.registry_server import World, serve
from tests.registry_server.registered import REGISTRIES
from tests.registry_server.traits import numbered_versions
from tests.stores import AdvisoryTarget, GraphTarget
from tests.worker.everything import Everything, everything

FIRST, SECOND = "module1", "module2"
"""The first version of every package adds the one module to its root, and the second version the other."""


def ref_of(ecosystem: str, name: str) -> PackageRef:
    return declaration_of(ecosystem).identify(REGISTRIES[ecosystem].TRAITS.name.format(name))


def version_of(ecosystem: str, number: int) -> str:
    """Return the name of the first or the second version of every package."""
    return REGISTRIES[ecosystem].TRAITS.version(number)


def archives_of(ecosystem: str, name: str) -> str:
    """Return a pattern for the paths of a package's archives."""
    return REGISTRIES[ecosystem].TRAITS.archives.format(name)


@asynccontextmanager
async def with_second_versions(
    names: Sequence[str], stores: tuple[str, GraphTarget, str], state_dir: Path
) -> AsyncIterator[Everything]:
    """Every ecosystem has packages of these names in the graph with their first version, and serves a second one.

    `stores` are the addresses of Redis, of the graph and of the server of advisories.
    """

    def world(*numbers: int) -> World:
        every = [registry.TRAITS for registry in REGISTRIES.values()]
        return World(
            tuple(traits.sample(name, numbered_versions(traits, *numbers)) for traits in every for name in names)
        )

    redis_server, graph, advisory_server = stores
    advisories = AdvisoryTarget(advisory_server, f"samples-{uuid.uuid4().hex}")
    with serve(world(1)) as server:
        async with everything(server, redis_server, graph, advisories, state_dir) as bench:
            await bench.ingest(*(ref_of(ecosystem, name) for ecosystem in REGISTRIES for name in names))
            server.replace(world(1, 2))
            yield bench
