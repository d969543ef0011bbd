"""This says how the made registry behaves; see `Traits`."""

from __future__ import annotations

from collections.abc import Sequence

from univers.version_range import MavenVersionRange

from tests.registry_server.maven.artifacts import MavenPackage, MavenVersion
from tests.registry_server.traits import SampleVersion, Traits


def sample(name: str, versions: Sequence[SampleVersion]) -> MavenPackage:
    def version(each: SampleVersion) -> MavenVersion:
        members = {f"org/{name}/{each.module}/Made.class": b"\xca\xfe\xba\xbe"}
        return MavenVersion(each.version, date=each.date, members=members)

    return MavenPackage(f"org.made:{name}", tuple(map(version, versions)))


TRAITS = Traits(
    sample=sample,
    name="org.made:{0}",
    document="/org/made/{}/maven-metadata.xml".format,
    archives="*/{0}-*.jar",
    archive_endings=(".jar", ".aar", ".war"),
    most_requests=3,
    empty_document=b"<metadata><versioning><versions/></versioning></metadata>",
    client_ranges=MavenVersionRange,
    hides_removals=True,
)
