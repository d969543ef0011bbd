"""The table from the lists of a difference to the steps that write them."""

from __future__ import annotations

from dataclasses import fields

from securechain_ingest.graph.difference import Difference
from securechain_ingest.graph.write_statements import WRITE


def test_every_list_of_a_difference_is_taken_by_a_step_and_each_step_takes_one() -> None:
    assert {step.rows for step in WRITE} == {each.name for each in fields(Difference)}


def test_every_list_is_first_taken_in_the_order_in_which_portions_are_filled() -> None:
    """What is in a later portion finds what was in an earlier one."""
    taken = list(dict.fromkeys(step.rows for step in WRITE))
    assert taken == [each.name for each in fields(Difference)]


def test_each_step_of_a_write_takes_its_rows_by_their_name() -> None:
    assert all("$rows.ROWS" in step.cypher for step in WRITE)
