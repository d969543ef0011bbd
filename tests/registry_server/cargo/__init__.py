"""A made crates registry: crates spelled out by hand or generated, served as a sparse index and `.crate` files."""

from tests.registry_server.cargo.crates import Crate, Dependency
from tests.registry_server.cargo.crates import CrateVersion as Version
from tests.registry_server.cargo.site import ENDPOINTS, sites

__all__ = ["ENDPOINTS", "Crate", "Dependency", "Version", "sites"]
