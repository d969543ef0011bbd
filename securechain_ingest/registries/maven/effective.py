"""What a POM means together with those that it inherits from and imports: pure functions over POMs at hand.

Rules: maven.apache.org, "Introduction to the POM", "Introduction to the Dependency Mechanism", "Maven Model Builder".
First a POM and its ancestors become one model, texts as written. Then the properties of that model, of which the
child's count, are put into its texts. Then the BOMs that it imports, models of their own, tell what it does not manage.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from securechain_ingest.registries.maven.names import Coordinates
from securechain_ingest.registries.maven.pom import Dependency, Key, Managed, Pom

Management: TypeAlias = Mapping[Key, Dependency]
"""What is said of dependencies that may occur, with properties put in."""

MAX_TEXT: Final = 8192
"""Characters of a text with its properties put in: properties that double each other would grow without end."""

MAX_NESTING: Final = 64
"""Properties within properties."""

_EXPRESSION: Final = re.compile(r"\$\{([^{}]+)\}")
_PROJECT: Final = re.compile(r"(?:project|pom)\.")
_NOT_INHERITED: Final = re.compile(r"artifactId|name|packaging|modelVersion|parent\..*")
_DEFAULTS: Final = {"packaging": "jar"}


@dataclass(frozen=True, slots=True)
class Model:
    """A POM and its ancestors as one; texts as written."""

    lineage: tuple[Pom, ...]
    """The POM itself first."""
    properties: Mapping[str, str]
    management: Managed
    dependencies: Mapping[Key, Dependency]
    gaps: tuple[str, ...] = ()
    """What could not be read or is wrong, in words; the model lacks what it would have said."""

    @property
    def weight(self) -> int:
        return len(self.properties) + len(self.management) + len(self.dependencies)


def inherit(pom: Pom, parent: Model | None, gaps: tuple[str, ...] = ()) -> Model:
    """The model of a POM whose parent's model is `parent`. What a child says itself goes first."""
    if parent is None:
        return Model((pom,), pom.properties, pom.management, pom.dependencies, gaps)
    return Model(
        (pom, *parent.lineage),
        {**parent.properties, **pom.properties},
        _with_inherited(pom.management, parent.management),
        {**parent.dependencies, **pom.dependencies},
        gaps + parent.gaps,
    )


class Texts:
    """Puts properties into the texts of one model."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._known: dict[str, str | None] = {}

    def __call__(self, text: str) -> str:
        """The text with its properties put in; those that nobody defines, or only in a circle, stay."""
        return self._interpolated(text, frozenset()) if "${" in text else text

    def value(self, path: str) -> str | None:
        """A value of the model itself, such as `version`; None if neither the POM nor an ancestor has it."""
        text = self.raw_value(path)
        return None if text is None else self(text)

    def raw_value(self, path: str) -> str | None:
        lineage = self._model.lineage[:1] if _NOT_INHERITED.fullmatch(path) else self._model.lineage
        return next((pom.values[path] for pom in lineage if path in pom.values), _DEFAULTS.get(path))

    def dependency(self, written: Dependency) -> Dependency:
        """With properties put in wherever one is mentioned."""
        fields = (self(text) if text is not None and "${" in text else text for text in written)
        return Dependency._make(fields)

    def _interpolated(self, text: str, within: frozenset[str]) -> str:
        return _EXPRESSION.sub(lambda match: self._resolved(match, within), text) if len(text) <= MAX_TEXT else text

    def _resolved(self, match: re.Match[str], within: frozenset[str]) -> str:
        expression = match[1]
        if expression not in self._known:
            if expression in within or len(within) > MAX_NESTING:
                return match[0]
            text = self._definition(expression)
            if text is not None and "${" in text:
                text = self._interpolated(text, within | {expression})
                if match[0] in text or len(text) > MAX_TEXT:
                    text = None
            self._known[expression] = text
        held = self._known[expression]
        return match[0] if held is None else held

    def _definition(self, expression: str) -> str | None:
        """In Maven's order: the model under its prefix, the properties, the model without prefix (long deprecated)."""
        path = _PROJECT.sub("", expression, count=1) if _PROJECT.match(expression) else None
        if path is not None and (text := self.raw_value(path)) is not None:
            return text
        held = self._model.properties.get(expression)
        return held if held is not None or path is not None else self.raw_value(expression)


