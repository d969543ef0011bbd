"""Alerting rules and the dashboard ask for figures that a daemon has; the documents say what to do about each alert."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from securechain_ingest.queue.dead_letters import KINDS
from tests.reference.metrics import series

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "monitoring"

# Prometheus adds these to every series that it scrapes, in the place of any that a program has.
OF_PROMETHEUS = {"instance", "job"}

RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"] for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
TARGETS = [(panel["title"], target) for panel in PANELS for target in panel.get("targets", ())]


def parsed(expression: str) -> Any:
    return promql_parser.parse(re.sub(r"\$__(?:rate_)?interval", "5m", expression))


def selectors(node: Any) -> Iterator[Any]:
    """Yield every selector of series within an expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for part in ("vector_selector", "expr", "lhs", "rhs", "param"):
        yield from selectors(getattr(node, part)) if getattr(node, part, None) is not None else ()
    for argument in getattr(node, "args", None) or ():
        yield from selectors(argument)


def names_of_labels(node: Any) -> Iterator[str]:
    """Yield every label that an expression groups or joins by."""
    modifier = getattr(node, "modifier", None)
    if isinstance(node, promql_parser.AggregateExpr) and modifier is not None:
        yield from modifier.labels
    elif modifier is not None and getattr(modifier, "matching", None) is not None:
        yield from modifier.matching.labels
    for part in ("expr", "lhs", "rhs"):
        if getattr(node, part, None) is not None:
            yield from names_of_labels(getattr(node, part))
    for argument in getattr(node, "args", None) or ():
        yield from names_of_labels(argument)


def unknown(expression: str) -> set[str]:
    """Return what an expression names that no daemon exposes."""
    known, tree = series(), parsed(expression)
    found = set()
    labels = set(OF_PROMETHEUS)
    for selector in selectors(tree):
        if selector.name not in known:
            found.add(selector.name)
            continue
        labels |= known[selector.name]
        found |= {matcher.name for matcher in selector.matchers.matchers} - known[selector.name] - OF_PROMETHEUS
    return found | (set(names_of_labels(tree)) - labels)


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("sum by (kind) (rate(securechain_requests_total[5m]))", {"kind"}),
        ('securechain_requests_total{state="200"}', {"state"}),
        ("securechain_requests > 1 and on (store) securechain_store_up", {"securechain_requests"}),
        ("securechain_stuck and on (shop) securechain_store_up", {"shop"}),
        (
            "histogram_quantile(0.9, sum by (le) (rate(securechain_parse_duration_seconds_bucket[$__rate_interval])))",
            set(),
        ),
    ],
)
def test_an_expression_that_asks_for_what_is_not_there_is_found(expression: str, found: set[str]) -> None:
    assert unknown(expression) == found


def test_no_figure_has_a_label_that_prometheus_replaces() -> None:
    assert not [name for name, labels in series().items() if labels & OF_PROMETHEUS]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_figures_that_are_there(rule: dict[str, Any]) -> None:
    assert unknown(rule["expr"]) == set()
    labels = set().union(*(series()[selector.name] for selector in selectors(parsed(rule["expr"])))) | OF_PROMETHEUS
    assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= labels


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_has_a_section_that_says_what_to_do(rule: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
    assert f"\n### {rule['alert']}\n" in page
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}


def test_no_section_stands_for_an_alert_that_is_not_there() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert re.findall(r"^### (Securechain\w+)$", page, re.MULTILINE) == [rule["alert"] for rule in RULES]


@pytest.mark.parametrize(("title", "target"), TARGETS, ids=[f"{title}-{each['refId']}" for title, each in TARGETS])
def test_a_panel_asks_for_figures_that_are_there(title: str, target: dict[str, Any]) -> None:
    assert title
    assert unknown(target["expr"]) == set()
    grouped = set(names_of_labels(parsed(target["expr"]))) | OF_PROMETHEUS
    assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= grouped


def test_panels_have_ids_of_their_own_and_do_not_lie_upon_each_other() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for one, other in combinations([panel["gridPos"] for panel in PANELS], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in PANELS)


def test_every_figure_of_the_installation_is_on_the_dashboard_or_in_an_alert() -> None:
    expressions = [rule["expr"] for rule in RULES] + [target["expr"] for _, target in TARGETS]
    used = {selector.name for expression in expressions for selector in selectors(parsed(expression))}
    families = {re.sub(r"_(?:bucket|sum|count)$", "", name) for name in series()}
    shown = {re.sub(r"_(?:bucket|sum|count)$", "", name) for name in used}
    left_out = {name for name in families - shown if "_process_" not in name}
    assert left_out == {"securechain_submissions"}


def test_prometheus_is_told_of_the_rules_and_of_a_daemon() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    assert [FOLDER / name for name in config["rule_files"]] == [FOLDER / "alerts.yaml"]
    assert config["scrape_configs"][0]["static_configs"][0]["targets"] == ["127.0.0.1:3000"]


def test_each_kind_of_dead_letter_has_a_section_that_says_what_to_do() -> None:
    section = (ROOT / "docs" / "operations.md").read_text().split("\n## Dead letters\n")[1].split("\n## ")[0]
    assert re.findall(r"^### (.+)$", section, re.MULTILINE) == [*KINDS]
