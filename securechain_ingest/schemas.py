"""This module describes the messages and the graph for programs: as JSON Schema, and as a list of what there is.

Both documents are made from the tables that the daemon itself works by (`queue.message_keys`, `graph.layout`).
"""

from __future__ import annotations

import re
from typing import Any, Final

from securechain_ingest.graph.layout import (
    IMPORT_NAMES_INDEX,
    INDEXED,
    NODES,
    PACKAGE,
    RELATIONSHIPS,
    UNIQUE,
    Origin,
    Property,
    Type,
    constraint_name,
    index_name,
    of_each_label,
)
from securechain_ingest.queue.message_keys import KEYS, MAX_DEPTH, Key, Kind
from securechain_ingest.registries import ECOSYSTEMS

CONTRACT_VERSION: Final = "1.2"
"""This is the version of docs/contract.md that the documents describe."""

# A pattern's own word for white space has another meaning in each language, so all of it is spelled out.
_SPACE: Final = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

_VALUES: Final[dict[Kind, dict[str, Any]]] = {
    Kind.REQUIRED: {"type": "string", "pattern": f"[^{_SPACE}]"},
    Kind.STRING: {"type": ["string", "null"]},
    Kind.BOOLEAN: {"type": ["boolean", "null"]},
    Kind.DEPTH: {"type": ["integer", "null"], "minimum": 0, "maximum": MAX_DEPTH},
    Kind.UNREAD: {},
}


def message_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the object in the field `data` of a queue entry (contract, section 4).

    It accepts what the forwarder accepts. One rule cannot be said in it: the text has at most 1 MiB.
    """
    labels = [ecosystem.label for ecosystem in ECOSYSTEMS]
    properties = {key.name: _key(key) for key in KEYS}
    properties["node_type"]["pattern"] = _label_pattern(labels)
    properties["node_type"]["examples"] = labels
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:securechain-ingest:message:{CONTRACT_VERSION}",
        "title": "A message of the stream package-extraction",
        "description": "It stands as JSON in the one field `data` of an entry, and asks for one package. Keys that are"
        " not named here are accepted, told once in the log and ignored. White space around strings does not count.",
        "type": "object",
        "required": [key.name for key in KEYS if key.kind is Kind.REQUIRED],
        "properties": properties,
        "additionalProperties": True,
        "allOf": [
            {
                "if": {"properties": {"node_type": {"pattern": _label_pattern([each.label])}}},
                "then": {"properties": {"package": {"pattern": _two_parts(each.namespace_separator)}}},
            }
            for each in ECOSYSTEMS
            if each.needs_namespace
        ],
        "examples": [
            {"node_type": "PyPIPackage", "package": "requests"},
            {"node_type": "MavenPackage", "package": "org.antlr:ST4", "constraints": "[4.3.4]", "refresh": True},
        ],
    }


def _key(key: Key) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": key.meaning, **_VALUES[key.kind]}
    if key.kind is Kind.BOOLEAN:
        schema["default"] = False
    elif key.kind in {Kind.STRING, Kind.DEPTH}:
        schema["default"] = None
    if key.is_own:
        schema["$comment"] = "The daemon's own messages use it; other programs have no need of it."
    return schema


def _label_pattern(labels: list[str]) -> str:
    return f"^[{_SPACE}]*(?:{'|'.join(labels)})[{_SPACE}]*$"


def _two_parts(separator: str) -> str:
    """Return a pattern for two parts that are not blank, with exactly one separator between them."""
    sign = re.escape(separator)
    part = f"[^{sign}]*[^{sign}{_SPACE}][^{sign}]*"
    return f"^{part}{sign}{part}$"


def graph_schema() -> dict[str, Any]:
    """Return what the graph consists of (contract, section 1). `origin` says what is of the contract, what the daemon
    adds, and what others write."""
    names = {ecosystem.label: ecosystem.name for ecosystem in ECOSYSTEMS}
    own = {
        ecosystem.label: [Property(name, Type.STRING, meaning, Origin.CONTRACT) for name, meaning in declared]
        for ecosystem in ECOSYSTEMS
        if (declared := ecosystem.node_properties)
    }
    labels = list(names)
    return {
        "title": "The graph of packages, their versions and what these require",
        "contract": CONTRACT_VERSION,
        "origins": {
            Origin.CONTRACT: "clients rely on it",
            Origin.ADDITION: "the daemon adds it; clients need not know of it",
            Origin.OTHERS: "other programs write it",
        },
        "nodes": [
            {
                "label": label,
                "ecosystem": names.get(label),
                "origin": _node_origin(word),
                "properties": [_property(each) for each in (*held, *own.get(label, ()))],
            }
            for word, held in NODES.items()
            for label in (labels if word == PACKAGE else [word])
        ],
        "relationships": [
            {
                "type": each.type,
                "from": labels if each.source == PACKAGE else [each.source],
                "to": labels if each.target == PACKAGE else [each.target],
                "origin": each.origin,
                "properties": [_property(held) for held in each.properties],
            }
            for each in RELATIONSHIPS
        ],
        "constraints": [
            {"name": constraint_name(label, name), "label": label, "property": name, "kind": "unique"}
            for label, name in of_each_label(UNIQUE, labels)
        ],
        "indexes": [
            *(
                {"name": index_name(label, name), "labels": [label], "property": name, "kind": "range"}
                for label, name in of_each_label(INDEXED, labels)
            ),
            {"name": IMPORT_NAMES_INDEX, "labels": labels, "property": "import_names", "kind": "full-text"},
        ],
    }


def _node_origin(word: str) -> Origin:
    return {"AbsentPackage": Origin.ADDITION, "RequirementFile": Origin.OTHERS}.get(word, Origin.CONTRACT)


def _property(held: Property) -> dict[str, Any]:
    return {
        "name": held.name,
        "type": held.type,
        "always": held.is_always_there,
        "origin": held.origin,
        "meaning": held.meaning,
    }
