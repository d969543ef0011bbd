"""This tests intervals of versions: the algebra that the constraints of all ecosystems are worked out with.

Versions are whole numbers here; those between them, which no bound names, are tried as quarters.
"""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.registries.kit.intervals import Bound, Interval, gaps, in_order, intersection, union

VERSIONS = [number / 4 for number in range(-3, 29)]
EVERYTHING: Interval[float] = Interval()


def bound(version: float, is_above: bool) -> Bound[float]:
    return Bound(version, is_above, str(version))


bounds = st.builds(bound, st.integers(0, 6).map(float), st.booleans()) | st.none()
any_interval = st.builds(Interval, bounds, bounds)
any_intervals = st.lists(any_interval, max_size=5)


def held(*intervals: Interval[float]) -> set[float]:
    return {version for version in VERSIONS if any(interval.holds(version) for interval in intervals)}


def read_comparators(comparators: list[str]) -> Interval[float]:
    read = EVERYTHING
    for comparator in comparators:
        operator, version = re.fullmatch(r"([<>]=?) ?(.*)", comparator).groups()  # type: ignore[union-attr]
        at = bound(float(version), operator in (">", "<="))
        read &= Interval(low=at) if operator[0] == ">" else Interval(high=at)
    return read


def read_brackets(text: str) -> Interval[float]:
    opening, low, _, high, closing = re.fullmatch(r"([\[(])([^,]*)(, )?([^,]*)([\])])", text).groups()  # type: ignore[union-attr]
    return Interval(
        bound(float(low), opening == "(") if low else None,
        bound(float(high or low), closing == "]") if high or "," not in text else None,
    )


@given(any_interval)
def test_an_interval_is_empty_exactly_if_it_holds_no_version(interval: Interval[float]) -> None:
    assert interval.is_empty == (not held(interval))


@given(any_interval)
def test_an_interval_is_single_exactly_if_it_holds_one_version(interval: Interval[float]) -> None:
    assert (interval.is_single and not interval.is_empty) == (len(held(interval)) == 1)


@given(any_interval, any_interval)
def test_what_two_intervals_have_in_common_is_what_both_hold(one: Interval[float], other: Interval[float]) -> None:
    assert held(one & other) == held(one) & held(other)
    assert one & other == other & one
    assert one & EVERYTHING == one


@given(any_intervals, any_intervals)
def test_the_intersection_of_two_lists_is_what_each_of_them_holds(
    some: list[Interval[float]], others: list[Interval[float]]
) -> None:
    found = intersection(some, others)

    assert held(*found) == held(*some) & held(*others)
    assert not any(interval.is_empty for interval in found)


@given(any_intervals)
def test_intervals_in_order_lack_the_empty_ones_and_begin_one_after_the_other(intervals: list[Interval[float]]) -> None:
    ordered = in_order(intervals)

    assert held(*ordered) == held(*intervals)
    assert len(ordered) == sum(not interval.is_empty for interval in intervals)
    beginnings = [interval.low for interval in ordered]
    assert beginnings == sorted(beginnings, key=lambda low: (low is not None, low))


@given(any_intervals, st.booleans())
def test_a_union_holds_what_any_of_its_intervals_holds_and_nothing_twice(
    intervals: list[Interval[float]], joins_touching: bool
) -> None:
    united = union(intervals, joins_touching=joins_touching)

    assert held(*united) == held(*intervals)
    assert sum(len(held(interval)) for interval in united) == len(held(*intervals))
    for one, later in pairwise(united):
        assert one.high is not None
        assert later.low is not None
        assert one.high < later.low if joins_touching else one.high <= later.low
    assert union(united, joins_touching=joins_touching) == united
    assert union(reversed(intervals), joins_touching=joins_touching) == united


@given(any_intervals)
def test_gaps_are_what_no_interval_holds_and_the_gaps_between_gaps_are_the_intervals(
    intervals: list[Interval[float]],
) -> None:
    between = gaps(intervals)

    assert held(*between) == set(VERSIONS) - held(*intervals)
    assert gaps(between) == union(intervals, joins_touching=True)


@given(any_interval)
def test_comparators_say_what_an_interval_holds(interval: Interval[float]) -> None:
    assert read_comparators(interval.comparators()) == interval
    assert read_comparators(interval.comparators(" ")) == interval


@given(any_interval.filter(lambda interval: not interval.is_empty))
def test_brackets_say_what_an_interval_holds(interval: Interval[float]) -> None:
    assert read_brackets(interval.in_brackets(", ")) == interval


@pytest.mark.parametrize("is_above", [False, True])
def test_of_equal_bounds_the_text_of_the_interval_that_comes_first_is_kept(is_above: bool) -> None:
    short, long = Bound(1, is_above, "1"), Bound(1, is_above, "1.0")

    for first, second in ((short, long), (long, short)):
        assert (Interval(first) & Interval(second)).comparators() == Interval(first).comparators()
        assert (Interval(high=first) & Interval(high=second)).comparators() == Interval(high=first).comparators()
        [joined] = union([Interval(high=first), Interval(high=second)], joins_touching=False)
        assert joined.comparators() == Interval(high=first).comparators()
        [joined] = union([Interval(first), Interval(second)], joins_touching=False)
        assert joined.comparators() == Interval(first).comparators()
