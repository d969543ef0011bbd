"""This is a made NuGet registry: packages by hand or generated, served as service index, registrations and nupkgs."""

from tests.registry_server.nuget.assemblies import AssemblyType, assembly, native_library
from tests.registry_server.nuget.generate import packages as generated
from tests.registry_server.nuget.packages import DependencyGroup, need, nupkg
from tests.registry_server.nuget.packages import NuGetPackage as Package
from tests.registry_server.nuget.packages import NuGetVersion as Version
from tests.registry_server.nuget.site import ENDPOINTS, sites
from tests.registry_server.nuget.traits import TRAITS

__all__ = [
    "ENDPOINTS",
    "MADE",
    "TRAITS",
    "AssemblyType",
    "DependencyGroup",
    "Package",
    "Version",
    "assembly",
    "generated",
    "native_library",
    "need",
    "nupkg",
    "sites",
]

MADE = Package
"""This is the class of what is spelled out by hand or generated; see `REGISTRIES`."""
