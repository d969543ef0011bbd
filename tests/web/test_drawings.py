"""Pictures and plots can be read, however few or many things they show."""

from __future__ import annotations

import re
from itertools import pairwise

from securechain_ingest.reports.requirements import RequirementNode, RequirementTree
from securechain_ingest.web.picture import HEIGHT, WIDTH, picture_of
from securechain_ingest.web.plots import Bar, bars


def tree(levels: dict[str, int], *edges: tuple[str, str]) -> RequirementTree:
    nodes = {purl: RequirementNode(purl, level, f"{purl}@1") for purl, level in levels.items()}
    return RequirementTree(nodes, [(source, target, "any") for source, target in edges])


def xs(line: str) -> list[float]:
    """Return how far to the right the points of a line lie."""
    return [float(x) for x in re.findall(r"(-?[\d.]+) -?[\d.]+", line)]


def test_a_line_within_a_column_runs_beside_its_boxes_and_within_the_picture() -> None:
    shown = picture_of(tree({"a": 0, "b": 1, "c": 1}, ("a", "b"), ("a", "c"), ("b", "c")))
    edge = next(box.x for box in shown.boxes if box.node.purl == "b") + WIDTH
    assert all(edge <= x <= shown.width for x in xs(shown.lines[2]))


def test_a_line_back_to_an_earlier_column_runs_between_the_columns() -> None:
    shown = picture_of(tree({"a": 0, "b": 1}, ("a", "b"), ("b", "a")))
    left, right = (box.x for box in shown.boxes)
    assert all(left + WIDTH <= x <= right for x in xs(shown.lines[1]))


def test_boxes_do_not_overlap() -> None:
    boxes = picture_of(tree({"a": 0, **{f"b{number}": 1 for number in range(20)}})).boxes
    rows = sorted(box.y for box in boxes if box.x > 0)
    assert len(rows) == 20
    assert all(below - above >= HEIGHT for above, below in pairwise(rows))


def test_a_single_bar_stands_at_the_right_and_is_no_block() -> None:
    shown = bars("b", "title", [Bar("now", 5.0)])
    [start] = re.findall(r"M(\d+) \d+v", shown.whole)
    assert shown.width - 5 <= int(start) < shown.width
    assert shown.width >= 40


def test_many_bars_all_stand_within_the_chart() -> None:
    shown = bars("b", "title", [Bar(str(number), 1.0) for number in range(168)])
    starts = [int(start) for start in re.findall(r"M(\d+) \d+v", shown.whole)]
    assert (len(starts), starts[0]) == (168, 0)
    assert starts[-1] < shown.width
