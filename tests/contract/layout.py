"""This compares a graph with its machine-readable model."""

from __future__ import annotations

from typing import Any

from securechain_ingest.schemas import graph_schema
from tests.end_to_end.graph_contents import PlainCypher


def type_of(value: Any) -> str:
    if isinstance(value, list):
        return "list of strings" if all(isinstance(each, str) for each in value) else "another list"
    kinds = {bool: "boolean", int: "integer", float: "float", str: "string"}
    return kinds.get(type(value), "date-time")


def assert_as_the_model_says(graph: PlainCypher) -> None:
    model = graph_schema()
    nodes = {node["label"]: {each["name"]: each for each in node["properties"]} for node in model["nodes"]}
    rows = graph.rows("MATCH (n) RETURN labels(n)[0] AS label, properties(n) AS held")
    assert nodes.keys() <= {row["label"] for row in rows}
    for row in rows:
        if (told := nodes.get(row["label"])) is None:
            assert row["label"] in {"User", "Repository"}
            continue
        for name, value in row["held"].items():
            assert name in told, (row["label"], name)
            assert type_of(value) == told[name]["type"], (row["label"], name, value)
        assert {name for name, each in told.items() if each["always"]} <= row["held"].keys(), row
    told_edges = {
        (source, each["type"], target): {held["name"]: held for held in each["properties"]}
        for each in model["relationships"]
        for source in each["from"]
        for target in each["to"]
    }
    for row in graph.rows(
        "MATCH (a)-[r]->(b) RETURN labels(a)[0] AS source, type(r) AS type, labels(b)[0] AS target,"
        " properties(r) AS held"
    ):
        if row["type"] not in {"OWN", "USE"}:
            edge = told_edges[row["source"], row["type"], row["target"]]
            assert {name: type_of(value) for name, value in row["held"].items()} == {
                name: each["type"] for name, each in edge.items()
            }
