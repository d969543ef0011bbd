"""These are the values that a script's expressions may have, as far as they are understood without running it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Find:
    """setuptools looks for packages below this folder."""

    where: str = ""
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    namespaces: bool = False
    """Folders without `__init__.py` are packages, too."""


class Unknown:
    """Only running the script would give this value."""


UNKNOWN: Final = Unknown()

Value: TypeAlias = "str | bool | int | float | list[Value] | dict[str, Value] | Find | Unknown | None"


def strings(value: object) -> tuple[str, ...]:
    """Return the texts in a list. The result is empty for anything else."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
