"""This module says under which names advisories speak of a package. Its functions are pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, Final

from securechain_ingest.model import Ecosystem, PackageRef

_SEPARATORS: Final = "-_."
_MAX_SPELLINGS: Final = 1_024

_RUN_OF_SEPARATORS: Final = re.compile(r"[-_.]+")


def lookup_key(name: str) -> str:
    """Return a key that is equal for all spellings of a name in any ecosystem. It is also equal for some names of
    different packages."""
    return _RUN_OF_SEPARATORS.sub("-", name.strip()).lower()


def spellings(ref: PackageRef) -> frozenset[str]:
    """Return how advisories may spell a package, apart from the case: as its registry does, or with other separators.

    Only names that mean the same package in its ecosystem are included. If a name has very many separators, not every
    mixture of them is included, and a doubled separator never is. `lookup_key` finds those.
    """
    return frozenset(variants(ref.ecosystem, ref.registry_name))


def variants(ecosystem: Ecosystem, name: str) -> Iterator[str]:
    """Yield the spelling itself, its normal form, and every mixture of separators that the ecosystem treats as the
    same."""
    key = ecosystem.name_key(name)
    yield from (name, key)
    # Most ecosystems tell all separators apart.
    same = [each for each in _SEPARATORS if ecosystem.name_key(f"a{each}b") == ecosystem.name_key("a-b")]
    if len(same) == 1:
        return
    parts = re.split("[" + re.escape("".join(same)) + "]", key)
    gaps = len(parts) - 1
    mixtures = product(same, repeat=gaps) if len(same) ** gaps <= _MAX_SPELLINGS else ((each,) * gaps for each in same)
    for separators in mixtures:
        spelling = parts[0] + "".join(between + part for between, part in zip(separators, parts[1:], strict=True))
        if ecosystem.name_key(spelling) == key:
            yield spelling


def packages(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (ecosystem, name) of everything that a document says is affected, as often as the document says so.

    The suffix of a repository (`Maven:https://...`) does not change the ecosystem and is left out.
    """
    affected = document.get("affected")
    for element in affected if isinstance(affected, list | tuple) else ():
        if (package := affected_package(element)) is not None:
            yield package


def affected_package(element: Any) -> tuple[str, str] | None:
    """Return (ecosystem, name) of one element of `affected`, or None if the element has none. Elements about Git
    repositories have none."""
    package = element.get("package") if isinstance(element, Mapping) else None
    if not isinstance(package, Mapping):
        return None
    ecosystem, name = package.get("ecosystem"), package.get("name")
    if not isinstance(ecosystem, str) or not isinstance(name, str):
        return None
    return ecosystem.partition(":")[0].strip(), name.strip()
