"""This module lists the keys of a message (contract, section 4). The parser and the JSON Schema are made from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

MAX_DEPTH: Final = 1000


class Kind(Enum):
    """This says which values a key may have. Null and a missing key mean the same, but for REQUIRED."""

    REQUIRED = auto()
    """This is a string with more than white space."""
    STRING = auto()
    BOOLEAN = auto()
    DEPTH = auto()
    """This is an integer from 0 to MAX_DEPTH."""
    UNREAD = auto()
    """Nobody reads it, so no value of it is a reason to refuse a message."""


@dataclass(frozen=True, slots=True)
class Key:
    """This is one key of a message."""

    name: str
    kind: Kind
    meaning: str
    is_own: bool = False
    """The daemon uses it for its own messages; other programs have no need of it."""


KEYS: Final = (
    Key("node_type", Kind.REQUIRED, "The label of the package's node, which says what ecosystem it is of."),
    Key("package", Kind.REQUIRED, "The package's name, in any case; Maven's has exactly one colon."),
    Key("vendor", Kind.UNREAD, "Informative."),
    Key("repository_url", Kind.UNREAD, "Informative."),
    Key("moment", Kind.UNREAD, "When the message was written, in ISO 8601; informative."),
    Key("constraints", Kind.STRING, "What the edge from the parent gets, byte for byte; null stands for `any`."),
    Key(
        "parent_id", Kind.STRING, "The elementId of a RequirementFile or a Version, which gets an edge to the package."
    ),
    Key("parent_version", Kind.UNREAD, "Informative."),
    Key("parent_version_name", Kind.UNREAD, "Another name of parent_version."),
    Key("refresh", Kind.BOOLEAN, "True: the package is read again even if it is known."),
    Key("depth", Kind.DEPTH, "So many levels of requirements are followed; null: as the setting says.", is_own=True),
    Key("internal", Kind.BOOLEAN, "True: it is no failure if the registry lacks the package.", is_own=True),
    Key("at_least", Kind.STRING, "What the registry's feed has announced about the package.", is_own=True),
    Key("removed", Kind.BOOLEAN, "True: a feed says that the package is gone.", is_own=True),
    Key("run", Kind.STRING, "The run for which the result is counted.", is_own=True),
    Key("listed", Kind.STRING, "The state of the package in its registry's list.", is_own=True),
    Key("first", Kind.BOOLEAN, "True: the package is read with the fewest requests.", is_own=True),
)
