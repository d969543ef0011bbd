"""Whole registries from a seed: the same seed makes the same packages, dates, requirements and bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tests.registry_server.cargo.generate import crates
from tests.registry_server.maven.generate import artifacts
from tests.registry_server.npm.generate import packages as npm_packages
from tests.registry_server.nuget.generate import packages as nuget_packages
from tests.registry_server.pypi.generate import projects
from tests.registry_server.rubygems.generate import gems
from tests.registry_server.shape import Shape
from tests.registry_server.world import Made, World

__all__ = ["Shape", "generate"]

_GENERATORS: Final[Mapping[str, Callable[[Shape], Sequence[Made]]]] = {
    "pypi": projects,
    "npm": npm_packages,
    "maven": artifacts,
    "cargo": crates,
    "rubygems": gems,
    "nuget": nuget_packages,
}


def generate(shape: Shape | None = None) -> World:
    """A world of `shape`; what the graph must hold of it is known without parsing anything."""
    shape = shape or Shape()
    return World(tuple(made for ecosystem in shape.ecosystems for made in _GENERATORS[ecosystem](shape)))
