"""This module reads the simple values of a POM's model by path, as `${project.…}` names them: `version`, `scm.url`,
`licenses[0].name`.

Maven 3.8.7 was asked which there are, what they are if the POM does not say them, and how they are inherited
(maven.apache.org, "Maven Model"; its ModelMerger and super POM).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from lxml import etree

from securechain_ingest.registries.maven.xml import children, entries, local_name, text_of

MAX_LISTED: Final = 100
"""So many entries of a list can be named by their number."""

_DEPLOYED: Final[dict[str, str]] = {"layout": "default", "uniqueVersion": "true"}
_OBJECTS: Final[Mapping[str, dict[str, str]]] = {
    "parent": {"relativePath": "../pom.xml"},
    "prerequisites": {"maven": "2.0"},
    "scm": {"tag": "HEAD"},
    "organization": {},
    "issueManagement": {},
    "ciManagement": {},
    "build": {},
    "reporting": {},
    "distributionManagement": {},
    "distributionManagement.repository": _DEPLOYED,
    "distributionManagement.snapshotRepository": _DEPLOYED,
    "distributionManagement.site": {},
}
"""These elements have values of their own; where the element exists and does not say a value, it has the value here."""

_LISTS: Final = ("license", "developer", "contributor", "mailingList")
"""Lists are named after their entries, with an s at the end."""

_WHOLE: Final = re.compile(
    r"(organization|issueManagement|ciManagement|distributionManagement\.(?:repository|snapshotRepository|site)"
    r"|licenses|developers|contributors|mailingLists)[.\[].*",
    re.DOTALL,
)
"""These are inherited as a whole or not at all."""

_NOT_INHERITED: Final = re.compile(r"artifactId|name|packaging|modelVersion|(?:parent|prerequisites)\..*", re.DOTALL)

_WITH_PATH: Final = frozenset(
    {"url", "scm.url", "scm.connection", "scm.developerConnection", "distributionManagement.site.url"}
)
"""Maven appends the child's artifact id to these where it inherits them."""

_DEFAULTS: Final = {
    "packaging": "jar",
    "build.directory": "${project.basedir}/target",
    "build.outputDirectory": "${project.build.directory}/classes",
    "build.testOutputDirectory": "${project.build.directory}/test-classes",
    "build.finalName": "${project.artifactId}-${project.version}",
    "build.sourceDirectory": "${project.basedir}/src/main/java",
    "build.scriptSourceDirectory": "${project.basedir}/src/main/scripts",
    "build.testSourceDirectory": "${project.basedir}/src/test/java",
    "reporting.outputDirectory": "${project.build.directory}/site",
    "id": "${project.groupId}:${project.artifactId}:${project.packaging}:${project.version}",
}
"""Every model has these."""

_SEGMENT: Final = re.compile(r"(?:^|(?<=\.))[A-Z]")

Values = Mapping[str, str]


def texts_of(elements: Iterable[etree._Element]) -> dict[str, str]:
    """Return the texts of those elements that have one. An empty text counts as missing."""
    return {local_name(element): text for element in elements if not len(element) and (text := text_of(element))}


def model_values(parts: Mapping[str, etree._Element]) -> dict[str, str]:
    """Return the values that a POM says itself, read from its root's children. An object or list that exists also has
    its mere name with a dot, which no expression can name."""
    values = texts_of(parts.values())
    for path, defaults in _OBJECTS.items():
        owner, _, name = path.rpartition(".")
        element = (children(parts.get(owner)) if owner else parts).get(name)
        if element is not None:
            values[f"{path}."] = ""
            values |= {f"{path}.{key}": text for key, text in (defaults | texts_of(children(element).values())).items()}
    for name in _LISTS:
        if f"{name}s" in parts:
            values[f"{name}s."] = ""
            for number, entry in enumerate(entries(parts[f"{name}s"], name)[:MAX_LISTED]):
                values |= {f"{name}s[{number}].{key}": text for key, text in texts_of(entry).items()}
    if "parent." in values:
        above = [values.get(f"parent.{key}", "") for key in ("groupId", "artifactId", "version")]
        values["parent.id"] = f"{above[0]}:{above[1]}:pom:{above[2]}"
        for key in ("groupId", "version"):
            if key not in values and f"parent.{key}" in values:
                values[key] = values[f"parent.{key}"]
    return values


def inherited_value(lineage: Sequence[Values], path: str) -> str | None:
    """Return a value of the model whose own values come first in `lineage`, as written. The result is None if nobody
    says it."""
    path = _SEGMENT.sub(lambda match: match[0].lower(), path)
    if path.endswith("."):
        return None
    if _NOT_INHERITED.fullmatch(path):
        lineage = lineage[:1]
    elif whole := _WHOLE.fullmatch(path):
        lineage = [values for values in lineage if f"{whole[1]}." in values][:1]
    for distance, values in enumerate(lineage):
        if path in values:
            return _with_path(values[path], lineage[:distance]) if path in _WITH_PATH else values[path]
    return _DEFAULTS.get(path)


def _with_path(address: str, below: Sequence[Values]) -> str:
    for values in reversed(below):
        address = f"{address.rstrip('/')}/{values.get('artifactId', '')}"
    return address
