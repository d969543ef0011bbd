"""This tests what an import name may look like."""

from __future__ import annotations

from securechain_ingest.registries.kit.import_name_rules import MAX_NAMES, clean, import_names


def test_names_are_sorted_and_unique() -> None:
    assert clean(["b", "a.c", "b", "a"]) == ["a", "a.c", "b"]


def test_names_that_would_break_a_regular_expression_are_left_out() -> None:
    assert clean(["@babel/core", "serde::de", "a-b_c.d", "a*", "a(b)", "a b", "a\n", "é", ""]) == [
        "@babel/core",
        "a-b_c.d",
        "serde::de",
    ]


def test_of_too_many_names_the_cut_is_told() -> None:
    found = import_names(["a", *(f"a.b.c{number}" for number in range(MAX_NAMES))], separator=".")
    assert len(found.names) == MAX_NAMES
    assert found.names[0] == "a"
    assert found.error == f"of {MAX_NAMES + 1} names the {MAX_NAMES} nearest to the root are kept"


def test_names_longer_than_255_characters_are_left_out_and_told() -> None:
    found = import_names(["a", "b" * 255, "c" * 256], separator="/")
    assert found.names == ("a", "b" * 255)
    assert found.error == "1 names longer than 255 characters are left out"


def test_all_names_together_have_a_mebibyte_and_those_nearest_to_the_root_come_first() -> None:
    deep = [f"a/{'x' * 240}/{number}" for number in range(4_900)]
    found = import_names([*deep, "z", "y/b"], separator="/")
    assert {"z", "y/b"} <= set(found.names)
    assert sum(map(len, found.names)) <= 1024 * 1024
    assert found.error == f"of 4902 names the {len(found.names)} nearest to the root are kept"
