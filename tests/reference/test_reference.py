"""Pages that are made from the code are what the code makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from securechain_ingest.settings import TABLES
from tests.reference import PAGES
from tests.reference.configuration import explanations, page
from tests.reference.markdown import table


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_is_what_the_code_makes(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == PAGES[path](), "run `make docs`"


def test_every_setting_has_a_row_with_its_variable() -> None:
    text = page()
    for name, model in TABLES.items():
        section = text.split(f"## [{name}]")[1].split("\n## ")[0]
        assert [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")] == [*model.model_fields]


def test_a_comment_is_about_the_keys_behind_it_and_one_before_a_table_about_the_table() -> None:
    text = """
# All of it. live
[one]
# The first
# two. REDIS_PORT, 1 to 9. restart
a = 1
b = 2
# A third. live
# c = 3
d = 4
"""
    found = explanations(text)["one"]
    assert found.about == "All of it."
    assert dict(found.keys) == {"a": "The first two. 1 to 9.", "b": "The first two. 1 to 9.", "c": "A third.", "d": ""}


def test_a_cell_may_have_the_sign_that_ends_cells() -> None:
    assert table(("a",), [("^1 || ^2",)]) == "| a |\n| --- |\n| ^1 \\|\\| ^2 |"
