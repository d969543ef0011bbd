"""This module writes and reads the rows of a snapshot's tables.

They have the CSV format of Neo4j's bulk import
(https://neo4j.com/docs/operations-manual/current/tools/neo4j-admin/neo4j-admin-import/): the first line names the
columns and their types, an absent value is an empty field, and a text stands in quotation marks, which are doubled
within it. The format of Python's own module csv cannot tell an absent value from an empty text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from neo4j.time import DateTime

from securechain_ingest.errors import SnapshotError

ARRAY_DELIMITER: Final = "\x1f"
"""This stands between the elements of a list. No text of a registry has it."""


class Column(NamedTuple):
    name: str
    """This is the name of a property. It is empty for an end of a relationship."""
    kind: str
    """It is `string`, `long`, `double` or `boolean`, one of them with `[]` behind it, `datetime`, `localdatetime`, or a
    purpose: `ID` is the node itself, `START_ID` and `END_ID` are the nodes that a relationship connects."""
    group: str = ""
    """A column with a purpose has the group of the node here."""

    @property
    def key(self) -> str:
        """Return the name that the column has in a row: `from` and `to` for the ends of a relationship."""
        return self.name or {"START_ID": "from", "END_ID": "to"}[self.kind]

    def __str__(self) -> str:
        return f"{self.name}:{self.kind}" + (f"({self.group})" if self.group else "")


Columns = Sequence[Column]

_FIELD: Final = re.compile(r'(?:"((?:[^"]+|"")*)"|([^,"]*))(,|\Z)', re.DOTALL)
_COLUMN: Final = re.compile(
    r"(?P<name>[^:]+):(?P<kind>(?:(?:string|long|double|boolean)(?:\[\])?|datetime|localdatetime|ID))(?:\((?P<group>\w+)\))?"
    r"|:(?P<end>START_ID|END_ID)\((?P<of>\w+)\)"
)


def type_of(value: Any) -> str | None:
    """Return the type of a property's value, or None if no column can hold it. The type of an empty list is
    `string[]`."""
    match value:
        case bool():
            return "boolean"
        case int():
            return "long"
        case float():
            return "double"
        case str():
            return "string"
        case DateTime():
            return "localdatetime" if value.tzinfo is None else "datetime"
        case list():
            types = {type_of(each) for each in value} or {"string"}
            inner = types.pop()
            return f"{inner}[]" if not types and inner in {"boolean", "long", "double", "string"} else None
    return None


def header(columns: Columns) -> str:
    """Return the first line of a table."""
    return ",".join(_quoted(str(column)) for column in columns) + "\n"


def columns_of(line: str) -> Columns:
    """Return the columns that the first line of a table names. It raises SnapshotError."""
    columns = []
    for text in _fields(line.rstrip("\n")):
        match = _COLUMN.fullmatch(text or "")
        if match is None:
            raise SnapshotError(f"the column {str(text)[:60]!r} has no known type")
        kind, group = match["kind"] or match["end"], match["group"] or match["of"] or ""
        columns.append(Column(match["name"] or "", kind, group))
    return columns


def line_of(row: Mapping[str, Any], columns: Columns) -> str:
    """Return the line of a row. Columns that the row lacks are empty."""
    return ",".join([_encoded(row.get(column.key), column.kind) for column in columns]) + "\n"


def _encoded(value: Any, kind: str) -> str:
    if value is None:
        return ""
    if kind.endswith("[]"):
        return _quoted(ARRAY_DELIMITER.join(map(_plain, value)))
    return _quoted(value) if isinstance(value, str) else _plain(value)


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.iso_format() if isinstance(value, DateTime) else str(value)


def rows_in(lines: Iterable[str], columns: Columns) -> Iterator[dict[str, Any]]:
    """Yield the rows below the first line. Values that are absent are left out.

    It raises SnapshotError for a row that has another number of columns or a value of another type.
    """
    readers = [
        (each.key, _READERS.get(each.kind.removesuffix("[]"), str), each.kind.endswith("[]")) for each in columns
    ]
    for number, record in enumerate(_records(lines), start=2):
        fields = _fields(record)
        if len(fields) != len(readers):
            raise SnapshotError(f"row {number} has {len(fields)} columns instead of {len(readers)}")
        row: dict[str, Any] = {}
        try:
            for (name, read, is_list), text in zip(readers, fields, strict=True):
                if text is None:
                    continue
                if is_list:
                    row[name] = [read(each) for each in text.split(ARRAY_DELIMITER)] if text else []
                else:
                    row[name] = read(text)
        except ValueError as error:
            raise SnapshotError(f"row {number} has a value that its column cannot hold") from error
        yield row


def _records(lines: Iterable[str]) -> Iterator[str]:
    """Yield the rows as text. A text may have line feeds, so that a row may have several lines."""
    held = ""
    for line in lines:
        held += line
        if held.count('"') % 2 == 0:
            yield held.rstrip("\n")
            held = ""
    if held:
        raise SnapshotError("the last row is cut off")


def _fields(record: str) -> Sequence[str | None]:
    found: list[str | None] = []
    position = 0
    while (match := _FIELD.match(record, position)) is not None:
        quoted, plain = match[1], match[2]
        found.append(quoted.replace('""', '"') if quoted is not None else plain or None)
        position = match.end()
        if not match[3]:
            return found
    raise SnapshotError("a row is not in the format of a snapshot")


def _boolean(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(text)
    return text == "true"


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "string": str,
    "long": int,
    "double": float,
    "boolean": _boolean,
    "datetime": DateTime.from_iso_format,
    "localdatetime": DateTime.from_iso_format,
}
