"""This makes whole registries from a seed: the same seed makes the same packages, dates, requirements and bytes."""

from __future__ import annotations

from tests.registry_server.registered import REGISTRIES
from tests.registry_server.shape import Shape
from tests.registry_server.world import World

__all__ = ["Shape", "generate"]


def generate(shape: Shape | None = None) -> World:
    """Return a world of `shape`; what the graph must hold of it is known without parsing anything."""
    shape = shape or Shape()
    return World(tuple(made for ecosystem in shape.ecosystems for made in REGISTRIES[ecosystem].generated(shape)))
