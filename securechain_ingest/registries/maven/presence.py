"""A package may exist although it has no list of versions; its POMs show that."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from securechain_ingest.errors import NotFound, Withheld
from securechain_ingest.http.client import HttpClient
from securechain_ingest.model import PackageRef
from securechain_ingest.registries.maven.metadata import by_preference
from securechain_ingest.registries.maven.names import Coordinates, file_path, ids

_ASKED_FOR: Final = 5
"""So many versions are asked for, the newest first: whoever takes a package away takes all of them."""


async def refuse_withheld(http: HttpClient, ref: PackageRef, versions: Collection[str], missing: NotFound) -> None:
    """This raises Withheld if a POM of these versions exists: the list may be missing for good, or be written anew just
    now.

    It raises UpstreamError if that cannot be found out.
    """
    for version in by_preference(tuple(versions))[:_ASKED_FOR]:
        url = http.url("maven_central", file_path(Coordinates(*ids(ref), version), "pom"))
        try:
            await http.get(url)
        except NotFound:
            continue
        raise Withheld(f"{ref.registry_name} {version} is there, though {missing}", url=missing.url) from missing
