"""These are the made registries: there is one for each ecosystem that the product has registered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, Protocol, cast

from tests.registry_server.declarations import ExpectedPackage
from tests.registry_server.history import History
from tests.registry_server.resources import Site
from tests.registry_server.shape import SERVED, Shape


class Made(Protocol):
    """This is a made package of any ecosystem."""

    def truth(self) -> ExpectedPackage:
        """Return what the graph must hold of it."""


class RegistryModule(Protocol):
    """This is what the folder of a made registry offers."""

    ENDPOINTS: tuple[str, ...]
    """These are the names of config.toml's table `[endpoints]` that it serves."""
    MADE: type[Any]
    """This is the class of its packages."""
    generated: Callable[[Shape], Sequence[Made]]
    sites: Callable[[Iterable[Any], Mapping[str, str], History], dict[str, Site]]


REGISTRIES: Final[Mapping[str, RegistryModule]] = {
    name: cast(RegistryModule, import_module(f"tests.registry_server.{name}")) for name in SERVED
}
"""These are the registries by the name of the ecosystem, in the order of registration."""
