"""This says how the made registry behaves; see `Traits`."""

from __future__ import annotations

from collections.abc import Sequence

from univers.version_range import NpmVersionRange

from tests.registry_server.npm.packages import NpmPackage, NpmVersion
from tests.registry_server.traits import SampleVersion, Traits


def sample(name: str, versions: Sequence[SampleVersion]) -> NpmPackage:
    def version(each: SampleVersion) -> NpmVersion:
        return NpmVersion(each.version, date=each.date, members={"index.js": b"", f"lib/{each.module}.js": b""})

    return NpmPackage(name, tuple(map(version, versions)))


TRAITS = Traits(
    sample=sample,
    document="/{}".format,
    archives="/{0}/-/*.tgz",
    archive_endings=(".tgz",),
    most_requests=1,
    empty_document=b'{"versions": {}}',
    client_ranges=NpmVersionRange,
    removes_versions=True,
    removes_packages=True,
)
