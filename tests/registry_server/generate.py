"""Whole registries from a seed: the same seed makes the same packages, dates, requirements and bytes."""

from __future__ import annotations

from tests.registry_server.cargo.generate import crates
from tests.registry_server.maven.generate import artifacts
from tests.registry_server.npm.generate import packages
from tests.registry_server.nuget.generate import packages as nuget_packages
from tests.registry_server.pypi.generate import projects
from tests.registry_server.rubygems.generate import gems
from tests.registry_server.shape import Shape
from tests.registry_server.world import Made, World

__all__ = ["Shape", "generate"]


def generate(shape: Shape | None = None) -> World:
    """A world of `shape`; what the graph must hold of it is known without parsing anything."""
    shape = shape or Shape()
    made: tuple[Made, ...] = ()
    if "pypi" in shape.ecosystems:
        made += tuple(projects(shape))
    if "npm" in shape.ecosystems:
        made += tuple(packages(shape))
    if "maven" in shape.ecosystems:
        made += tuple(artifacts(shape))
    if "rubygems" in shape.ecosystems:
        made += tuple(gems(shape))
    if "cargo" in shape.ecosystems:
        made += tuple(crates(shape))
    if "nuget" in shape.ecosystems:
        made += tuple(nuget_packages(shape))
    return World(made)
