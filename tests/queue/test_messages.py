"""This tests section 4 of the contract: what is a message, what is not, and how it is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.errors import PoisonMessage
from securechain_ingest.queue.messages import NODE_TYPES, Message, encode, package_key, parse, parse_data
from securechain_ingest.registries import DECLARATIONS, ECOSYSTEMS
from securechain_ingest.registries.declaration import Declaration

DEPEX_PACKAGE = (
    '{"node_type":"PyPIPackage","package":"flask","vendor":"n/a","repository_url":"n/a",'
    '"moment":"2025-12-15T17:20:50.123456","constraints":null,"parent_id":null,"parent_version":null,"refresh":false}'
)


@pytest.mark.parametrize(
    ("label", "spellings", "key"),
    [
        ("PyPIPackage", ["zope.interface", "Zope_Interface", "zope-interface"], "zope-interface"),
        ("NuGetPackage", ["newtonsoft.json", "Newtonsoft.Json"], "newtonsoft.json"),
        ("CargoPackage", ["serde", "Serde"], "serde"),
        ("NPMPackage", ["@babel/core", "@babel%2Fcore"], "%40babel/core"),
        ("NPMPackage", ["JSONStream"], "JSONStream"),
        ("NPMPackage", ["jsonstream"], "jsonstream"),
        ("RubyGemsPackage", ["RedCloth"], "RedCloth"),
        ("MavenPackage", ["org.antlr:ST4"], "org.antlr/ST4"),
        ("NPMPackage", ["%40babel/core", "pkg:npm/left-pad"], ""),
    ],
)
def test_all_spellings_of_a_name_are_one_package_where_their_registry_takes_them_for_one(
    label: str, spellings: list[str], key: str
) -> None:
    assert {package_key(Message(label, spelling)) for spelling in spellings} == {key}


def refusal(raw: bytes | str) -> PoisonMessage:
    with pytest.raises(PoisonMessage) as caught:
        parse_data(raw)
    return caught.value


def document(**keys: Any) -> str:
    return json.dumps({"node_type": "PyPIPackage", "package": "six", **keys})


def test_a_message_of_depex_is_understood() -> None:
    assert parse({b"data": DEPEX_PACKAGE.encode()}) == Message(
        node_type="PyPIPackage",
        package="flask",
        moment=datetime(2025, 12, 15, 17, 20, 50, 123456),  # noqa: DTZ001
    )


def test_missing_keys_equal_their_defaults_and_unknown_keys_are_ignored() -> None:
    assert parse_data(document(colour="blue")) == Message(node_type="PyPIPackage", package="six")


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=lambda declaration: declaration.name)
def test_the_label_of_each_ecosystem_is_a_node_type(declaration: Declaration) -> None:
    label = declaration.ecosystem.label
    assert parse_data(document(node_type=label, package=declaration.example)).node_type == label


@pytest.mark.parametrize("url", ["n/a", "", None, "  "])
def test_an_unknown_repository_url_may_be_written_in_several_ways(url: str | None) -> None:
    assert parse_data(document(repository_url=url)).repository_url == "n/a"


def test_a_moment_with_a_zone_is_read() -> None:
    assert parse_data(document(moment="2025-10-09T10:00:00Z")).moment == datetime(2025, 10, 9, 10, tzinfo=UTC)


def test_strings_are_trimmed() -> None:
    message = parse_data(document(package=" six ", parent_id=" 4:a:1\n", vendor=" me "))
    assert (message.package, message.parent_id, message.vendor) == ("six", "4:a:1", "me")


def test_each_part_of_a_maven_name_is_trimmed_as_maven_does_it_with_the_elements_of_a_pom() -> None:
    message = parse_data(document(node_type="MavenPackage", package="\n  org.antlr\n : ST4 "))
    assert message.package == "org.antlr:ST4"


@pytest.mark.parametrize("constraints", ["== 1.2.3", " >=1.0,<2 ", "latest || ^1", "\t[1.2.3]"])
def test_constraints_are_kept_byte_for_byte(constraints: str) -> None:
    assert parse_data(document(constraints=constraints)).constraints == constraints


@pytest.mark.parametrize("constraints", [None, "", "  "])
def test_no_constraints_are_written_as_any(constraints: str | None) -> None:
    assert parse_data(document(constraints=constraints)).constraints == "any"


@pytest.mark.parametrize("key", ["parent_version", "parent_version_name"])
def test_both_spellings_of_the_parent_version_are_accepted(key: str) -> None:
    assert parse_data(document(**{key: "1.0"})).parent_version == "1.0"


@pytest.mark.parametrize("value", ["yesterday", "9" * 5000, 17, -1e300, True, ["me"], {"a": {}}])
@pytest.mark.parametrize("key", ["moment", "vendor", "repository_url", "parent_version", "parent_version_name"])
def test_a_field_that_nobody_reads_never_spoils_a_message(key: str, value: object) -> None:
    assert parse_data(document(**{key: value})).package == "six"
    assert parse_data(encode(parse_data(document(**{key: value})))).package == "six"


def test_keys_that_nobody_knows_are_told_and_all_of_the_contract_and_our_own_are_known() -> None:
    told: list[str] = []
    parse_data(document(colour="blue", Refresh=True), unknown=told.extend)
    assert told == ["Refresh", "colour"]
    own = encode(Message("PyPIPackage", "six", depth=1, internal=True, at_least="1", removed=True, run="r"))
    for known in (DEPEX_PACKAGE, own, document(parent_version_name="1")):
        parse_data(known, unknown=told.extend)
    assert told == ["Refresh", "colour"]


@pytest.mark.parametrize("wrap", ['{"package": %s}', "%s", '{"node_type": "PyPIPackage", "package": %s}'])
def test_a_value_that_is_too_deep_to_be_shown_is_refused_all_the_same(wrap: str) -> None:
    assert refusal(wrap % ("[" * 600 + "]" * 600)).kind == "bad_schema"


def test_an_entry_without_data_names_the_fields_that_it_has() -> None:
    with pytest.raises(PoisonMessage, match='"payload"') as caught:
        parse({b"payload": b"{}"})
    assert caught.value.kind == "missing_data"


def test_an_entry_without_data_is_told_by_its_first_five_fields() -> None:
    with pytest.raises(PoisonMessage, match='no field data \\(its fields: "a", "b", "c", "d", "e"\\)'):
        parse(dict.fromkeys("abcdefg", ""))
    with pytest.raises(PoisonMessage, match=r"no field data \(its fields: none\)"):
        parse({})


@pytest.mark.parametrize("raw", ["", "  ", b"\n"])
def test_empty_data_is_missing_data(raw: str | bytes) -> None:
    assert refusal(raw).kind == "missing_data"


@pytest.mark.parametrize("raw", ["{", "six", b'{"package": "\xff"}', '{"package": "\\ud800"}', "[" * 5000, "{'a': 1}"])
def test_text_that_is_not_json_is_told_from_json_of_the_wrong_schema(raw: str | bytes) -> None:
    assert refusal(raw).kind == "bad_json"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("[1]", "a JSON object is wanted"),
        ('{"node_type": "PyPIPackage"}', "the key package is missing"),
        ('{"package": "six"}', "the key node_type is missing"),
        (document(package=" "), 'package is " "'),
        (document(package=7), "package is 7"),
        (document(node_type=None), "node_type is null"),
        (document(refresh="yes"), 'refresh is "yes"; true or false is wanted'),
        (document(depth=-1), "depth is -1"),
        (document(depth=True), "depth is true"),
        (document(constraints=1), "constraints is 1"),
    ],
)
def test_a_wrong_schema_names_the_key_the_value_and_what_is_wanted(raw: str, said: str) -> None:
    error = refusal(raw)
    assert error.kind == "bad_schema"
    assert said in str(error)


def test_an_unknown_node_type_lists_the_known_ones() -> None:
    error = refusal(document(node_type="GoPackage"))
    assert error.kind == "unknown_node_type"
    assert "GoPackage" in str(error)
    assert all(node_type in str(error) for node_type in NODE_TYPES)


@pytest.mark.parametrize("package", ["junit", "a:b:c", ":b", "a:", "a: "])
def test_a_maven_name_has_exactly_one_colon_between_two_parts(package: str) -> None:
    error = refusal(document(node_type="MavenPackage", package=package))
    assert error.kind == "invalid_name"
    assert "two parts with exactly one : between" in str(error)


def test_a_long_value_is_shortened_in_the_reason() -> None:
    assert len(str(refusal(document(node_type="x" * 10_000)))) < 300


def test_data_beyond_the_limit_is_refused_unread() -> None:
    assert "at most" in str(refusal("[" + "1," * 1_000_000 + "1]"))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WORD = TEXT.map(str.strip).filter(bool)
MESSAGES = st.builds(
    Message,
    node_type=st.sampled_from([each.label for each in ECOSYSTEMS if not each.needs_namespace]),
    package=WORD,
    vendor=WORD,
    repository_url=WORD,
    moment=st.none() | st.datetimes() | st.datetimes(timezones=st.just(UTC)),
    constraints=TEXT.filter(str.strip),
    parent_id=st.none() | WORD,
    parent_version=st.none() | WORD,
    refresh=st.booleans(),
    depth=st.none() | st.integers(0, 1000),
    internal=st.booleans(),
)


@given(MESSAGES)
def test_what_is_encoded_is_read_back_the_same(message: Message) -> None:
    assert parse({"data": encode(message)}) == message


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | TEXT, st.lists, max_leaves=5)
KEYS = st.sampled_from(["node_type", "package", "moment", "depth", "refresh", "constraints", "parent_id", "other"])


@given(st.binary(max_size=50) | st.dictionaries(KEYS, JSON | st.sampled_from(sorted(NODE_TYPES))).map(json.dumps))
def test_anything_at_all_is_a_message_or_refused_in_one_sentence(raw: bytes | str) -> None:
    try:
        parse_data(raw)
    except PoisonMessage as caught:
        error = caught
    else:
        return
    assert error.kind in {"missing_data", "bad_json", "bad_schema", "unknown_node_type", "invalid_name"}
    assert "\n" not in str(error)


def test_what_the_daemon_asks_itself_is_encoded_only_when_it_says_something() -> None:
    assert not {"at_least", "removed", "run"} & set(json.loads(encode(Message("PyPIPackage", "six"))))
    message = Message("PyPIPackage", "six", internal=True, at_least="17", removed=True, run="r1", listed="17")
    assert parse_data(encode(message)) == message


@pytest.mark.parametrize(("key", "value"), [("at_least", 17), ("removed", "yes"), ("run", [])])
def test_an_announcement_of_another_type_is_refused_in_one_line(key: str, value: object) -> None:
    error = refusal(document(**{key: value}))
    assert error.kind == "bad_schema"
    assert key in str(error)
    assert "\n" not in str(error)
