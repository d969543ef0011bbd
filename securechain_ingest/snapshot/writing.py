"""This module sorts rows into the files of a snapshot.

All rows of a file have the same columns. A row with a property of another program, or with a value of another type than
the column has, goes into a further file that has a column for it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from securechain_ingest.snapshot.manifest import Kind, Part
from securechain_ingest.snapshot.parts import PartWriter
from securechain_ingest.snapshot.tables import ARRAY_DELIMITER, Column, Columns, header, line_of, type_of

_Others = tuple[tuple[str, str], ...]
"""These are the names and types of a row's values that do not fit the table's own columns."""


class SnapshotFiles:
    """This writes the files of one snapshot into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tables: dict[tuple[Kind, str | None, _Others], tuple[PartWriter, Columns]] = {}
        self._lines: dict[Kind, PartWriter] = {}
        self.left_out: Counter[str] = Counter()
        """This counts the values that no column can hold. Only another program can have written them."""

    def add(self, kind: Kind, ecosystem: str | None, columns: Columns, row: Mapping[str, Any]) -> None:
        """Write one row of a table. `columns` are those that every file of the table has."""
        types = {column.key: column.kind for column in columns}
        others: list[tuple[str, str]] = []
        fitting = {}
        for name, value in row.items():
            if value is None:
                continue
            actual = _type_of(value)
            expected = types.get(name)
            if actual is None or ":" in name:
                self.left_out["values"] += 1
                continue
            fitting[name] = value
            if expected != actual and not _fits(value, actual, expected):
                others.append((name, actual))
        writer, all_columns = self._table(kind, ecosystem, columns, tuple(sorted(others)))
        writer.write(line_of(fitting, all_columns))

    def _table(
        self, kind: Kind, ecosystem: str | None, columns: Columns, others: _Others
    ) -> tuple[PartWriter, Columns]:
        key = kind, ecosystem, others
        if key not in self._tables:
            number = sum(1 for each, of, _ in self._tables if (each, of) == (kind, ecosystem))
            name = "-".join([kind, *([ecosystem] if ecosystem else []), f"{number:02}"])
            types = dict(others)
            own = [column._replace(kind=types.pop(column.name, column.kind)) for column in columns]
            all_columns = (*own, *(Column(name, actual) for name, actual in types.items()))
            writer = PartWriter(self._folder, f"{name}.csv.gz", kind, ecosystem, header(all_columns))
            self._tables[key] = writer, all_columns
        return self._tables[key]

    def add_line(self, kind: Kind, line: str) -> None:
        """Write one line of a file that is not a table."""
        if kind not in self._lines:
            self._lines[kind] = PartWriter(self._folder, f"{kind}.jsonl.gz", kind, None)
        self._lines[kind].write(line + "\n")

    def close(self) -> tuple[Part, ...]:
        """Finish all files, and return what the manifest says of them."""
        return tuple(writer.close() for writer in self._writers)

    def abandon(self) -> None:
        """Close all files without finishing them."""
        for writer in self._writers:
            writer.abandon()

    @property
    def _writers(self) -> list[PartWriter]:
        return [writer for writer, _ in self._tables.values()] + list(self._lines.values())


def _type_of(value: Any) -> str | None:
    """Return the type of a value that a column can hold, or None."""
    values = value if isinstance(value, list) else [value]
    if any(isinstance(each, float) and not math.isfinite(each) for each in values):
        return None
    if isinstance(value, list) and any(
        isinstance(each, str) and (not each or ARRAY_DELIMITER in each) for each in value
    ):
        return None
    return type_of(value)


def _fits(value: Any, actual: str, expected: str | None) -> bool:
    if expected is None:
        return False
    if expected in {"ID", "START_ID", "END_ID"}:
        return actual == "string"
    return value == [] and expected.endswith("[]")
