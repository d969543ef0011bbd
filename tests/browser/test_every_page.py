"""This tests what holds for each page: it can be read and worked with by everybody, and asks nobody else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.browser.visitor import PHONE, WIDE, Visitor

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

# A live page may replace its elements meanwhile, so that an element is known by what it is, not by a mark.
KEY = """const key = (each) => [each.tagName, each.id, each.getAttribute("href"), each.name, each.value,
  each.getAttribute("aria-label") || each.textContent.trim().slice(0, 60)].join(" ");"""

REACHABLE = f"""() => {{ {KEY}
  return [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")]
    .filter((each) => each.tabIndex >= 0 && !each.disabled && each.type !== "hidden" && each.checkVisibility())
    .map(key); }}"""

FOCUSED = f"""() => {{ {KEY}
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  return {{
    key: key(element),
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1,
    seen: box.width > 0 && box.right > 0 && box.left < innerWidth && box.bottom > 0 && box.top < innerHeight,
  }}; }}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_has_what_axe_objects_to(operator: Visitor, paths: list[str], axe: str, scheme: str) -> None:
    found: dict[str, list[str]] = {}
    for path in paths:
        await operator.open(path)
        await operator.page.evaluate(axe)
        for width in (PHONE, WIDE):
            await operator.look(width, scheme)
            said = await operator.page.evaluate(
                f"axe.run(document, {{runOnly: {json.dumps(RULES)}, resultTypes: ['violations']}})"
            )
            if told := [line for each in said["violations"] for line in _told(each)]:
                found[f"{path} at {width}"] = told
    assert found == {}


def _told(violation: dict[str, Any]) -> list[str]:
    return [f"{violation['id']}: {node['html'][:200]} ({node.get('failureSummary')})" for node in violation["nodes"]]


async def test_no_page_is_wider_than_a_phone(operator: Visitor, paths: list[str]) -> None:
    too_wide = {}
    for path in paths:
        await operator.look(PHONE, "light")
        await operator.open(path)
        if extra := await operator.page.evaluate(OVERFLOW):
            too_wide[path] = extra
    assert too_wide == {}


async def test_everything_is_reached_by_the_keyboard_and_shows_that_it_is(operator: Visitor, paths: list[str]) -> None:
    for path in paths:
        await operator.open(path)
        wanted = await operator.page.evaluate(REACHABLE)
        reached: set[str] = set()
        for _ in range(len(wanted) + 1):
            await operator.page.keyboard.press("Tab")
            if (focused := await operator.page.evaluate(FOCUSED)) is None:
                break
            assert focused["outlined"], f"{path}: no sign of focus: {focused['key']}"
            assert focused["seen"], f"{path}: the focus is out of sight: {focused['key']}"
            reached.add(focused["key"])
        assert set(wanted) <= reached, f"{path}: {set(wanted) - reached}"


async def test_the_first_stop_of_the_keyboard_leads_to_the_content(operator: Visitor, paths: list[str]) -> None:
    for path in paths:
        await operator.open(path)
        await operator.page.keyboard.press("Tab")
        await operator.page.keyboard.press("Enter")
        assert await operator.page.evaluate("document.activeElement.id") == "content", path


async def test_every_page_has_a_title_of_its_own_and_one_heading(operator: Visitor, paths: list[str]) -> None:
    titles = []
    for path in paths:
        await operator.open(path)
        titles.append(await operator.page.title())
        assert await operator.page.get_by_role("heading", level=1).count() == 1, path
        landmarks = {each: await operator.page.locator(each).count() for each in ("header", "nav", "main", "footer")}
        assert landmarks == dict.fromkeys(landmarks, 1), path
    assert len(set(titles)) == len(titles)
