"""This module says which names npm packages can have, and gives the identity of each.

The rules are those of npm's validate-npm-package-name. New names are lower-case and without `~'!()*`; old ones that
break this are still served under their exact spelling, so both are allowed here. Case counts: `JSONStream` is not
`jsonstream`.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from securechain_ingest.errors import InvalidName
from securechain_ingest.model import Ecosystem, PackageRef
from securechain_ingest.registries.kit.semver import version_key

NPM: Final = Ecosystem(
    name="npm",
    label="NPMPackage",
    endpoint="npm_registry",
    archives="npm_registry",
    purl_type="npm",
    osv="npm",
    version_key=version_key,
    document_has_all_but_names=True,
    import_names_version=4,
    announced=re.compile(r"[0-9]{1,18}-[!-~]{1,200}"),
)

MAX_NAME_LENGTH: Final = 214

_CHARACTERS = r"[A-Za-z0-9._~!*'()-]"
_NAME: Final = re.compile(rf"(?:@(?!\.){_CHARACTERS}+/(?!\.)|(?![._])){_CHARACTERS}+")
_RESERVED: Final = frozenset({"node_modules", "favicon.ico"})


def identify(name: str) -> PackageRef:
    """Return the identity behind a name, whose scope may have `%2F` for its slash. It raises InvalidName."""
    spelling = re.sub("%2f", "/", name, count=1, flags=re.IGNORECASE) if name.startswith("@") else name
    if len(spelling) > MAX_NAME_LENGTH or spelling.lower() in _RESERVED or not _NAME.fullmatch(spelling):
        raise InvalidName(f"{name[:MAX_NAME_LENGTH]!r} is not a name that an npm package can have")
    # The purl specification percent-encodes the @ and each part of the name; the slash separates them.
    return PackageRef(NPM, spelling, spelling.lower(), f"pkg:npm/{quote(spelling, safe='/')}")


def scope_of(ref: PackageRef) -> str | None:
    """Return the scope of a name: that of `@babel/core` is `@babel`."""
    scope, slash, _ = ref.registry_name.partition("/")
    return scope if slash else None