def imports(model: Model, texts: Texts) -> tuple[Coordinates, ...]:
    """The BOMs that a model imports, the one that counts first in front."""
    return tuple(
        Coordinates(texts(entry.group_id), texts(entry.artifact_id), texts(entry.version or ""))
        for _, entry in model.management
        if _is_import(entry)
    )


def own_management(model: Model, texts: Texts) -> Management:
    """What a model manages itself, by keys with properties put in; the entries themselves are as written."""
    entries: list[tuple[Key, Dependency]] = []
    has_imports = False
    for key, entry in model.management:
        if _is_import(entry):
            has_imports = True
        else:
            entries.append((_interpolated_key(key, texts) if _has_property(key) else key, entry))
    if has_imports:
        return dict(entries)
    own: dict[Key, Dependency] = {}
    for key, entry in entries:
        # Of repeated keys Maven takes the last, but if nothing is imported each adds what those before it lack.
        own[key] = _managed_by(own[key], entry) if key in own else entry
    return own


def flattened(model: Model, texts: Texts, boms: Sequence[Management]) -> Management:
    """All that a BOM manages, itself and by its own imports."""
    own = {key: texts.dependency(entry) for key, entry in own_management(model, texts).items()}
    for bom in boms:
        own = _first(own, bom)
    return own


def declared_dependencies(model: Model, texts: Texts) -> list[Dependency]:
    """The dependencies of a model, inherited ones too, before they are managed."""
    return [texts.dependency(written) for written in model.dependencies.values()]


def need_imports(declared: Iterable[Dependency], own: Management) -> bool:
    """Whether imported BOMs can have a say in any of these: it lacks something and the model does not manage it."""
    return any(
        (dependency.version is None or dependency.scope is None) and dependency.key not in own
        for dependency in declared
    )


def direct_dependencies(
    declared: Iterable[Dependency], own: Management, boms: Sequence[Management], texts: Texts
) -> tuple[Dependency, ...]:
    """The dependencies of the effective POM, of every scope, with managed versions and scopes."""
    found: list[Dependency] = []
    for dependency in declared:
        managed = _managed(dependency.key, own, boms, texts)
        if managed is not None:
            dependency = _managed_by(dependency, managed)  # noqa: PLW2901  # the same one, with more of it known
        found.append(dependency if dependency.scope else dependency._replace(scope="compile"))
    return tuple(found)


def relocation_of(model: Model, texts: Texts, own: Coordinates) -> Coordinates | None:
    """Where the artifact with the coordinates `own` has moved; None if it has not. That is not inherited."""
    moved = model.lineage[0].relocation
    if moved is None:
        return None
    target = Coordinates(*(texts(new) if new else old for new, old in zip(moved, own, strict=True)))
    return target if target != own else None


def _managed_by(dependency: Dependency, managed: Dependency) -> Dependency:
    """With the version and the scope that it does not say itself; `optional` is not managed."""
    return dependency._replace(
        version=dependency.version or managed.version,
        scope=managed.scope if dependency.scope is None else dependency.scope,
    )


def _managed(key: Key, own: Management, boms: Iterable[Management], texts: Texts) -> Dependency | None:
    entry = own.get(key)
    if entry is not None:
        return texts.dependency(entry)
    return next((bom[key] for bom in boms if key in bom), None)


def _with_inherited(own: Managed, inherited: Managed) -> Managed:
    """What a child manages itself, in front of what it inherits and does not manage itself."""
    if not inherited:
        return own
    merged = dict(own)
    for key, entry in inherited:
        merged.setdefault(key, entry)
    return tuple(merged.items())


def _first(one: Mapping[Key, Dependency], other: Mapping[Key, Dependency]) -> dict[Key, Dependency]:
    """Both, in their order; where they collide the first one's."""
    if not one:
        return dict(other)
    return {**one, **{key: entry for key, entry in other.items() if key not in one}}


def _is_import(entry: Dependency) -> bool:
    return entry.scope == "import" and entry.type == "pom"


def _has_property(key: Key) -> bool:
    return any(part is not None and "${" in part for part in key)


def _interpolated_key(key: Key, texts: Texts) -> Key:
    group_id, artifact_id, kind, classifier = key
    return texts(group_id), texts(artifact_id), texts(kind), classifier if classifier is None else texts(classifier)
