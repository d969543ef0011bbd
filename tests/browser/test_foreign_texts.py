"""Texts that strangers have written are texts on every page: nothing in them is obeyed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import pytest
import pytest_asyncio

from securechain_ingest.configuration import load
from securechain_ingest.embedded import running_stores
from securechain_ingest.model import ImportNames, Package, PackageRef, PackageWrite, Rating, Requirement, Version
from securechain_ingest.queue.keys import Keys
from securechain_ingest.registries.npm.names import NPM
from securechain_ingest.stores import connect
from tests.browser.visitor import Visitor
from tests.demo.running import Demo

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

ATTACK: Final = (
    "<img src=x onerror=alert(1)>\"><script>alert(2)</script>' onfocus=alert(3) autofocus tabindex=1 x='"
    "</title></textarea></svg><a href=javascript:alert(4)>x</a>{{7*191}}${7*191}"
)
LINK: Final = "javascript:alert(5)"
ADVISORY: Final = f"GHSA-{ATTACK}"

OBEYED = """() => [...document.querySelectorAll(
    "img[onerror], [onfocus], [autofocus], a[href^='javascript:' i], main script")].map((each) => each.outerHTML)"""

ATTACKED: Final = PackageRef(
    NPM, f"wicked{ATTACK}", f"wicked{ATTACK.lower()}", f"pkg:npm/wicked{quote(ATTACK, safe='')}"
)
HARMLESS: Final = PackageRef(NPM, "attacked", "attacked", "pkg:npm/attacked")


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def attack(shown: Demo) -> None:
    """Put the attack wherever a stranger can write."""
    addresses = running_stores(shown.config.parent)
    assert addresses is not None
    settings = load(shown.config, environment={})
    async with connect(addresses, settings) as stores:
        for ref in (ATTACKED, HARMLESS):
            await stores.graph.write([_written(ref)])
        await stores.advisories.upsert([_advisory()], _nothing_to_rate)
        letter: dict[str, Any] = dict.fromkeys(("error", "kind", "lane", "origin_id", "first_failed_at"), ATTACK)
        message = json.dumps({"node_type": "NPMPackage", "package": ATTACK, "vendor": ATTACK, "run": ATTACK})
        keys = Keys(settings.queue.stream)
        for data in (message, ATTACK):
            fields: Any = {"data": data, "attempts": "1", **letter}
            await stores.redis.xadd(keys.dead_letters, fields)
        await stores.redis.xadd(settings.queue.stream, {"data": message})


def _written(ref: PackageRef) -> PackageWrite:
    version = Version(
        f"1.0.0{ATTACK}", f"{ref.purl}@1.0.0{quote(ATTACK, safe='')}", None, (Requirement(ATTACKED, ATTACK),)
    )
    package = Package(ref, ATTACK, LINK, (version,), (), None, license=ATTACK)
    rating = {version.name: Rating(9.8, 9.8, (ADVISORY,))}
    return PackageWrite(package, rating, ImportNames((ATTACK, LINK)), datetime.now(UTC), (), follow=False)


def _advisory() -> dict[str, Any]:
    affected = {
        "package": {"ecosystem": "npm", "name": HARMLESS.name},
        "versions": [f"1.0.0{ATTACK}"],
        "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}],
    }
    texts: dict[str, Any] = {"summary": f"summary {ATTACK}", "details": ATTACK, "aliases": [f"CVE-{ATTACK}"]}
    texts["references"] = [{"type": "WEB", "url": LINK}, {"type": ATTACK, "url": f"https://x.invalid/{ATTACK}"}]
    return {"id": ADVISORY, "modified": "2026-11-01T00:00:00Z", "affected": [affected], **texts}


async def _nothing_to_rate(_: object) -> None:
    return


async def looked_at(visitor: Visitor, path: str, status: int = 200) -> str:
    """Return the page's text, once it is certain that nothing of the attack was obeyed."""
    await visitor.open(path, status)
    assert await visitor.page.evaluate(OBEYED) == [], path
    text = await visitor.text()
    assert "1337" not in text, path  # A template would have multiplied.
    return text


async def test_what_stands_in_the_graph_and_in_advisories_is_text(operator: Visitor) -> None:
    text = await looked_at(operator, "/packages/npm/attacked")
    assert "<img src=x onerror=alert(1)>" in text
    assert ADVISORY in text
    assert f"summary {ATTACK}" in text
    assert await operator.page.locator("svg text").filter(has_text="wicked<img").count() == 1
    version = quote(f"attacked@1.0.0{ATTACK}", safe="@")
    assert "<script>alert(2)</script>" in await looked_at(operator, f"/packages/npm/{version}")


async def test_an_advisory_is_text_and_its_references_lead_to_web_pages_alone(operator: Visitor) -> None:
    assert f"summary {ATTACK}" in await looked_at(operator, f"/advisories/{quote(ADVISORY, safe='')}")


async def test_the_name_of_a_package_is_text(operator: Visitor) -> None:
    path = f"/packages/npm/{quote(ATTACKED.registry_name, safe='')}"
    assert "<script>alert(2)</script>" in await looked_at(operator, path, 404)


async def test_dead_letters_are_text_in_the_list_and_on_their_own_page(operator: Visitor) -> None:
    text = await looked_at(operator, "/dead-letters")
    assert "<img src=x onerror=alert(1)>" in text
    links = operator.page.locator("main .rows a, main .cards a")
    for address in [await links.nth(number).get_attribute("href") for number in range(await links.count())]:
        if address is not None and address.startswith("/dead-letters/"):
            await looked_at(operator, address)
    await looked_at(operator, f"/dead-letters?kind={quote(ATTACK)}")


@pytest.mark.parametrize("path", ["/", "/queue", "/schedules", "/advisories", "/packages?package=wick"])
async def test_no_list_obeys_what_stands_in_it(operator: Visitor, path: str) -> None:
    await looked_at(operator, path)


@pytest.mark.parametrize(
    "path",
    ["/packages/npm/{}", "/packages/{}/x", "/schedules/{}", "/dead-letters/{}", "/nowhere/{}", "/registries/{}"],
)
async def test_an_address_is_text(operator: Visitor, path: str) -> None:
    await looked_at(operator, path.format(quote(ATTACK, safe="")), 404)


async def test_a_search_and_a_wrong_run_are_text(operator: Visitor) -> None:
    for path in (f"/?package={quote(ATTACK)}", f"/runs/{quote(ATTACK, safe='')}", f"/login?next={quote(LINK)}"):
        await operator.page.goto(operator.origin + path)
        assert await operator.page.evaluate(OBEYED) == [], path
    operator.forgive(404)


async def test_logging_in_leads_to_no_other_host(visitor: Visitor) -> None:
    for elsewhere in ("https://evil.invalid/", "//evil.invalid/", "/\\evil.invalid", LINK):
        await visitor.page.goto(f"{visitor.origin}/login?next={quote(elsewhere, safe='')}")
        await visitor.page.get_by_label("Token").fill(visitor.token)
        await visitor.page.get_by_role("button", name="Log in").click()
        await visitor.page.get_by_role("button", name="Log out").wait_for()
        assert visitor.page.url.startswith(visitor.origin)
        await visitor.page.get_by_role("button", name="Log out").click()
        await visitor.page.get_by_role("link", name="Log in").wait_for()
