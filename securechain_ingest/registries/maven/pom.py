"""This module reads one POM as it was published, with its active profiles merged into it (maven.apache.org, "POM
Reference").

Nothing is inherited or interpolated yet; `effective` does that. Only what the graph needs of a POM is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from lxml import etree

from securechain_ingest.errors import Malformed
from securechain_ingest.registries.maven.model_values import Values, model_values, texts_of
from securechain_ingest.registries.maven.names import Coordinates
from securechain_ingest.registries.maven.profiles import active_profiles
from securechain_ingest.registries.maven.xml import children, entries, local_name, parse_xml, text_of

Key: TypeAlias = tuple[str, str, str, str | None]
"""Dependencies are managed and merged by these: group id, artifact id, type, classifier."""


class Dependency(NamedTuple):
    """This is one entry of `dependencies` or `dependencyManagement`; a BOM has thousands. None means that the
    element is missing."""

    group_id: str
    artifact_id: str
    version: str | None
    type: str
    classifier: str | None
    """An empty one means none as well, and yet makes another key."""
    scope: str | None
    """An empty one means compile and is not managed."""
    optional: str | None

    @property
    def key(self) -> Key:
        return self.group_id, self.artifact_id, self.type, self.classifier


Managed: TypeAlias = tuple[tuple[Key, Dependency], ...]
"""The entries are in their order, in which a key may repeat."""


class Relocation(NamedTuple):
    """An artifact has moved there; what is None stays as it was."""

    group_id: str | None
    artifact_id: str | None
    version: str | None


MAX_DEPENDENCIES: Final = 10_000
"""One POM may have so many with all that it inherits; real ones have up to a thousand."""

MAX_MANAGED: Final = 30_000
"""This bounds managed ones, of which the BOMs of whole platforms have some ten thousand, and properties."""


@dataclass(frozen=True, slots=True)
class Pom:
    """All texts are as written, and the properties stand beside them."""

    values: Values
    """These are the model's simple values by their path (see `model_values`)."""
    parent: Coordinates | None
    """The parent's version may be a range."""
    properties: Mapping[str, str]
    management: Managed
    """They are in the order of the document, with imported BOMs and repeated keys among them."""
    dependencies: Mapping[Key, Dependency]
    """If a key repeats, the last one counts."""
    relocation: Relocation | None

    @property
    def weight(self) -> int:
        """Return how much there is to look at."""
        return len(self.values) + len(self.properties) + len(self.management) + len(self.dependencies)


def parse_pom(body: bytes, url: str) -> Pom:
    """Return the POM in a document. It raises Malformed, also for more entries than the limits."""
    parts = children(parse_xml(body, "project", url))
    values = model_values(parts)
    properties = _properties(parts)
    management = _managed(parts)
    dependencies = dict(_entries(parts.get("dependencies")))
    overriding: list[tuple[Key, Dependency]] = []
    for profile in active_profiles(entries(parts.get("profiles"), "profile")):
        properties |= _properties(profile)
        overriding += _managed(profile)
        dependencies |= _entries(profile.get("dependencies"))
    if overriding:
        # As Maven does it, the last of repeated keys counts, and only then.
        management = tuple(dict((*management, *overriding)).items())
    check_size(url, properties, management, dependencies)
    return Pom(
        values=values,
        parent=_parent(values) if "parent" in parts else None,
        properties=properties,
        management=management,
        dependencies=dependencies,
        relocation=_relocation(children(parts.get("distributionManagement")).get("relocation")),
    )


def check_size(url: str, properties: Sized, management: Sized, dependencies: Sized) -> None:
    """This raises Malformed for more of them than any real POM has with all that it inherits."""
    if len(dependencies) > MAX_DEPENDENCIES:
        raise Malformed(f"{url} has {len(dependencies)} dependencies, at most {MAX_DEPENDENCIES} are read", url=url)
    for name, named in (("properties", properties), ("managed dependencies", management)):
        if len(named) > MAX_MANAGED:
            raise Malformed(f"{url} has {len(named)} {name}, at most {MAX_MANAGED} are read", url=url)


def _parent(values: Mapping[str, str]) -> Coordinates:
    return Coordinates(*(values.get(f"parent.{part}", "") for part in ("groupId", "artifactId", "version")))


def _properties(parts: Mapping[str, etree._Element]) -> dict[str, str]:
    return {local_name(element): text_of(element) for element in parts.get("properties", ())}


def _managed(parts: Mapping[str, etree._Element]) -> Managed:
    return _entries(children(parts.get("dependencyManagement")).get("dependencies"))


def _entries(elements: etree._Element | None) -> Managed:
    return tuple((dependency.key, dependency) for dependency in map(_dependency, entries(elements, "dependency")))


def _dependency(element: etree._Element) -> Dependency:
    texts = {local_name(part): text_of(part) for part in element if not len(part)}
    return Dependency(
        texts.get("groupId", ""),
        texts.get("artifactId", ""),
        texts.get("version") or None,
        texts.get("type") or "jar",
        texts.get("classifier"),
        texts.get("scope"),
        texts.get("optional"),
    )


def _relocation(element: etree._Element | None) -> Relocation | None:
    if element is None:
        return None
    texts = texts_of(element)
    return Relocation(texts.get("groupId"), texts.get("artifactId"), texts.get("version"))
