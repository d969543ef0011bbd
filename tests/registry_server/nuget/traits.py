"""This says how the made registry behaves; see `Traits`."""

from __future__ import annotations

from collections.abc import Sequence

from univers.version_range import NugetVersionRange

from tests.registry_server.nuget.assemblies import assembly
from tests.registry_server.nuget.packages import NuGetPackage, NuGetVersion
from tests.registry_server.traits import SampleVersion, Traits


def sample(name: str, versions: Sequence[SampleVersion]) -> NuGetPackage:
    def version(each: SampleVersion) -> NuGetVersion:
        members = {f"lib/netstandard2.0/{name}.dll": assembly(name, [f"{name}.{each.module}.Made"])}
        return NuGetVersion(each.version, date=each.date, members=members)

    return NuGetPackage(name, tuple(map(version, versions)))


TRAITS = Traits(
    sample=sample,
    document="/v3/registration5-gz-semver2/{}/index.json".format,
    archives="*/{0}.*.nupkg",
    archive_endings=(".nupkg",),
    most_requests=1,
    empty_document=b'{"count": 0, "items": []}',
    client_ranges=NugetVersionRange,
    removes_versions=True,
    removes_packages=True,
)
