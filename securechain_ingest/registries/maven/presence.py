"""Whether a package that has no list of versions is there all the same: its POMs tell."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from securechain_ingest.errors import NotFound, Withheld
from securechain_ingest.http.client import HttpClient
from securechain_ingest.model import PackageRef
from securechain_ingest.registries.maven.metadata import by_preference
from securechain_ingest.registries.maven.names import Coordinates, file_path, ids

_ASKED_FOR: Final = 5
"""Versions, the newest first: who takes a package away takes all of them."""


async def refuse_withheld(http: HttpClient, ref: PackageRef, versions: Collection[str], missing: NotFound) -> None:
    """Raises Withheld if a POM of these versions is there: the list may lack for good, or be written anew just now.

    Raises UpstreamError if that cannot be found out.
    """
    for version in by_preference(tuple(versions))[:_ASKED_FOR]:
        url = http.url("maven_central", file_path(Coordinates(*ids(ref), version), "pom"))
        try:
            await http.get(url)
        except NotFound:
            continue
        raise Withheld(f"{ref.registry_name} {version} is there, though {missing}", url=missing.url) from missing
