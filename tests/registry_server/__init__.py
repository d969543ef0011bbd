"""This serves whole package registries over real HTTP on loopback, for tests, benchmarks and people who try the
product.

    with serve(World((pypi.Project("six", (pypi.Release("1.0"),)),))) as server:
        ...  # point the product to server.endpoints(), look at server.requests

or, as a process: `python -m tests.registry_server --packages 150 --seed 1`.
"""

from tests.registry_server import cargo, maven, npm, nuget, osv, pypi, rubygems
from tests.registry_server.declarations import ExpectedPackage, ExpectedVersion, Need, same_constraints
from tests.registry_server.faults import Fault, FaultKind
from tests.registry_server.generate import Shape, generate
from tests.registry_server.server import Recorded, Server, Spawned, serve, spawn
from tests.registry_server.world import World

__all__ = [
    "ExpectedPackage",
    "ExpectedVersion",
    "Fault",
    "FaultKind",
    "Need",
    "Recorded",
    "Server",
    "Shape",
    "Spawned",
    "World",
    "cargo",
    "generate",
    "maven",
    "npm",
    "nuget",
    "osv",
    "pypi",
    "rubygems",
    "same_constraints",
    "serve",
    "spawn",
]
