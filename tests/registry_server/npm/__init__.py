"""This is a made npm registry: packages spelled out by hand or generated, served as packuments and tarballs."""

from tests.registry_server.npm.generate import packages as generated
from tests.registry_server.npm.packages import NpmPackage as Package
from tests.registry_server.npm.packages import NpmVersion as Version
from tests.registry_server.npm.packages import need
from tests.registry_server.npm.site import ENDPOINTS, sites
from tests.registry_server.npm.traits import TRAITS

__all__ = ["ENDPOINTS", "MADE", "TRAITS", "Package", "Version", "generated", "need", "sites"]

MADE = Package
"""This is the class of what is spelled out by hand or generated; see `REGISTRIES`."""
