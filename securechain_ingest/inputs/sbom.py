"""This module reads the packages that a software bill of materials names, in CycloneDX or SPDX, as JSON.

The formats are CycloneDX 1.2 to 1.6 (`components` with `purl`, also within each other), SPDX 2 (`packages` with an
external reference of type `purl`) and SPDX 3 (`@graph` with `software_packageUrl` or an external identifier of type
`packageUrl`). A bill may stand in the field `sbom` of another document, as services export it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from securechain_ingest.errors import InvalidName, Malformed
from securechain_ingest.inputs.text import decoded
from securechain_ingest.model import PackageRef
from securechain_ingest.registries import ECOSYSTEMS
from securechain_ingest.registries.kit.json_documents import loads
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
        document = loads(decoded(body).encode())
    except (UnicodeDecodeError, orjson.JSONDecodeError, MemoryError) as error:
        raise Malformed(f"{name} is not JSON ({error})", url=name) from error
    if isinstance(document, dict) and isinstance(document.get("sbom"), dict):
        document = document["sbom"]
    packages: dict[str, PackageRef] = {}
    without, others, unreadable = 0, Counter[str](), []
    for purls in _purls(document, name):
        without += not purls
        kinds = set()
        for purl in purls:
            try:
                ref, _ = named_version(purl)
            except InvalidName:
                kind = purl.removeprefix("pkg:").lstrip("/").partition("/")[0].lower()
                if kind in _KNOWN_TYPES or not purl.startswith("pkg:"):
                    unreadable.append(purl)
                else:
                    kinds.add(kind)
            else:
                packages.setdefault(ref.purl, ref)
        others.update(kinds)
    return Materials(tuple(packages.values()), without, dict(sorted(others.items())), tuple(unreadable))


def _purls(document: Any, name: str) -> Iterator[list[str]]:
    """Yield the package URLs of each component. It raises Malformed for a document of another format."""
    match document:
        case {"bomFormat": "CycloneDX"}:
            # The described component is the user's own, but what lies within it belongs to the bill.
            components = [*_list(document.get("components")), *_within_described(document)][::-1]
            while components:
                component = components.pop()
                if isinstance(component, dict):
                    components += _list(component.get("components"))[::-1]
                    yield _texts([component.get("purl")])
        case {"spdxVersion": str()}:
            for package in _list(document.get("packages")):
                if isinstance(package, dict):
                    yield _texts(_identifiers(package, "externalRefs", "referenceType", "referenceLocator"))
        case {"@graph": list(elements)}:
            for element in elements:
                if isinstance(element, dict) and element.get("type") == "software_Package":
                    others = _identifiers(element, "externalIdentifier", "externalIdentifierType", "identifier")
                    yield _texts([element.get("software_packageUrl"), *others])
        case _:
            raise Malformed(
                f"{name} is no bill of materials: CycloneDX (bomFormat) or SPDX (spdxVersion, @graph), as JSON, is one",
                url=name,
            )


def _within_described(document: Mapping[str, Any]) -> list[Any]:
    match document:
        case {"metadata": {"component": {"components": list(components)}}}:
            return components
    return []


def _identifiers(package: Mapping[str, Any], entries: str, kind: str, value: str) -> Iterator[Any]:
    """Yield what the entries of a package of SPDX call package URLs. There may be several: one for each repository that
    has it, or for each of its parts."""
    for entry in _list(package.get(entries)):
        # SPDX 2 says `purl`, or the address of its definition, and SPDX 3 `packageUrl`; programs mix them up.
        if isinstance(entry, dict) and str(entry.get(kind)).rpartition("/")[2].lower() in {"purl", "packageurl"}:
            yield entry.get(value)


def _texts(values: Iterable[Any]) -> list[str]:
    """Return each text once."""
    stripped = (value.strip() for value in values if isinstance(value, str))
    return list(dict.fromkeys(filter(None, stripped)))


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else []
