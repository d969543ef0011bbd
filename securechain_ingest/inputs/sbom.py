"""This module reads the packages that a software bill of materials names, in CycloneDX or SPDX, as JSON.

The formats are CycloneDX 1.2 to 1.6 (`components` with `purl`, also within each other), SPDX 2 (`packages` with an
external reference of type `purl`) and SPDX 3 (`@graph` with `software_packageUrl` or an external identifier of type
`packageUrl`). A bill may stand in the field `sbom` of another document, as services export it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from securechain_ingest.errors import InvalidName, Malformed
from securechain_ingest.inputs.text import decoded
from securechain_ingest.model import PackageRef
from securechain_ingest.registries import ECOSYSTEMS
from securechain_ingest.registries.naming import named_version

_KNOWN_TYPES: Final = frozenset(ecosystem.purl_type for ecosystem in ECOSYSTEMS)


@dataclass(frozen=True, slots=True)
class Materials:
    """This is what a bill of materials names."""

    packages: tuple[PackageRef, ...]
    without_purl: int
    """So many components have no package URL."""
    others: Mapping[str, int]
    """So many components have a package type that no ecosystem of this release has, such as deb; they are counted by
    type."""
    unreadable: tuple[str, ...]
    """These package URLs do not name a package."""


def read_sbom(body: bytes, name: str) -> Materials:
    """Return what a bill names. Raise Malformed, with the file's `name`, if it is not a bill of a known format."""
    try:
        document = orjson.loads(decoded(body))
    except (UnicodeDecodeError, orjson.JSONDecodeError) as error:
        raise Malformed(f"{name} is not JSON ({error})", url=name) from error
    if isinstance(document, dict) and isinstance(document.get("sbom"), dict):
        document = document["sbom"]
    packages: dict[str, PackageRef] = {}
    without, others, unreadable = 0, Counter[str](), []
    for purl in _purls(document, name):
        if purl is None:
            without += 1
            continue
        try:
            ref, _ = named_version(purl)
        except InvalidName:
            kind = purl.removeprefix("pkg:").lstrip("/").partition("/")[0].lower()
            if kind in _KNOWN_TYPES or not purl.startswith("pkg:"):
                unreadable.append(purl)
            else:
                others[kind] += 1
        else:
            packages.setdefault(ref.purl, ref)
    return Materials(tuple(packages.values()), without, dict(sorted(others.items())), tuple(unreadable))


def _purls(document: Any, name: str) -> Iterator[str | None]:
    """Yield for each component its package URL, or None if it has none. It raises Malformed for a document of another
    format."""
    match document:
        case {"bomFormat": "CycloneDX"}:
            components = _list(document.get("components"))[::-1]
            while components:
                component = components.pop()
                if isinstance(component, dict):
                    components += _list(component.get("components"))[::-1]
                    yield _text(component.get("purl"))
        case {"spdxVersion": str()}:
            for package in _list(document.get("packages")):
                if isinstance(package, dict):
                    yield _external_purl(package)
        case {"@graph": list(elements)}:
            for element in elements:
                if isinstance(element, dict) and element.get("type") == "software_Package":
                    yield _text(element.get("software_packageUrl")) or _identified_purl(element)
        case _:
            raise Malformed(
                f"{name} is no bill of materials: CycloneDX (bomFormat) or SPDX (spdxVersion, @graph), as JSON, is one",
                url=name,
            )


def _external_purl(package: Mapping[str, Any]) -> str | None:
    for reference in _list(package.get("externalRefs")):
        # The type is written as a word or, as SPDX 2's schema has it too, as the address of its definition.
        if isinstance(reference, dict) and str(reference.get("referenceType")).rpartition("/")[2] == "purl":
            return _text(reference.get("referenceLocator"))
    return None


def _identified_purl(element: Mapping[str, Any]) -> str | None:
    for identifier in _list(element.get("externalIdentifier")):
        if isinstance(identifier, dict) and identifier.get("externalIdentifierType") == "packageUrl":
            return _text(identifier.get("identifier"))
    return None


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else []
