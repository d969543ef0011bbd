"""This module reads documents of lines, rows or entries: one that cannot be read is left out alone, and is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from securechain_ingest.archives.faults import tell
from securechain_ingest.errors import InvalidName, Malformed

Line = TypeVar("Line")
Read = TypeVar("Read")

_MAX_CHARACTERS: Final = 200
_NOT_A_LINE: Final = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    RecursionError,
    Malformed,
    InvalidName,
)


class Lines:
    """This reads the lines of one document."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.left_out = 0
        """So many lines could not be read so far."""

    def read(self, lines: Iterable[Line], read: Callable[[Line], Read | None]) -> Iterator[Read]:
        """Yield what `read` makes of each line, except None.

        A line for which `read` raises an error of its contents is left out; at the end one report says how many there
        were and what was wrong with the first. If nothing at all could be read, it is another document and Malformed is
        raised.
        """
        first = ""
        has_read = False
        for number, line in enumerate(lines, start=1):
            try:
                value = read(line)
            except _NOT_A_LINE as error:
                self.left_out += 1
                first = first or f"line {number}: {' '.join(str(error).split())}"[:_MAX_CHARACTERS]
                continue
            if value is not None:
                has_read = True
                yield value
        if self.left_out and not has_read:
            raise Malformed(f"nothing of {self._url} can be read ({first})", url=self._url)
        if self.left_out:
            tell("lines_unreadable", url=self._url, count=self.left_out, first=first)
