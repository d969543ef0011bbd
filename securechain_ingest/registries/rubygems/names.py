"""This module says which names gems can have, and gives the identity of each.

The rules are in rubygems.org's source: a name has letters, digits, `.`, `_` and `-`. New names begin with a letter or
digit and have a letter; some old ones do not and are still served. Case counts: the registry knows `RedCloth` and no
`redcloth`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from securechain_ingest.errors import InvalidName
from securechain_ingest.model import Ecosystem, PackageRef
from securechain_ingest.registries.rubygems.versions import version_key

RUBYGEMS: Final = Ecosystem(
    name="rubygems",
    label="RubyGemsPackage",
    endpoint="rubygems_index",
    archives="rubygems_api",
    purl_type="gem",
    osv="RubyGems",
    version_key=version_key,
    import_names_version=2,
    announced=re.compile(r"[0-9a-f]{32}"),
)

MAX_NAME_LENGTH: Final = 255

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


@lru_cache(maxsize=65_536)
def identify(name: str) -> PackageRef:
    """Return the identity behind a name. It raises InvalidName."""
    if len(name) > MAX_NAME_LENGTH or not _NAME.fullmatch(name) or not name.strip("."):
        raise InvalidName(f"{name[:MAX_NAME_LENGTH]!r} is not a name that a gem can have")
    return PackageRef(RUBYGEMS, name, name.lower(), f"pkg:gem/{name}")
