"""No text is too long for a page: whatever strangers, registries and other releases write, all of it can be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from securechain_ingest.times import in_words
from securechain_ingest.web import rendering
from tests.browser.long_texts import PATHS, long_texts
from tests.browser.visitor import PageVisitor
from tests.demo.running import Demo

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(1200)]

TOO_WIDE = """() => {
  const root = document.documentElement;
  for (const each of document.querySelectorAll("details")) each.open = true;
  const told = (each) => `${each.tagName} ${each.getAttribute("class")} ${each.textContent.trim().slice(0, 40)}`;
  const isElsewhere = (each) => each.closest(".hidden, .skip, thead") || each.parentElement?.closest(".wide");
  const holdsMore = (each) => each.matches("main, main :not(svg *, input, select, table, tbody, tr)")
    && getComputedStyle(each).display !== "inline" && getComputedStyle(each).overflowX === "visible"
    && each.scrollWidth > each.clientWidth + 1;
  const standsOut = (each) => {
    const box = each.getBoundingClientRect();
    return box.width > 0 && (box.left < -1 || box.right > root.clientWidth + 1);
  };
  const found = [...document.body.querySelectorAll("*")]
    .filter((each) => each.checkVisibility() && !isElsewhere(each) && (standsOut(each) || holdsMore(each)));
  return { wider: root.scrollWidth - root.clientWidth, found: found.map(told) };
}"""
"""This tells how much wider the page is than its window, and which elements stand out of it or hold more than they have
room for, with everything opened that can be. What scrolls within a frame of its own, and what only screen readers see,
is elsewhere."""

SPREAD = """() => {
  const sheet = new CSSStyleSheet();
  const rules = ["letter-spacing: .12em", "word-spacing: .16em", "line-height: 1.5"];
  sheet.replaceSync(`*, ::before { ${rules.map((each) => `${each} !important`).join("; ")} }`);
  document.adoptedStyleSheets = [sheet];
}"""
"""This spreads all text as far as WCAG 2.2 demands that a page bears it (success criterion 1.4.12). It also stands for
the fonts of other machines, which are wider than those of this one."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def operator(chromium: PageVisitor, shown: Demo) -> AsyncIterator[PageVisitor]:
    """Yield somebody who has logged in where all texts are long, ages included."""
    longest_age = in_words(0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(rendering.ENVIRONMENT.filters, "age", lambda _: longest_age)
        async with (
            long_texts(shown) as website,
            PageVisitor(chromium.browser, website.address).anew(is_still=True) as visitor,
        ):
            await visitor.log_in()
            yield visitor


@pytest.mark.parametrize("is_spread", [False, True], ids=["as it is", "with spread text"])
async def test_no_page_is_wider_than_its_window_whatever_stands_on_it(operator: PageVisitor, is_spread: bool) -> None:
    found: dict[str, Any] = {}
    for path in PATHS:
        await operator.page.goto(operator.origin + path)
        if is_spread:
            await operator.page.evaluate(SPREAD)
        for width in (320, 390, 768, 1024, 1440):
            await operator.page.set_viewport_size({"width": width, "height": 900})
            told = await operator.page.evaluate(TOO_WIDE)
            if told != {"wider": 0, "found": []}:
                found[f"{path[:60]} at {width}"] = told
    assert found == {}
