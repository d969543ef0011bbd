"""Pages that are made from the code are what the code makes."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from securechain_ingest.configuration import TABLES
from securechain_ingest.errors import IngestError
from securechain_ingest.queue.dead_letters import KINDS
from tests.reference import DOCS, PAGES
from tests.reference.configuration import explanations, page
from tests.reference.made import daemon_figures, installation_figures
from tests.reference.markdown import table
from tests.reference.metrics import exposed_name, families, labels_of


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


EXPOSITIONS = (daemon_figures, installation_figures)
BASE_UNITS = ("seconds", "bytes")
NOT_BASE_UNITS = ("milliseconds", "_ms", "minutes", "hours", "kilobytes", "megabytes", "percent")


@pytest.mark.parametrize("figures", EXPOSITIONS)
def test_figures_keep_to_the_conventions_of_prometheus(figures: Callable[[], str]) -> None:
    for family in families(figures()):
        name = exposed_name(family)
        assert re.fullmatch(r"securechain_[a-z][a-z0-9_]*", name)
        assert family.documentation.endswith(".")
        assert name.endswith("_total") == (family.type == "counter")
        assert not any(unit in name for unit in NOT_BASE_UNITS)
        assert family.type in {"counter", "gauge", "histogram"}
        for label in labels_of(family):
            assert re.fullmatch(r"[a-z][a-z_]*", label)
        words = name.removesuffix("_total").split("_")
        assert not set(words[:-1]) & set(BASE_UNITS), "a unit stands at the end"


def test_every_series_that_can_be_told_beforehand_is_there_at_the_first_scrape() -> None:
    text = daemon_figures() + installation_figures()
    for line in (
        'securechain_requests_total{endpoint="pypi",status="429"} ',
        'securechain_received_bytes_total{endpoint="osv"} ',
        'securechain_messages_total{ecosystem="nuget",lane="asked",outcome="failed"} ',
        'securechain_runs_total{outcome="failed",schedule="advisory_sync"} ',
        'securechain_dead_letters{kind="malformed"} 0.0',
        'securechain_lane_messages{ecosystem="npm",lane="completed"} 0.0',
        'securechain_endpoint_paused_seconds{endpoint="crates_api"} 0.0',
        'securechain_ecosystem_paused{ecosystem="maven"} 0.0',
        'securechain_parser_strikes_total{reason="died"} ',
        "securechain_stuck 0.0",
    ):
        assert f"\n{line}" in text


def kinds_of_poison_messages() -> Iterator[str]:
    """Yield those that the code gives where it raises one."""
    for path in (DOCS.parent / "securechain_ingest").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "PoisonMessage":
                yield from (str(word.value.value) for word in node.keywords if isinstance(word.value, ast.Constant))


def test_each_kind_of_failure_that_puts_messages_aside_is_among_the_kinds() -> None:
    """Those that do not are a registry's own troubles, of which no message pays, and errors of commands, jobs and
    the client."""
    elsewhere = {"unreachable", "rate_limited", "no_room", "archives_away", "cursor_lost", "too_many_removals"}
    elsewhere |= {"no_daemon", "error", "upstream", "not_ended", "nothing_kept", "paused", "snapshot"}
    classes, found = [IngestError], set()
    while classes:
        each = classes.pop()
        classes += each.__subclasses__()
        found.add(each.kind)
    found |= set(kinds_of_poison_messages())
    assert set(KINDS) == found - elsewhere | {"delivery_cap", "internal_error", "unknown"}
