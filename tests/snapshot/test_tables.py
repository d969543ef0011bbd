"""The tables of a snapshot give back what was written. That Neo4j's own tool reads them is tested in test_offline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from neo4j.time import DateTime

from securechain_ingest.errors import SnapshotError
from securechain_ingest.snapshot.tables import Column, columns_of, header, line_of, rows_in, type_of

COLUMNS = (
    Column("purl", "ID", "package"),
    Column("name", "string"),
    Column("count", "long"),
    Column("mean", "double"),
    Column("yanked", "boolean"),
    Column("names", "string[]"),
    Column("numbers", "long[]"),
    Column("moment", "datetime"),
    Column("local", "localdatetime"),
)

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1f"), max_size=20)
MOMENTS = st.datetimes(min_value=datetime(1900, 1, 1))  # noqa: DTZ001 - both kinds are made of it
ROWS = st.fixed_dictionaries(
    {"purl": TEXT.filter(bool)},
    optional={
        "name": TEXT,
        "count": st.integers(-(2**63), 2**63 - 1),
        "mean": st.floats(allow_nan=False, allow_infinity=False),
        "yanked": st.booleans(),
        "names": st.lists(TEXT.filter(bool), max_size=4),
        "numbers": st.lists(st.integers(-5, 5), max_size=4),
        "moment": MOMENTS.map(lambda each: DateTime.from_native(each.replace(tzinfo=UTC))),
        "local": MOMENTS.map(DateTime.from_native),
    },
)


@given(st.lists(ROWS, max_size=5))
def test_every_row_comes_back_as_it_was_written(rows: list[dict[str, Any]]) -> None:
    text = header(COLUMNS) + "".join(line_of(row, COLUMNS) for row in rows)
    lines = iter(_lines(text))
    assert list(rows_in(lines, columns_of(next(lines)))) == rows


def _lines(text: str) -> list[str]:
    """Return the lines as a file with newline="\\n" gives them: only a line feed ends one."""
    return [f"{line}\n" for line in text.split("\n")[:-1]]


@given(ROWS)
def test_a_value_has_the_type_of_the_column_that_holds_it(row: dict[str, Any]) -> None:
    types = {column.name: column.kind for column in COLUMNS} | {"purl": "string"}
    for name, value in row.items():
        assert value == [] or type_of(value) == types[name]


@pytest.mark.parametrize("value", [b"bytes", {"a": 1}, [1, "a"], [[1]], None, object()])
def test_a_value_that_no_column_can_hold_has_no_type(value: object) -> None:
    assert type_of(value) is None


def test_an_absent_value_and_an_empty_text_differ() -> None:
    columns = (Column("purl", "ID", "package"), Column("name", "string"), Column("vendor", "string"))
    line = line_of({"purl": "a", "name": ""}, columns)
    assert line == '"a","",\n'
    assert list(rows_in([line], columns)) == [{"purl": "a", "name": ""}]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('"a"\n', "1 columns instead of 2"),
        ('"a",x,\n', "3 columns instead of 2"),
        ('"a",x\n', "cannot hold"),
        ('"a"b,1\n', "not in the format"),
        ('"a,1\n', "cut off"),
    ],
)
def test_a_damaged_row_is_named_by_its_number(line: str, words: str) -> None:
    columns = (Column("purl", "ID", "package"), Column("count", "long"))
    with pytest.raises(SnapshotError, match=words):
        list(rows_in([line], columns))


@pytest.mark.parametrize("line", ["name", '"name:map"', '":string"', '":START_ID"', '"a:ID(x"', "a,,b"])
def test_a_column_that_this_release_does_not_know_is_refused(line: str) -> None:
    with pytest.raises(SnapshotError, match="has no known type"):
        columns_of(line)
