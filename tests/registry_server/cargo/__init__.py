"""This is a made crates registry: crates spelled out by hand or generated, served as a sparse index and `.crate`
files.
"""

from tests.registry_server.cargo.crates import Crate, CrateDependency
from tests.registry_server.cargo.crates import CrateVersion as Version
from tests.registry_server.cargo.generate import crates as generated
from tests.registry_server.cargo.site import ENDPOINTS, sites
from tests.registry_server.cargo.traits import TRAITS

__all__ = ["ENDPOINTS", "MADE", "TRAITS", "Crate", "CrateDependency", "Version", "generated", "sites"]

MADE = Crate
"""This is the class of what is spelled out by hand or generated; see `REGISTRIES`."""
