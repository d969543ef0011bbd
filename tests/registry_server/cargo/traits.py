"""This says how the made registry behaves; see `Traits`."""

from __future__ import annotations

from collections.abc import Sequence

from univers.version_range import NpmVersionRange

from tests.registry_server.cargo.crates import Crate, CrateVersion
from tests.registry_server.traits import SampleVersion, Traits


def sample(name: str, versions: Sequence[SampleVersion]) -> Crate:
    def version(each: SampleVersion) -> CrateVersion:
        members = {"src/lib.rs": f"pub mod {each.module} {{ pub struct Made; }}\n"}
        return CrateVersion(each.version, date=each.date, members=members)

    return Crate(name, tuple(map(version, versions)))


def _document(name: str) -> str:
    return f"/{name[:2]}/{name[2:4]}/{name}"


TRAITS = Traits(
    sample=sample,
    document=_document,
    archives="*/{0}-*.crate",
    archive_endings=(".crate",),
    most_requests=1,
    empty_document=b"\n\n",
    client_ranges=NpmVersionRange,
    yanks=True,
    removes_packages=True,
)
