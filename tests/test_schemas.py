"""The documents for programs say what the daemon does: what it accepts, and what stands in the graph."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from securechain_ingest.errors import PoisonMessage
from securechain_ingest.queue.message_keys import KEYS
from securechain_ingest.queue.messages import NODE_TYPES, Message, encode, parse_data
from securechain_ingest.schemas import _SPACE, CONTRACT_VERSION, graph_schema, message_schema

CONTRACT = (Path(__file__).parents[1] / "docs" / "contract.md").read_text()

needs_validator = pytest.mark.skipif(
    importlib.util.find_spec("jsonschema") is None, reason="the package jsonschema is not installed"
)


def is_valid(document: Any) -> bool:
    """Return whether an independent validator takes the document."""
    from jsonschema import Draft202012Validator  # A machine without it skips these tests.

    return bool(Draft202012Validator(message_schema()).is_valid(document))


def is_accepted(document: Any) -> bool:
    try:
        parse_data(orjson.dumps(document))
    except PoisonMessage:
        return False
    return True


SPACES = st.text(st.sampled_from(" \t\n\x1c\x85\xa0\u2003\u3000\ufeff\u200b"), max_size=2)
NAMES = st.one_of(
    st.sampled_from(["flask", "org.antlr:ST4", "a:b:c", ":x", "x:", " : ", "@babel/core", "a :\tb"]),
    st.text(st.sampled_from("ab: \n\x85é"), max_size=6),
)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2000), st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=5), st.lists(st.integers(0, 9), max_size=2),
    st.dictionaries(st.sampled_from("ab"), st.none(), max_size=1),
)  # fmt: skip
TYPES = st.builds(
    lambda before, word, after: f"{before}{word}{after}",
    SPACES,
    st.sampled_from([*sorted(NODE_TYPES), "PyPi", "pypipackage", "Package"]),
    SPACES,
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "node_type": TYPES | VALUES,
        "package": NAMES | VALUES,
        **{key.name: VALUES for key in KEYS if key.name not in {"node_type", "package"}},
        "unknown": VALUES,
    },
)
GOOD = st.fixed_dictionaries(
    {"node_type": TYPES, "package": NAMES},
    optional={key.name: VALUES for key in KEYS if key.name not in {"node_type", "package"}},
)


@needs_validator
@given(DOCUMENTS | GOOD | VALUES)
@example({"node_type": "PyPIPackage", "package": "flask", "depth": 1.0})
@example({"node_type": "PyPIPackage", "package": "flask", "depth": True})
@example({"node_type": "MavenPackage\n", "package": "org.antlr:ST4\n"})
@example({"node_type": "PyPIPackage", "package": "\ufeff"})
def test_an_independent_validator_accepts_exactly_what_the_forwarder_accepts(document: Any) -> None:
    assert is_valid(document) == is_accepted(document)


@needs_validator
def test_the_schema_is_valid_itself_and_so_are_its_examples() -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(message_schema())
    assert all(is_valid(each) and is_accepted(each) for each in message_schema()["examples"])


@needs_validator
def test_what_the_contract_shows_of_producers_is_valid() -> None:
    shown = re.findall(r"^    (\{\"node_type\".*?\})$", CONTRACT, re.MULTILINE | re.DOTALL)
    assert len(shown) == 3
    for each in shown:
        assert is_valid(orjson.loads(each)), each


@needs_validator
def test_the_daemons_own_messages_are_valid() -> None:
    own = Message(
        "NPMPackage", "left", depth=3, internal=True, at_least="x", removed=True, run="r", listed="l", first=True
    )
    assert is_valid(orjson.loads(encode(own)))


def test_an_unknown_key_is_accepted_told_and_ignored() -> None:
    told: list[str] = []
    text = orjson.dumps({"node_type": "PyPIPackage", "package": "flask", "priority": 9})
    assert parse_data(text, unknown=told.extend) == Message("PyPIPackage", "flask")
    assert told == ["priority"]
    assert message_schema()["additionalProperties"] is True


def test_the_spelled_out_white_space_is_that_which_is_trimmed() -> None:
    trimmed = "".join(character for character in map(chr, range(0x110000)) if not character.strip())
    assert re.fullmatch(f"[{_SPACE}]+", trimmed)
    assert not re.search(f"[{_SPACE}]", "".join(chr(code) for code in range(0x110000) if chr(code).strip()))


def test_each_key_stands_in_the_contract() -> None:
    section = CONTRACT.split("## 4. ")[1].split("## 5. ")[0]
    named = set(re.findall(r"`([a-z_]+)`", section))
    assert {key.name for key in KEYS} <= named
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) <= {key.name for key in KEYS}


def test_the_documents_are_of_the_contracts_version() -> None:
    assert re.search(r"^Version (\d+\.\d+)", CONTRACT, re.MULTILINE)[1] == CONTRACT_VERSION  # type: ignore[index]
    assert message_schema()["$id"].endswith(f":{CONTRACT_VERSION}")
    assert graph_schema()["contract"] == CONTRACT_VERSION


def rows(section: str) -> dict[str, str]:
    """Return the properties in a section's tables, with what it says of their types."""
    text = re.split(r"^#+ ", CONTRACT.split(f"# {section} ", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    found: dict[str, str] = {}
    for names, kind in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", text, re.MULTILINE):
        found |= dict.fromkeys(re.findall(r"`(\w+)`", names), kind)
    return found


def properties(origin: str, *, of_packages: bool) -> dict[str, str]:
    """Return the types of the properties with this origin by name: of all ecosystems' packages, or of versions."""
    nodes = [
        node for node in graph_schema()["nodes"] if (node["ecosystem"] if of_packages else node["label"] == "Version")
    ]
    return {each["name"]: each["type"] for node in nodes for each in node["properties"] if each["origin"] == origin}


def test_the_properties_of_the_contract_are_those_of_the_document_with_their_types() -> None:
    for of_packages, section in ((True, "1.1"), (False, "1.2")):
        told, held = rows(section), properties("contract", of_packages=of_packages)
        assert told.keys() == held.keys()
        for name, kind in told.items():
            assert held[name].removesuffix("s") in kind, (name, kind)
    assert rows("1.8") == properties("addition", of_packages=True) | properties("addition", of_packages=False)


def test_a_node_of_one_ecosystem_alone_has_its_own_properties() -> None:
    nodes = {node["label"]: {each["name"] for each in node["properties"]} for node in graph_schema()["nodes"]}
    assert "group_id" in nodes["MavenPackage"]
    assert "group_id" not in nodes["PyPIPackage"]
