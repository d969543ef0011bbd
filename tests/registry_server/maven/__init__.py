"""This is a made Maven repository: artifacts spelled out by hand or generated, served as metadata, POMs, jars and
folders.
"""

from tests.registry_server.maven.artifacts import MavenPackage as Package
from tests.registry_server.maven.artifacts import MavenVersion as Version
from tests.registry_server.maven.artifacts import dependency, need
from tests.registry_server.maven.generate import artifacts as generated
from tests.registry_server.maven.site import ENDPOINTS, sites
from tests.registry_server.maven.traits import TRAITS

__all__ = ["ENDPOINTS", "MADE", "TRAITS", "Package", "Version", "dependency", "generated", "need", "sites"]

MADE = Package
"""This is the class of what is spelled out by hand or generated; see `REGISTRIES`."""
