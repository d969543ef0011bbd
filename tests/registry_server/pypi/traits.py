"""This says how the made registry behaves; see `Traits`."""

from __future__ import annotations

from collections.abc import Sequence

from univers.version_range import PypiVersionRange

from tests.registry_server.pypi.archives import Wheel
from tests.registry_server.pypi.projects import Project, ProjectRelease
from tests.registry_server.traits import SampleVersion, Traits


def sample(name: str, versions: Sequence[SampleVersion]) -> Project:
    def wheel(module: str) -> Wheel:
        return Wheel({f"{name}/__init__.py": b"", f"{name}/{module}.py": b""})

    return Project(
        name, tuple(ProjectRelease(each.version, date=each.date, files=(wheel(each.module),)) for each in versions)
    )


TRAITS = Traits(
    sample=sample,
    document="/pypi/{}/json".format,
    archives="*/{0}-*.whl",
    archive_endings=(".whl", ".whl.metadata", ".zip", ".tar.gz"),
    most_requests=2,
    empty_document=b'{"info": {}, "releases": {}, "urls": []}',
    client_ranges=PypiVersionRange,
    versions_field="releases",
    yanks=True,
    removes_versions=True,
    removes_packages=True,
)
