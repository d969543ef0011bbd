"""This module says who a package is: the registry's own spelling of its name, and the purls of its versions."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from securechain_ingest.errors import InvalidName, Malformed
from securechain_ingest.model import PackageRef


def own_spelling(name: object, ref: PackageRef, identify: Callable[[str], PackageRef], url: str) -> PackageRef:
    """Return the identity of `ref`, with the name as the registry's document at `url` spells it.

    Two spellings are one name if the ecosystem's `name_key` of their lower case is equal. It raises Malformed if the
    document is about another package.
    """
    if name == ref.registry_name:
        return ref
    same = ref.ecosystem.name_key
    if not isinstance(name, str) or same(name.lower()) != same(ref.name):
        raise Malformed(f"the registry answered with {name!r} when asked for {ref.registry_name}", url=url)
    try:
        return identify(name)
    except InvalidName as error:
        raise Malformed(f"the registry names {ref.registry_name} otherwise: {error}", url=url) from error


def version_purl(ref: PackageRef, version: str) -> str:
    """Return a version's purl: the package's, then `@` and the version, percent-encoded as the purl specification
    demands."""
    return f"{ref.purl}@{quote(version, safe=':')}"
