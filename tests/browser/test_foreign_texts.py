"""Texts that strangers have written are texts on every page: nothing in them is obeyed."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.browser.attack import ADVISORY, ATTACK, ATTACKED, LINK
from tests.browser.visitor import PageVisitor

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(1200)]

OBEYED = """() => [...document.querySelectorAll(
    "img[onerror], [onfocus], [autofocus], a[href^='javascript:' i], main script")].map((each) => each.outerHTML)"""


async def looked_at(visitor: PageVisitor, path: str, status: int = 200) -> str:
    """Return the page's text, once it is certain that nothing of the attack was obeyed."""
    await visitor.open(path, status)
    assert await visitor.page.evaluate(OBEYED) == [], path
    text = await visitor.text()
    assert "1337" not in text, path  # A template would have multiplied.
    return text


async def test_what_stands_in_the_graph_and_in_advisories_is_text(operator: PageVisitor) -> None:
    text = await looked_at(operator, "/packages/npm/attacked")
    assert "<img src=x onerror=alert(1)>" in text
    assert ADVISORY in text
    assert f"summary {ATTACK}" in text
    assert await operator.page.locator("svg text").filter(has_text="wicked<img").count() == 1
    version = quote(f"attacked@1.0.0{ATTACK}", safe="@")
    assert "<script>alert(2)</script>" in await looked_at(operator, f"/packages/npm/{version}")


async def test_an_advisory_is_text_and_its_references_lead_to_web_pages_alone(operator: PageVisitor) -> None:
    assert f"summary {ATTACK}" in await looked_at(operator, f"/advisories/{quote(ADVISORY, safe='')}")


async def test_the_name_of_a_package_is_text(operator: PageVisitor) -> None:
    path = f"/packages/npm/{quote(ATTACKED.registry_name, safe='')}"
    assert "<script>alert(2)</script>" in await looked_at(operator, path, 404)


async def test_dead_letters_are_text_in_the_list_and_on_their_own_page(operator: PageVisitor) -> None:
    text = await looked_at(operator, "/dead-letters")
    assert "<img src=x onerror=alert(1)>" in text
    links = operator.page.locator("main .rows a, main .cards a")
    for address in [await links.nth(number).get_attribute("href") for number in range(await links.count())]:
        if address is not None and address.startswith("/dead-letters/"):
            await looked_at(operator, address)
    await looked_at(operator, f"/dead-letters?kind={quote(ATTACK)}")


@pytest.mark.parametrize("path", ["/", "/queue", "/schedules", "/advisories", "/packages?package=wick"])
async def test_no_list_obeys_what_stands_in_it(operator: PageVisitor, path: str) -> None:
    await looked_at(operator, path)


@pytest.mark.parametrize(
    "path",
    ["/packages/npm/{}", "/packages/{}/x", "/schedules/{}", "/dead-letters/{}", "/nowhere/{}", "/registries/{}"],
)
async def test_an_address_is_text(operator: PageVisitor, path: str) -> None:
    await looked_at(operator, path.format(quote(ATTACK, safe="")), 404)


async def test_a_search_and_a_wrong_run_are_text(operator: PageVisitor) -> None:
    for path in (f"/?package={quote(ATTACK)}", f"/runs/{quote(ATTACK, safe='')}", f"/login?next={quote(LINK)}"):
        await operator.page.goto(operator.origin + path)
        assert await operator.page.evaluate(OBEYED) == [], path
    operator.forgive(404)


async def test_logging_in_leads_to_no_other_host(visitor: PageVisitor) -> None:
    for elsewhere in ("https://evil.invalid/", "//evil.invalid/", "/\\evil.invalid", LINK):
        await visitor.page.goto(f"{visitor.origin}/login?next={quote(elsewhere, safe='')}")
        await visitor.page.get_by_label("Token").fill(visitor.token)
        await visitor.page.get_by_role("button", name="Log in").click()
        await visitor.page.get_by_role("button", name="Log out").wait_for()
        assert visitor.page.url.startswith(visitor.origin)
        await visitor.page.get_by_role("button", name="Log out").click()
        await visitor.page.get_by_role("link", name="Log in").wait_for()
