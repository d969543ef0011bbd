"""This module computes small bar charts, which the macro `plot` of the templates draws as SVG. Each has a title and a
description, because a picture alone says nothing to a screen reader; the pages put the same numbers into a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_HEIGHT: Final = 40
_STEP: Final = 4
"""A bar and the space behind it are so wide."""
_FEWEST: Final = 20
"""A chart has room for so many bars at least, so that a single one is no block."""


@dataclass(frozen=True, slots=True)
class Bar:
    """This is one bar, with a part at its foot that stands out."""

    label: str
    value: float
    failed: float = 0.0
    """This much of the value stands out. If it is True, the whole bar does."""


@dataclass(frozen=True, slots=True)
class Chart:
    """This is a chart as it is drawn."""

    identifier: str
    """This is unique on the page."""
    title: str
    description: str
    """These words say what the picture shows."""
    width: int
    height: int
    whole: str
    """This is the SVG path of all bars."""
    parts: str
    """This is the SVG path of the parts that stand out."""


def bars(identifier: str, title: str, shown: Sequence[Bar], *, failed: str = "") -> Chart:
    """Return a chart of the bars, the oldest first.

    `identifier` is unique on the page. `failed` is what the part that stands out is called; it is left out of the
    description if it is empty.
    """
    top = max((bar.value for bar in shown), default=0.0)
    whole: list[str] = []
    parts: list[str] = []
    for number, bar in enumerate(shown, max(0, _FEWEST - len(shown))):
        part = bar.value if bar.failed is True else min(bar.failed, bar.value)
        for paths, value in ((whole, bar.value), (parts, part)):
            if value > 0:
                # Whatever is not nothing can be seen.
                height = max(1.5, _HEIGHT * value / top)
                paths.append(f"M{number * _STEP} {_HEIGHT}v{-height:.1f}h{_STEP - 1}v{height:.1f}z")
    return Chart(
        identifier,
        title.replace("_", " "),
        _described(shown, failed),
        max(_FEWEST, len(shown)) * _STEP,
        _HEIGHT,
        "".join(whole),
        "".join(parts),
    )


def number(value: float) -> str:
    """Return a number as people read it: without a fraction if it has none, and with its thousands apart."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def _described(shown: Sequence[Bar], failed: str) -> str:
    if not any(bar.value for bar in shown):
        return "Nothing in this time."
    most = max(shown, key=lambda bar: bar.value)
    description = f"{len(shown)} values; the newest is {number(shown[-1].value)}"
    description += f", the highest {number(most.value)} ({most.label})."
    if failed and (count := sum(bar.failed for bar in shown)):
        description += f" {number(count)} {failed}."
    return description
