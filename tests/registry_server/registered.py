"""These are the made registries: there is one for each ecosystem that the product has registered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, Protocol, cast

from tests.registry_server.history import RegistryHistory
from tests.registry_server.resources import Site
from tests.registry_server.shape import SERVED, Shape
from tests.registry_server.traits import Made, Traits


class RegistryModule(Protocol):
    """This is what the folder of a made registry offers."""

    ENDPOINTS: tuple[str, ...]
    """These are the names of config.toml's table `[endpoints]` that it serves."""
    MADE: type[Any]
    """This is the class of its packages: a frozen dataclass that is a `Made`, with the fields that TRAITS names, and
    with `date_of(version)`."""
    TRAITS: Traits
    """This is what the walks over all ecosystems must know of it."""
    generated: Callable[[Shape], Sequence[Made]]
    sites: Callable[[Iterable[Any], Mapping[str, str], RegistryHistory], dict[str, Site]]


REGISTRIES: Final[Mapping[str, RegistryModule]] = {
    name: cast(RegistryModule, import_module(f"tests.registry_server.{name}")) for name in SERVED
}
"""These are the registries by the name of the ecosystem, in the order of registration."""
