"""Counted steps tell linear work from the rest."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.steps import assert_linear, growth, steps_of


def once(size: int) -> Callable[[], object]:
    return lambda: [number + 1 for number in range(size)]


def pairs(size: int) -> Callable[[], object]:
    return lambda: sum(1 for _ in range(size) for _ in range(size))


def test_steps_are_the_same_each_time() -> None:
    assert steps_of(once(50)) == steps_of(once(50))


def test_one_loop_is_linear_and_a_loop_in_a_loop_is_not() -> None:
    assert_linear(once)
    assert growth(pairs, 50) > 3.5
    with pytest.raises(AssertionError, match=r"twice the input takes [34]\.\d\d times"):
        assert_linear(pairs, 50)


def test_work_that_does_not_look_at_its_input_is_told() -> None:
    with pytest.raises(AssertionError, match="does not depend"):
        assert_linear(lambda size: lambda: size)


def test_the_count_leaves_another_tracer_in_place_and_lets_exceptions_through() -> None:
    before = sys.gettrace()
    with pytest.raises(ZeroDivisionError):
        steps_of(lambda: 1 // 0)
    assert sys.gettrace() is before
