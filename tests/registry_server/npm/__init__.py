"""A made npm registry: packages spelled out by hand or generated, served as packuments and tarballs."""

from tests.registry_server.npm.packages import NpmPackage as Package
from tests.registry_server.npm.packages import NpmVersion as Version
from tests.registry_server.npm.packages import need
from tests.registry_server.npm.site import ENDPOINTS, sites

__all__ = ["ENDPOINTS", "Package", "Version", "need", "sites"]
