"""This module places the packages of a requirement tree for a picture: a column for each level, from left to right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from securechain_ingest.reports.requirements import RequirementNode, RequirementTree
from securechain_ingest.web.addresses import path_of_purl

WIDTH, HEIGHT = 200, 34
_GAP_X, _GAP_Y = 64, 10
_CHARACTERS: Final = 24


@dataclass(frozen=True, slots=True)
class Box:
    """This is a package in the picture, with the left upper corner of its box."""

    node: RequirementNode
    x: int
    y: int
    label: str
    """This is as much of the package's name as the box has room for."""
    path: str | None
    """This is the path of the page of the package."""
    description: str
    """These words say everything that the box shows."""

    @property
    def kind(self) -> str:
        """Return the class of the box in the stylesheet."""
        if self.node.vulnerabilities:
            return "hit"
        return "missing" if self.node.version is None else "plainly"


@dataclass(frozen=True, slots=True)
class Picture:
    """This is a whole picture."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[str, ...]
    """Each line is an SVG path from a package to one that it requires."""


def picture_of(tree: RequirementTree) -> Picture:
    """Return the picture of a tree. Within its column a package stands near to those that require it."""
    rows: dict[str, float] = {}
    boxes: dict[str, Box] = {}
    requiring: dict[str, list[str]] = {}
    for source, target, _ in tree.edges:
        requiring.setdefault(target, []).append(source)
    for level, nodes in enumerate(tree.levels()):
        ordered = sorted(nodes, key=lambda node: (_near(node, requiring, rows), node.purl))
        for row, node in enumerate(ordered):
            rows[node.purl] = row
            boxes[node.purl] = _box(node, level * (WIDTH + _GAP_X), row * (HEIGHT + _GAP_Y))
    lines = [_line(boxes[source], boxes[target]) for source, target, _ in tree.edges if source != target]
    return Picture(
        # Lines within the last column need room beside it.
        width=max(box.x for box in boxes.values()) + WIDTH + _GAP_X // 2,
        height=max(box.y for box in boxes.values()) + HEIGHT,
        boxes=tuple(boxes.values()),
        lines=tuple(lines),
    )


def _near(node: RequirementNode, requiring: dict[str, list[str]], rows: dict[str, float]) -> float:
    known = [rows[source] for source in requiring.get(node.purl, ()) if source in rows]
    return sum(known) / len(known) if known else 0.0


def _box(node: RequirementNode, x: int, y: int) -> Box:
    name = unquote(node.purl.partition("/")[2])
    description = name
    if node.vulnerabilities:
        description += f": {len(node.vulnerabilities)} advisories affect it"
    elif node.version is None:
        description += ": not in the graph yet"
    label = name if len(name) <= _CHARACTERS else f"{name[: _CHARACTERS - 1]}…"
    return Box(node, x, y, label, path_of_purl(node.version or node.purl), description)


def _line(source: Box, target: Box) -> str:
    """Return the line to a column on the right, beside the boxes of one column, or back to a column on the left."""
    bend = _GAP_X // 2
    if target.x > source.x:
        start_x, first_x, last_x, end_x = source.x + WIDTH, source.x + WIDTH + bend, target.x - bend, target.x
    elif target.x == source.x:
        start_x = end_x = source.x + WIDTH
        first_x = last_x = start_x + bend
    else:
        start_x, first_x, last_x, end_x = source.x, source.x - bend, target.x + WIDTH + bend, target.x + WIDTH
    start_y, end_y = source.y + HEIGHT // 2, target.y + HEIGHT // 2
    return f"M{start_x} {start_y}C{first_x} {start_y} {last_x} {end_y} {end_x} {end_y}"
