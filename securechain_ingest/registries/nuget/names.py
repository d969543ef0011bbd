"""This module says which ids NuGet packages can have, and gives the identity of each (Microsoft Learn, "nuspec
reference").

Ids are compared without regard to case. The registry's URLs want them in lower case; its documents and the advisories
have the author's spelling.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from securechain_ingest.errors import InvalidName
from securechain_ingest.model import Ecosystem, PackageRef
from securechain_ingest.registries.nuget.versions import range_key, version_key

NUGET: Final = Ecosystem(
    name="nuget",
    label="NuGetPackage",
    endpoint="nuget_api",
    archives="nuget_api",
    purl_type="nuget",
    osv="NuGet",
    version_key=version_key,
    range_key=range_key,
    name_key=str.lower,
    import_names_version=2,
    announced=re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,7})?(?:Z|\+00:00)?"),
)

MAX_ID_LENGTH: Final = 100

_ID: Final = re.compile(r"\w[\w.-]*")


@lru_cache(maxsize=65_536)
def identify(name: str) -> PackageRef:
    """Return the identity behind a package id in any case. It raises InvalidName."""
    if len(name) > MAX_ID_LENGTH or not _ID.fullmatch(name):
        raise InvalidName(f"{name[:MAX_ID_LENGTH]!r} is not an id that a NuGet package can have")
    lower = name.lower()
    return PackageRef(NUGET, name, lower, f"pkg:nuget/{quote(lower, safe='')}")
