"""This tests what holds for each page: it can be read and worked with by everybody, and asks nobody else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.browser.visitor import PHONE, WIDE, PageVisitor

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(1200)]

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")

# Another scheme changes nothing but colours, and only these rules look at them.
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}

LOOKS = ((PHONE, "light", RULES), (WIDE, "light", RULES), (WIDE, "dark", COLOURS), (PHONE, "dark", COLOURS))

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

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


async def test_no_page_has_what_axe_objects_to(reader: PageVisitor, paths: list[str], axe: str) -> None:
    found: dict[str, list[str]] = {}
    for path in paths:
        await reader.open(path)
        await reader.page.evaluate(axe)
        for width, scheme, rules in LOOKS:
            await reader.look(width, scheme)
            said = await reader.page.evaluate(
                f"axe.run(document, {{runOnly: {json.dumps(rules)}, resultTypes: ['violations']}})"
                ".then((said) => said.violations)"
            )
            if told := [line for each in said for line in _told(each)]:
                found[f"{path} at {width}, {scheme}"] = told
    assert found == {}


def _told(violation: dict[str, Any]) -> list[str]:
    return [f"{violation['id']}: {node['html'][:200]} ({node.get('failureSummary')})" for node in violation["nodes"]]


async def test_no_page_is_wider_than_a_phone(reader: PageVisitor, paths: list[str]) -> None:
    too_wide = {}
    for path in paths:
        await reader.look(PHONE, "light")
        await reader.open(path)
        if extra := await reader.page.evaluate(OVERFLOW):
            too_wide[path] = extra
    assert too_wide == {}


async def test_everything_is_reached_by_the_keyboard_and_shows_that_it_is(
    reader: PageVisitor, paths: list[str]
) -> None:
    for path in paths:
        await reader.open(path)
        wanted = await reader.page.evaluate(REACHABLE)
        reached: set[str] = set()
        for _ in range(len(wanted) + 1):
            await reader.page.keyboard.press("Tab")
            if (focused := await reader.page.evaluate(FOCUSED)) is None:
                break
            assert focused["outlined"], f"{path}: no sign of focus: {focused['key']}"
            assert focused["seen"], f"{path}: the focus is out of sight: {focused['key']}"
            reached.add(focused["key"])
        assert set(wanted) <= reached, f"{path}: {set(wanted) - reached}"


async def test_the_first_stop_of_the_keyboard_leads_to_the_content(reader: PageVisitor, paths: list[str]) -> None:
    for path in paths:
        await reader.open(path)
        await reader.page.keyboard.press("Tab")
        await reader.page.keyboard.press("Enter")
        assert await reader.page.evaluate("document.activeElement.id") == "content", path


async def test_every_page_has_a_title_of_its_own_and_one_heading(reader: PageVisitor, paths: list[str]) -> None:
    titles = []
    for path in paths:
        await reader.open(path)
        titles.append(await reader.page.title())
        assert await reader.page.get_by_role("heading", level=1).count() == 1, path
        landmarks = {each: await reader.page.locator(each).count() for each in ("header", "nav", "main", "footer")}
        assert landmarks == dict.fromkeys(landmarks, 1), path
    assert len(set(titles)) == len(titles)
