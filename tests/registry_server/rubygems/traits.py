"""This says how the made registry behaves; see `Traits`."""

from __future__ import annotations

from collections.abc import Sequence

from univers.version_range import GemVersionRange

from tests.registry_server.rubygems.gems import Gem, GemVersion
from tests.registry_server.traits import SampleVersion, Traits


def sample(name: str, versions: Sequence[SampleVersion]) -> Gem:
    def version(each: SampleVersion) -> GemVersion:
        return GemVersion(each.version, date=each.date, files=(f"lib/{name}.rb", f"lib/{name}/{each.module}.rb"))

    return Gem(name, tuple(map(version, versions)))


TRAITS = Traits(
    sample=sample,
    document="/info/{}".format,
    archives="/gems/{0}-*.gem",
    archive_endings=(".gem",),
    most_requests=1,
    empty_document=None,
    client_ranges=GemVersionRange,
    version_field="number",
    yanks=True,
    removes_packages=True,
)
