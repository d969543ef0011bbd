"""This is a made gem registry: gems spelled out by hand or generated, served as compact index, API and files."""

from tests.registry_server.rubygems.archives import gem_file
from tests.registry_server.rubygems.gems import Gem, need
from tests.registry_server.rubygems.gems import GemVersion as Version
from tests.registry_server.rubygems.generate import gems as generated
from tests.registry_server.rubygems.site import ENDPOINTS, sites
from tests.registry_server.rubygems.traits import TRAITS

__all__ = ["ENDPOINTS", "MADE", "TRAITS", "Gem", "Version", "gem_file", "generated", "need", "sites"]

MADE = Gem
"""This is the class of what is spelled out by hand or generated; see `REGISTRIES`."""
