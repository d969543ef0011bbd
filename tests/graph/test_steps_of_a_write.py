"""This tests the table from the lists of a difference to the steps that write them."""

from __future__ import annotations

from dataclasses import fields, replace

from securechain_ingest.graph.difference import Difference
from securechain_ingest.graph.identity import identify
from securechain_ingest.graph.write_statements import WRITE
from securechain_ingest.model import LeftOut, Rating
from tests.graph.builders import pypi, version, write


def test_every_list_of_a_difference_is_taken_by_a_step_and_each_step_takes_one() -> None:
    assert {step.rows for step in WRITE} == {each.name for each in fields(Difference)}


def test_every_list_is_first_taken_in_the_order_in_which_portions_are_filled() -> None:
    """What is in a later portion finds what was in an earlier one."""
    taken = list(dict.fromkeys(step.rows for step in WRITE))
    assert taken == [each.name for each in fields(Difference)]


def test_each_step_of_a_write_takes_its_rows_by_their_name() -> None:
    assert all("$rows.ROWS" in step.cypher for step in WRITE)


def test_a_version_without_vulnerabilities_is_created_without_sending_an_empty_list() -> None:
    """It would take Neo4j 128 bytes on the disk; the statement makes one that takes none."""
    difference = Difference()
    six = pypi("six")
    written = write(six, "1.0", "2.0", ratings={"2.0": Rating(5.0, 5.0, ("GHSA-1",))})
    difference.add_package(written, identify(six, ()), parent_property="purl")
    sent = {row["properties"]["name"]: row["properties"].get("vulnerabilities") for row in difference.created_versions}
    assert sent == {"1.0": None, "2.0": ["GHSA-1"]}


def test_a_target_that_several_leave_out_is_left_out_as_the_one_asks_for_it_that_asks_for_most() -> None:
    target, difference = pypi("six"), Difference()
    asked = {"shallow": LeftOut(1, first=False), "deep": LeftOut(None, first=False), "first": LeftOut(None, first=True)}
    for name, leave_out in asked.items():
        ref = pypi(name)
        written = replace(write(ref, version(ref, "1.0", {target: "any"}), follow=False), leave_out=leave_out)
        difference.add_package(written, identify(ref, ()), parent_property="purl")
    [portion] = difference.portions(100)
    [row] = portion["targets"]
    assert (row["package"], row["depth"], row["first"]) == ("pkg:pypi/deep", None, False)
