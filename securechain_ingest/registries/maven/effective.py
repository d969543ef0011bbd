"""This module makes of a POM, and of those that it inherits from and imports, what they mean together.

The rules are at maven.apache.org, "Introduction to the POM", "Introduction to the Dependency Mechanism", "Maven Model
Builder". First a POM and its ancestors become one model, with texts as written. Then the properties of that model are
put into its texts; a child's property counts before its parent's. Then the BOMs that it imports, which are models of
their own, say what it does not manage. All functions here only work on POMs that have been read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from securechain_ingest.errors import Malformed
from securechain_ingest.registries.maven.model_values import inherited_value
from securechain_ingest.registries.maven.names import Coordinates
from securechain_ingest.registries.maven.pom import Dependency, Key, Managed, Pom, check_size

Management: TypeAlias = Mapping[Key, Dependency]
"""This is said of dependencies that may occur, with properties put in."""

MAX_TEXT: Final = 8192
"""This is in characters of a text with its properties put in: properties that double each other would grow without
end."""

MAX_TEXTS: Final = 4 * 1024 * 1024
"""This is in characters of all texts of a model that properties were put into; the largest real models have a tenth
of it."""

MAX_NESTING: Final = 64
"""Properties may lie within properties so deep."""

_EXPRESSION: Final = re.compile(r"\$\{([^{}]+)\}")
_PROJECT: Final = re.compile(r"(?:project|pom)\.")
_BY_KEY: Final = re.compile(r"properties\((.*)\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Model:
    """This is a POM and its ancestors as one; texts are as written."""

    lineage: tuple[Pom, ...]
    """The POM itself is the first."""
    properties: Mapping[str, str]
    management: Managed
    dependencies: Mapping[Key, Dependency]

    @property
    def weight(self) -> int:
        """Return how many entries the model has."""
        return len(self.properties) + len(self.management) + len(self.dependencies)

    @property
    def name(self) -> str:
        """Return the name that people read."""
        return ":".join(self.lineage[0].values.get(part, "?") for part in ("groupId", "artifactId", "version"))


def inherit(pom: Pom, parent: Model | None) -> Model:
    """Return the model of a POM whose parent's model is `parent`. What a child says itself counts first.

    It raises Malformed for more entries than the limits of one POM.
    """
    if parent is None:
        return Model((pom,), pom.properties, pom.management, pom.dependencies)
    model = Model(
        (pom, *parent.lineage),
        {**parent.properties, **pom.properties},
        _with_inherited(pom.management, parent.management),
        {**parent.dependencies, **pom.dependencies},
    )
    check_size(model.name, model.properties, model.management, model.dependencies)
    return model


def joined(lineage: Sequence[Pom]) -> Model:
    """Return the model of the first POM, whose parent is the second, and so on. It raises Malformed as `inherit`
    does."""
    model = inherit(lineage[-1], None)
    for pom in reversed(lineage[:-1]):
        model = inherit(pom, model)
    return model


class Texts:
    """This puts properties into the texts of one model. It raises Malformed where these come to more than MAX_TEXTS."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._lineage = [pom.values for pom in model.lineage]
        self._known: dict[str, str | None] = {}
        self._made = 0

    def __call__(self, text: str) -> str:
        """Return the text with its properties put in; properties that nobody defines, or that are defined in a circle,
        stay. A text that would become too long stays as it is."""
        if "${" not in text:
            return text
        made = self._interpolated(text, frozenset())
        return text if made is None else made

    def value(self, path: str) -> str | None:
        """Return a value of the model itself, such as `version`. The result is None if neither the POM nor an ancestor
        has it."""
        text = self.raw_value(path)
        return None if text is None else self(text)

    def raw_value(self, path: str) -> str | None:
        """Return a value of the model as it is written, or a property for `properties(NAME)`. The result is None if
        nobody says it."""
        if by_key := _BY_KEY.fullmatch(path):
            return self._model.properties.get(by_key[1])
        return inherited_value(self._lineage, path)

    def dependency(self, written: Dependency) -> Dependency:
        """Return the dependency with its properties put in, wherever one is mentioned."""
        fields = (self(text) if text is not None and "${" in text else text for text in written)
        return Dependency._make(fields)

    def _interpolated(self, text: str, within: frozenset[str]) -> str | None:
        """The result is None if the text is too long, or becomes so."""
        if len(text) > MAX_TEXT:
            return None
        pieces: list[str] = []
        length = position = 0
        for match in _EXPRESSION.finditer(text):
            pieces += (text[position : match.start()], self._resolved(match, within))
            position = match.end()
            length += len(pieces[-2]) + len(pieces[-1])
            if length > MAX_TEXT:
                break
        self._made += length
        if self._made > MAX_TEXTS:
            name = self._model.name
            raise Malformed(f"the texts of {name} come to more than {MAX_TEXTS} characters by properties", url=name)
        pieces.append(text[position:])
        return "".join(pieces) if length + len(pieces[-1]) <= MAX_TEXT else None

    def _resolved(self, match: re.Match[str], within: frozenset[str]) -> str:
        expression = match[1]
        if expression not in self._known:
            if expression in within or len(within) > MAX_NESTING:
                return match[0]
            text = self._definition(expression)
            if text is not None and "${" in text:
                text = self._interpolated(text, within | {expression})
                if text is not None and match[0] in text:
                    text = None
            self._known[expression] = text
        held = self._known[expression]
        return match[0] if held is None else held

    def _definition(self, expression: str) -> str | None:
        """Maven looks first in the model under its prefix, then in the properties, then in the model without prefix
        (long deprecated), which a property that names itself means as well."""
        path = _PROJECT.sub("", expression, count=1) if _PROJECT.match(expression) else None
        if path is not None and (text := self.raw_value(path)) is not None:
            return text
        held = self._model.properties.get(expression)
        itself = f"${{{expression}}}"
        if path is not None or (held is not None and itself not in held):
            return held
        value = self.raw_value(expression)
        if held is None or value is None or held.count(itself) * len(value) > MAX_TEXT:
            return value if held is None else held
        return held.replace(itself, value)


