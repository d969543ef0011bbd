"""This tests what people do on the page, by clicking and typing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import redis

from securechain_ingest.embedded.addresses import running_stores
from tests.browser.pages import ASKED_ON_THE_PAGE
from tests.browser.visitor import PageVisitor
from tests.demo.running import Demo
from tests.waiting import until

if TYPE_CHECKING:
    from playwright.async_api import Locator

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(1200)]

STREAM = "package-extraction"
POSTING = 'form[method="post"]:not([action="/login"])'


@pytest.fixture
def queue(shown: Demo) -> Iterator[redis.Redis]:
    stores = running_stores(shown.config.parent)
    assert stores is not None
    assert stores.redis_url is not None
    with redis.Redis.from_url(stores.redis_url, decode_responses=True) as client:
        yield client


def bury(queue: redis.Redis, *names: str, kind: str = "not_found") -> None:
    """Put in dead letters as the daemon writes them."""
    for name in names:
        message = json.dumps({"node_type": "NPMPackage", "package": name})
        fields = {"data": message, "error": f"{name} is not there", "kind": kind, "attempts": 1, "lane": "asked"}
        queue.xadd(f"{STREAM}-dlq", fields)  # type: ignore[arg-type]


async def opened_until(visitor: PageVisitor, path: str, wanted: Locator) -> None:
    """Load a page that is not live until it shows something."""

    async def is_there() -> bool:
        await visitor.open(path)
        return bool(await wanted.count())

    await until(is_there, path)


async def test_a_wrong_token_opens_nothing(visitor: PageVisitor) -> None:
    await visitor.open("/login")
    await visitor.page.get_by_label("Token").fill("not-the-token-of-this-daemon")
    await visitor.page.get_by_role("button", name="Log in").click()
    await visitor.page.get_by_role("alert").wait_for()
    assert await visitor.page.context.cookies() == []
    visitor.forgive(403)


async def test_the_session_is_out_of_reach_for_scripts_and_other_sites_and_ends_with_logging_out(
    operator: PageVisitor,
) -> None:
    [cookie] = await operator.page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert operator.token not in cookie["value"]
    assert await operator.page.evaluate("document.cookie") == ""
    await operator.page.get_by_role("button", name="Log out").click()
    await operator.page.get_by_role("link", name="Log in").wait_for()
    assert await operator.page.context.cookies() == []


async def test_the_address_of_the_start_logs_in_and_takes_the_token_out_of_sight(visitor: PageVisitor) -> None:
    await visitor.page.goto(visitor.address)
    await visitor.page.get_by_role("button", name="Log out").wait_for()
    assert visitor.token not in visitor.page.url


async def test_whoever_has_not_logged_in_sees_nothing_to_act_with(visitor: PageVisitor, paths: list[str]) -> None:
    for path in paths:
        await visitor.open(path)
        assert await visitor.page.locator(POSTING).count() == 0, path


async def test_a_registry_is_paused_and_resumed(operator: PageVisitor) -> None:
    await operator.open("/queue")
    await operator.page.get_by_role("button", name="Pause RubyGems").click()
    await operator.page.get_by_role("button", name="Resume RubyGems").click()
    await operator.page.get_by_role("button", name="Pause RubyGems").wait_for()


async def test_the_overview_changes_without_being_loaded_again(visitor: PageVisitor, shown: Demo) -> None:
    await visitor.open("/")
    await visitor.page.evaluate("window.isTheSame = true")
    paused = visitor.page.get_by_role("main").get_by_text("paused").first
    assert await paused.count() == 0
    assert shown.command("pause", "nuget").returncode == 0
    await paused.wait_for()
    assert shown.command("resume", "nuget").returncode == 0
    await paused.wait_for(state="hidden")
    assert await visitor.page.evaluate("window.isTheSame")


async def test_one_dead_letter_is_read_and_sent_again(operator: PageVisitor, queue: redis.Redis) -> None:
    bury(queue, "left-pad")  # It exists, so that this time it is served.
    await operator.open("/dead-letters")
    await operator.page.get_by_role("main").get_by_role("link", name="npm:left-pad", exact=True).first.click()
    await operator.page.get_by_text('"package": "left-pad"').wait_for()
    await operator.page.get_by_role("button", name="Send it again").click()
    await operator.page.wait_for_url("**/dead-letters*")
    assert not [fields for _, fields in letters(queue) if '"left-pad"' in fields["data"]]


async def test_one_dead_letter_is_deleted(operator: PageVisitor, queue: redis.Redis) -> None:
    bury(queue, "to-be-deleted")
    await operator.open("/dead-letters")
    await operator.page.get_by_role("link", name="npm:to-be-deleted").click()
    await operator.page.get_by_role("button", name="Delete it for good").click()
    await operator.page.wait_for_url("**/dead-letters*")
    assert "to-be-deleted" not in str(letters(queue))


async def test_the_chosen_dead_letters_are_deleted_and_the_others_stay(
    operator: PageVisitor, queue: redis.Redis
) -> None:
    bury(queue, "chosen-1", "chosen-2", "not-chosen", kind="malformed")
    await operator.open("/dead-letters?kind=malformed")
    for name in ("chosen-1", "chosen-2"):
        await operator.page.get_by_label(f"Choose npm:{name}").check()
    await operator.page.get_by_role("button", name="Delete the chosen").click()
    await operator.page.get_by_role("status").first.wait_for()
    left = str(letters(queue))
    assert ("not-chosen" in left, "chosen-1" in left, "chosen-2" in left) == (True, False, False)


async def test_all_dead_letters_of_a_kind_are_deleted_after_a_second_word(
    operator: PageVisitor, queue: redis.Redis
) -> None:
    bury(queue, "one", "two", kind="too_large")
    bury(queue, "other", kind="malformed")
    await operator.open("/dead-letters")
    await operator.page.get_by_role("link", name="too large").click()
    await operator.page.get_by_text("Delete all of this kind").click()
    await operator.page.get_by_role("button", name="Yes, delete all").click()
    await operator.page.get_by_role("status").first.wait_for()
    kinds = [fields["kind"] for _, fields in letters(queue)]
    assert "too_large" not in kinds
    assert "malformed" in kinds


async def test_all_dead_letters_of_a_kind_are_sent_again(operator: PageVisitor, queue: redis.Redis) -> None:
    bury(queue, "qs", "express", kind="too_large")
    await operator.open("/dead-letters?kind=too_large")
    await operator.page.get_by_role("button", name="Send all of this kind again").click()
    await operator.page.get_by_role("status").first.wait_for()
    assert "too_large" not in [fields["kind"] for _, fields in letters(queue)]


async def test_a_message_is_taken_out_of_the_queue(operator: PageVisitor, queue: redis.Redis, shown: Demo) -> None:
    await operator.open("/queue")
    await operator.page.get_by_role("button", name="Pause crates.io").click()
    await operator.page.get_by_role("button", name="Resume crates.io").wait_for()
    assert shown.command("submit", "cargo:never-asked").returncode == 0
    box = operator.page.get_by_label("Choose cargo:never-asked")
    await opened_until(operator, "/queue?ecosystem=cargo", box)
    await box.check()
    await operator.page.get_by_role("button", name="Take the chosen out of the queue").click()
    await operator.page.get_by_role("status").first.wait_for()
    await operator.open("/queue?ecosystem=cargo")
    assert await box.count() == 0
    await operator.page.get_by_role("button", name="Resume crates.io").click()
    await operator.page.get_by_role("button", name="Pause crates.io").wait_for()
    assert "never-asked" not in str(letters(queue))


async def test_a_job_is_run_now_and_followed_to_its_end(operator: PageVisitor) -> None:
    await operator.open("/schedules")
    await operator.page.get_by_role("link", name="nuget packages updates").click()
    await operator.page.get_by_role("button", name="Run now").click()
    await operator.page.get_by_text("succeeded").first.wait_for()  # The page of the run follows it.
    await operator.open("/schedules/nuget_packages_updates")
    await operator.page.locator("main table a").first.click()
    await operator.page.get_by_text("succeeded").first.wait_for()


async def test_a_job_is_disabled_and_enabled(operator: PageVisitor) -> None:
    await operator.open("/schedules/rubygems_packages_updates")
    await operator.page.get_by_role("button", name="Disable").click()
    await operator.page.get_by_role("button", name=re.compile("Enable.*rubygems packages updates")).click()
    await operator.page.get_by_role("button", name=re.compile("Disable.*rubygems packages updates")).wait_for()


async def test_a_package_is_looked_up_from_any_page_with_a_picture_of_what_it_requires(visitor: PageVisitor) -> None:
    await visitor.open("/dead-letters")
    await visitor.page.get_by_role("searchbox").fill("pypi:flask")
    await visitor.page.get_by_role("search").get_by_role("button", name="Look up").click()
    await visitor.page.get_by_role("heading", name="pkg:pypi/flask", level=1).wait_for()
    picture = visitor.page.locator("svg").filter(has_text="markupsafe")
    assert await picture.count() == 1  # On the second level.
    await picture.get_by_role("link", name="jinja2").first.click()
    await visitor.page.get_by_role("heading", name="pkg:pypi/jinja2@3.1.6", level=1).wait_for()
    await visitor.page.get_by_role("link", name="3.1.2", exact=True).click()
    await visitor.page.get_by_role("heading", name="pkg:pypi/jinja2@3.1.2", level=1).wait_for()
    text = await visitor.text()
    assert "CVE-2025-27516" in text
    assert "fixed in 3.1.6" in text


async def test_packages_are_found_by_the_beginning_of_a_name(visitor: PageVisitor) -> None:
    await visitor.open("/packages")
    await visitor.page.get_by_label("Name").fill("jin")
    await visitor.page.get_by_role("main").get_by_role("button", name="Look up").click()
    await visitor.page.get_by_role("link", name="pkg:pypi/jinja2").click()
    await visitor.page.get_by_role("heading", name="pkg:pypi/jinja2", level=1).wait_for()


async def test_a_package_is_asked_for_and_followed_to_its_end(operator: PageVisitor) -> None:
    await operator.open("/packages")
    await operator.page.locator('form[action="/submissions"]').get_by_role("textbox").fill(ASKED_ON_THE_PAGE)
    await operator.page.locator('form[action="/submissions"]').get_by_role("button").click()
    await operator.page.locator("#stored").click()  # It came without a reload.
    await operator.page.get_by_role("heading", name="pkg:nuget/nlog", level=1).wait_for()


async def test_a_package_that_does_not_exist_is_followed_to_its_reason(operator: PageVisitor) -> None:
    await operator.open("/packages")
    await operator.page.locator('form[action="/submissions"]').get_by_role("textbox").fill("npm:no-such-thing")
    await operator.page.locator('form[action="/submissions"]').get_by_role("button").click()
    await operator.page.locator("#letters").wait_for()
    assert "does not exist" in await operator.text()


async def test_an_advisory_is_looked_up_by_its_alias(visitor: PageVisitor) -> None:
    await visitor.open("/advisories")
    await visitor.page.get_by_label("Id or alias").fill("CVE-2021-44228")
    await visitor.page.get_by_role("main").get_by_role("button", name="Look up").click()
    await visitor.page.get_by_role("link", name="pkg:maven/org.apache.logging.log4j/log4j-core").first.click()
    await visitor.page.get_by_text("fixed in 2.15.0").wait_for()


def letters(queue: redis.Redis) -> list[tuple[str, dict[str, str]]]:
    found: list[tuple[str, dict[str, str]]] = queue.xrange(f"{STREAM}-dlq")  # type: ignore[assignment]
    return found
