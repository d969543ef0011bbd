"""What an import name may look like."""

from __future__ import annotations

from securechain_ingest.registries.import_name_rules import clean


def test_names_are_sorted_and_unique() -> None:
    assert clean(["b", "a.c", "b", "a"]) == ["a", "a.c", "b"]


def test_names_that_would_break_a_regular_expression_are_left_out() -> None:
    assert clean(["@babel/core", "serde::de", "a-b_c.d", "a*", "a(b)", "a b", "a\n", "é", ""]) == [
        "@babel/core",
        "a-b_c.d",
        "serde::de",
    ]