def imports(model: Model, texts: Texts) -> tuple[Coordinates, ...]:
    """Return the BOMs that a model imports. The one that counts first is the first."""
    return tuple(
        Coordinates(texts(entry.group_id), texts(entry.artifact_id), texts(entry.version or ""))
        for _, entry in model.management
        if _is_import(entry, texts)
    )


def own_management(model: Model, texts: Texts) -> Management:
    """Return what a model manages itself, by keys with properties put in. The entries themselves are as written."""
    entries, has_imports = _own_entries(model, texts)
    if has_imports:
        return dict(entries)
    own: dict[Key, Dependency] = {}
    for key, entry in entries:
        # Of repeated keys Maven takes the last, but if nothing is imported each adds what those before it lack.
        own[key] = managed_by(own[key], entry) if key in own else entry
    return own


def flattened(model: Model, texts: Texts) -> Management:
    """Return all that a BOM manages itself, with properties put in."""
    entries, has_imports = _own_entries(model, texts)
    # Of repeated keys Maven imports the first, unless the BOM's own imports have made them one before: then the last.
    own = dict(entries if has_imports else reversed(entries))
    return {key: texts.dependency(entry) for key, entry in own.items()}


def first_wins(managements: Sequence[Management]) -> Management:
    """Return one management made of several. Where they collide the first one counts."""
    merged: dict[Key, Dependency] = {}
    for management in reversed(managements):
        merged.update(management)
    return merged


def managed_dependencies(model: Model, texts: Texts) -> tuple[list[Dependency], tuple[Key, ...]]:
    """Return the dependencies of a model, inherited ones too, as the model manages them itself; and the keys of those
    that lack something of which it says nothing, so that imported BOMs may say it."""
    declared = [texts.dependency(written) for written in model.dependencies.values()]
    own = own_management(model, texts) if declared else {}
    found: list[Dependency] = []
    wanting: dict[Key, None] = {}
    for dependency in declared:
        key = dependency.key
        entry = own.get(key)
        if entry is None and (dependency.version is None or dependency.scope is None):
            wanting[key] = None
        found.append(dependency if entry is None else managed_by(dependency, texts.dependency(entry)))
    return found, tuple(wanting)


def managed_by(dependency: Dependency, managed: Dependency) -> Dependency:
    """Return the dependency with the version and the scope that it does not say itself. `optional` is not managed."""
    return dependency._replace(
        version=dependency.version or managed.version,
        scope=managed.scope if dependency.scope is None else dependency.scope,
    )


def relocation_of(model: Model, texts: Texts, own: Coordinates) -> Coordinates | None:
    """Return where the artifact with the coordinates `own` has moved, or None if it has not moved. A relocation is not
    inherited."""
    moved = model.lineage[0].relocation
    if moved is None:
        return None
    target = Coordinates(*(texts(new) if new else old for new, old in zip(moved, own, strict=True)))
    return target if target != own else None


def _with_inherited(own: Managed, inherited: Managed) -> Managed:
    """What a child manages itself comes before what it inherits and does not manage itself."""
    if not inherited:
        return own
    merged = dict(own)
    for key, entry in inherited:
        merged.setdefault(key, entry)
    return tuple(merged.items())


def _own_entries(model: Model, texts: Texts) -> tuple[list[tuple[Key, Dependency]], bool]:
    """Return what a model manages itself, in its order and by keys with properties put in, and whether it imports BOMs
    as well."""
    entries: list[tuple[Key, Dependency]] = []
    has_imports = False
    for key, entry in model.management:
        if _is_import(entry, texts):
            has_imports = True
        else:
            entries.append((_interpolated_key(key, texts) if _has_property(key) else key, entry))
    return entries, has_imports


def _is_import(entry: Dependency, texts: Texts) -> bool:
    return entry.scope is not None and texts(entry.scope) == "import" and texts(entry.type) == "pom"


def _has_property(key: Key) -> bool:
    return any(part is not None and "${" in part for part in key)


def _interpolated_key(key: Key, texts: Texts) -> Key:
    group_id, artifact_id, kind, classifier = key
    return texts(group_id), texts(artifact_id), texts(kind), classifier if classifier is None else texts(classifier)
