"""This module lists what the graph consists of: labels, properties, relationships, constraints and indexes (contract,
section 1).

The constraints and indexes are made from it, and `schema graph` prints it. A test compares it with what the daemon
writes and with the contract. What only one ecosystem's packages have is not here; the ecosystem declares it
(`Ecosystem.node_properties`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Type(StrEnum):
    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    STRINGS = "list of strings"
    MOMENT = "date-time"


class Origin(StrEnum):
    """This says who defines a part of the graph."""

    CONTRACT = "contract"
    """The clients rely on it."""
    ADDITION = "addition"
    """The daemon adds it. Clients need not know of it."""
    OTHERS = "others"
    """Other programs write it; the daemon only reads it, or sets what the contract allows it to set."""


@dataclass(frozen=True, slots=True)
class Property:
    name: str
    type: Type
    meaning: str
    origin: Origin = Origin.ADDITION
    is_always_there: bool = False
    """True means that it is never null, once a write is complete."""


@dataclass(frozen=True, slots=True)
class Relationship:
    type: str
    source: str
    """This and `target` name a label, or `package` for the labels of all ecosystems."""
    target: str
    properties: tuple[Property, ...] = ()
    origin: Origin = Origin.CONTRACT


PACKAGE: Final = "package"
"""This word stands for the labels of all ecosystems."""

_C, _O = Origin.CONTRACT, Origin.OTHERS

PACKAGE_PROPERTIES: Final = (
    Property("name", Type.STRING, "The lower-case name.", _C, is_always_there=True),
    Property("purl", Type.STRING, "The package URL without a version.", _C, is_always_there=True),
    Property("vendor", Type.STRING, "The owner of the repository or of the scope; `n/a`.", _C, is_always_there=True),
    Property("repository_url", Type.STRING, "The normalised repository; `n/a`.", _C, is_always_there=True),
    Property("moment", Type.MOMENT, "When the registry was last asked with success.", _C, is_always_there=True),
    Property("import_names", Type.STRINGS, "What can be imported from the package.", _C, is_always_there=True),
    Property("registry_name", Type.STRING, "The registry's own spelling."),
    Property("format", Type.INTEGER, "The release of the node's layout; absent until it is written whole."),
    Property("validator", Type.STRING, "ETag or Last-Modified of the registry's document."),
    Property("revision", Type.STRING, "What the registry's list calls this state of the package."),
    Property("listed", Type.STRING, "The state that a list named last."),
    Property("tried_at", Type.MOMENT, "When the registry last said that it lacks the package."),
    Property("removed_at", Type.MOMENT, "Since when the registry lacks the package."),
    Property("import_names_parser", Type.INTEGER, "The version of the parser that found the import names."),
    Property("import_names_of", Type.STRING, "The version whose archive the import names are of, all of them."),
    Property("import_names_error", Type.STRING, "Why the archive could not be read, or what was left out."),
    Property("import_names_failed_version", Type.STRING, "The version whose archive could not be read."),
    Property("import_names_tries", Type.INTEGER, "How often that was tried."),
    Property("import_names_tried_at", Type.MOMENT, "When that was tried last."),
    Property("import_names_retry_at", Type.MOMENT, "When that is tried again."),
    Property("archive_pending", Type.BOOLEAN, "True: the archive has not been looked at yet."),
    Property("pending_archive", Type.STRINGS, "Its version, address, file name and digest, if it alone is pending."),
    Property("complete_at", Type.MOMENT, "When what has not been read yet is asked for next."),
    Property("complete_depth", Type.INTEGER, "How many levels of requirements are followed then."),
    Property("license", Type.STRING, "An SPDX expression, or the registry's own words."),
    Property("writing", Type.STRING, "Who is writing a package of very many versions, and since when."),
)

VERSION_PROPERTIES: Final = (
    Property("name", Type.STRING, "The registry's version string.", _C, is_always_there=True),
    Property("purl", Type.STRING, "The package URL with the version.", _C, is_always_there=True),
    Property("serial_number", Type.INTEGER, "The rank in the package; -1 without an order.", _C, is_always_there=True),
    Property("mean", Type.FLOAT, "The mean of the scores of its vulnerabilities.", _C, is_always_there=True),
    Property("weighted_mean", Type.FLOAT, "Their mean, weighted by themselves.", _C, is_always_there=True),
    Property("vulnerabilities", Type.STRINGS, "The ids of all advisories.", _C, is_always_there=True),
    Property("release_date", Type.STRING, "ISO 8601 in UTC.", _C),
    Property("yanked", Type.BOOLEAN, "True; absent otherwise."),
    Property("deprecated", Type.BOOLEAN, "True; absent otherwise."),
    Property("removed", Type.BOOLEAN, "True: the registry has the version no more; absent otherwise."),
    Property("requirements_pending", Type.BOOLEAN, "True: its requirements have not been read; absent otherwise."),
    Property("import_names_before", Type.STRING, "The older version with whose import names its own were compared."),
    Property("import_names_added", Type.INTEGER, "How many import names the older version had not."),
    Property("import_names_removed", Type.INTEGER, "How many import names only the older version had."),
)

ABSENT_PROPERTIES: Final = (
    Property("purl", Type.STRING, "The package URL without a version.", is_always_there=True),
    Property("name", Type.STRING, "The name in the registry's spelling."),
    Property("ecosystem", Type.STRING, "The ecosystem's name, such as `pypi`."),
    Property("queued_at", Type.MOMENT, "When a message for it was queued."),
    Property("tried_at", Type.MOMENT, "When the registry last said that it lacks the package."),
    Property("reason", Type.STRING, "What the registry said."),
    Property("listed", Type.STRING, "The state that a list named last."),
    Property("left_out", Type.STRING, "The ecosystem's name: it is queued when there is room."),
    Property("left_out_depth", Type.INTEGER, "How many levels of requirements are followed then."),
    Property("left_out_first", Type.BOOLEAN, "True: it is read with the fewest requests then."),
    Property("settled", Type.BOOLEAN, "Changed to lock the node; its value says nothing."),
)

FILE_PROPERTIES: Final = (
    Property("name", Type.STRING, "The file's name.", _O),
    Property("manager", Type.STRING, "PyPI, NPM, Maven, NuGet, Cargo, RubyGems or ANY.", _O),
    Property("moment", Type.MOMENT, "The daemon sets it to now after it has added an edge.", _O),
)

NODES: Final = {
    PACKAGE: PACKAGE_PROPERTIES,
    "Version": VERSION_PROPERTIES,
    "AbsentPackage": ABSENT_PROPERTIES,
    "RequirementFile": FILE_PROPERTIES,
}

_CONSTRAINTS: Final = Property(
    "constraints", Type.STRING, "Which versions are wanted (contract, section 2).", _C, is_always_there=True
)

RELATIONSHIPS: Final = (
    Relationship("HAVE", PACKAGE, "Version"),
    Relationship(
        "REQUIRE",
        "Version",
        PACKAGE,
        (
            _CONSTRAINTS,
            Property("parent_version_name", Type.STRING, "The purl of the parent package.", _C, is_always_there=True),
        ),
    ),
    Relationship("REQUIRE", "RequirementFile", PACKAGE, (_CONSTRAINTS,)),
    Relationship("AWAITED_BY", "AbsentPackage", "Version", (_CONSTRAINTS,), Origin.ADDITION),
)

UNIQUE: Final = ((PACKAGE, "name"), (PACKAGE, "purl"), ("Version", "purl"), ("AbsentPackage", "purl"))
"""A constraint makes each of these properties unique among the nodes of one label."""

INDEXED: Final = (
    (PACKAGE, "import_names_retry_at"),
    (PACKAGE, "complete_at"),
    (PACKAGE, "moment"),
    ("AbsentPackage", "left_out"),
    ("AbsentPackage", "queued_at"),
)

IMPORT_NAMES_INDEX: Final = "import_names_lookup"
"""This index is full-text, since a plain index takes a list as one value. Each name is one word of it. A local server
has indexes of its own in its place."""


def constraint_name(label: str, name: str) -> str:
    """Return how the constraint on a property is called."""
    return f"{label.lower()}_{name}_unique"


def index_name(label: str, name: str) -> str:
    """Return how the index on a property is called."""
    return f"{label.lower()}_{name}_lookup"


def of_each_label(pairs: tuple[tuple[str, str], ...], package_labels: list[str]) -> list[tuple[str, str]]:
    """Return the pairs of label and property, with one pair for each label of packages in place of PACKAGE."""
    return [(label, name) for word, name in pairs for label in (package_labels if word == PACKAGE else [word])]
