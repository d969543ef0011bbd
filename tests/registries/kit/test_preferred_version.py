"""This tests the version that a user gets by default, by any order and any rank."""

from __future__ import annotations

import pytest

from securechain_ingest.registries.kit.preferred_version import Preference, preference


def by_number(name: str) -> Preference[int]:
    return preference(name, int, lambda number: (number < 100, number % 2 == 0))


@pytest.mark.parametrize(
    ("names", "preferred"),
    [
        (["2", "4", "10"], "10"),
        (["2", "11"], "2"),
        (["11", "13"], "13"),
        (["3", "200"], "3"),
        (["200", "x"], "200"),
        (["x", "y"], "y"),
        (["2", "02"], "2"),
    ],
)
def test_rank_goes_before_order_and_order_before_text_and_a_name_without_order_comes_last(
    names: list[str], preferred: str
) -> None:
    assert max(names, key=by_number) == preferred
    assert max(reversed(names), key=by_number) == preferred
