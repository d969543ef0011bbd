"""One POM, as it was published, its active profiles already merged into it (maven.apache.org, "POM Reference").

Nothing is inherited or interpolated yet; that is `effective`'s. Only what the graph needs of a POM is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from lxml import etree

from securechain_ingest.registries.maven.names import Coordinates
from securechain_ingest.registries.maven.profiles import active_profiles
from securechain_ingest.registries.maven.xml import children, local_name, parse_xml, text_of

Key: TypeAlias = tuple[str, str, str, str | None]
"""What dependencies are managed and merged by: group id, artifact id, type, classifier."""


class Dependency(NamedTuple):
    """One entry of `dependencies` or `dependencyManagement`; a BOM has thousands. None: not there."""

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
"""Entries in their order, in which a key may repeat."""


class Relocation(NamedTuple):
    """Where an artifact has moved; what is None stays as it was."""

    group_id: str | None
    artifact_id: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class Pom:
    """All texts as written, with their properties."""

    values: Mapping[str, str]
    """The model's simple values by their path, as `${project.…}` names them: `version`, `parent.version`, `scm.url`."""
    parent: Coordinates | None
    properties: Mapping[str, str]
    management: Managed
    """In the order of the document, imported BOMs and repeated keys among them."""
    dependencies: Mapping[Key, Dependency]
    """Of those with the same key the last."""
    relocation: Relocation | None


_NESTED_VALUES: Final = ("parent", "scm", "organization", "issueManagement")


def parse_pom(body: bytes, url: str) -> Pom:
    """The POM in a document. Raises Malformed."""
    parts = children(parse_xml(body, "project", url))
    values = _texts(parts.values())
    values.update(
        (f"{name}.{key}", text)
        for name in _NESTED_VALUES
        if name in parts
        for key, text in _texts(children(parts[name]).values()).items()
    )
    for name in ("groupId", "version"):
        if name not in values and f"parent.{name}" in values:
            values[name] = values[f"parent.{name}"]
    properties = _properties(parts)
    management = _managed(parts)
    dependencies = dict(_entries(parts.get("dependencies")))
    for profile in active_profiles(parts.get("profiles", ())):
        properties |= _properties(profile)
        management = _overridden(management, _managed(profile))
        dependencies |= _entries(profile.get("dependencies"))
    return Pom(
        values=values,
        parent=_parent(values) if "parent" in parts else None,
        properties=properties,
        management=management,
        dependencies=dependencies,
        relocation=_relocation(children(parts.get("distributionManagement")).get("relocation")),
    )


def _texts(elements: Iterable[etree._Element]) -> dict[str, str]:
    """The texts of those elements that have one; an empty one counts as missing."""
    return {local_name(element): text for element in elements if not len(element) and (text := text_of(element))}


def _parent(values: Mapping[str, str]) -> Coordinates:
    return Coordinates(*(values.get(f"parent.{part}", "") for part in ("groupId", "artifactId", "version")))


def _overridden(entries: Managed, others: Managed) -> Managed:
    """Both, the others' where keys collide. As Maven does it, repeated keys vanish only if there are others."""
    return tuple(dict((*entries, *others)).items()) if others else entries


def _properties(parts: Mapping[str, etree._Element]) -> dict[str, str]:
    return {local_name(element): text_of(element) for element in parts.get("properties", ())}


def _managed(parts: Mapping[str, etree._Element]) -> Managed:
    return _entries(children(parts.get("dependencyManagement")).get("dependencies"))


def _entries(elements: etree._Element | None) -> Managed:
    return tuple(
        (dependency.key, dependency) for dependency in map(_dependency, elements if elements is not None else ())
    )


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
    texts = _texts(element)
    return Relocation(texts.get("groupId"), texts.get("artifactId"), texts.get("version"))
