"""This tests what people see on the page, and what it lets them do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from jinja2 import PackageLoader

from securechain_ingest.model import ImportNames, Package, PackageRef, PackageWrite, Rating, Requirement, Version
from securechain_ingest.queue.breakers import paused_since
from securechain_ingest.queue.keys import Keys
from securechain_ingest.registries import DECLARATIONS, named_package
from securechain_ingest.web import rendering
from tests.web.conftest import WebSite

HOSTILE = '"><script>alert(1)</script>'


async def stored(site: WebSite, ref: PackageRef, *, vendor: str = "n/a", constraints: str = "any") -> None:
    other = named_package("npm:right")
    version = Version("1.0.0", f"{ref.purl}@1.0.0", None, (Requirement(other, constraints),))
    package = Package(ref, vendor, None, (version,), (), None)
    ratings = {"1.0.0": Rating(9.8, 9.8, ("GHSA-1",))}
    names = ImportNames((ref.registry_name,))
    await site.stores.graph.write([PackageWrite(package, ratings, names, datetime.now(UTC), (), False)])


async def test_the_overview_has_every_registry_with_its_lanes(site: WebSite) -> None:
    answer = await site.client.get("/")
    assert answer.status_code == 200
    for declaration in DECLARATIONS:
        assert declaration.title in answer.text
    for lane in ("asked", "changed", "required", "listed", "completed"):
        assert answer.text.count(f">{lane}</a></th>") == len(DECLARATIONS)


async def test_the_first_look_has_no_template_to_read_once_the_page_is_prepared(
    site: WebSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rendering.ENVIRONMENT.cache is not None
    rendering.ENVIRONMENT.cache.clear()
    await site.app.prepare()
    monkeypatch.setattr(PackageLoader, "get_source", lambda *_: pytest.fail("a template was read"))
    for path in ("/", "/packages", "/queue", "/dead-letters", "/schedules", "/advisories", "/login"):
        assert (await site.client.get(path)).status_code == 200


async def test_a_package_is_looked_up_as_on_the_command_line(site: WebSite) -> None:
    await stored(site, named_package("npm:@left/pad"))
    answer = await site.client.get("/", params={"package": "npm:@left/pad@1.0.0"}, follow_redirects=True)
    assert answer.url.path == "/packages/npm/@left/pad@1.0.0"
    assert "pkg:npm/%40left/pad@1.0.0" in answer.text
    assert "pkg:npm/right" in answer.text
    assert "not in the graph yet" in answer.text


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/packages/npm/nobody", "is not in the graph"),
        ("/packages/fortran/x", "is no ecosystem of this release"),
        ("/?package=six", "names no package"),
        ("/packages?package=npm:", "such as pypi:requests"),
        ("/packages?package=fortran:x", 'value="fortran:x"'),
        ("/nowhere", "There is no page"),
    ],
)
async def test_what_is_not_there_is_said_in_a_sentence(site: WebSite, path: str, sentence: str) -> None:
    answer = await site.client.get(path, follow_redirects=True)
    assert answer.status_code == 404
    assert sentence in answer.text


async def test_a_package_is_found_whatever_the_case_of_its_name(site: WebSite) -> None:
    await stored(site, named_package("maven:org.antlr:ST4"))
    answer = await site.client.get("/packages/maven/ORG.antlr:st4@1.0.0", follow_redirects=True)
    assert answer.url.path == "/packages/maven/org.antlr:ST4@1.0.0"
    assert answer.status_code == 200


async def test_of_a_version_that_is_not_there_the_package_can_be_seen_or_read_again(site: WebSite) -> None:
    await site.log_in()
    await stored(site, named_package("npm:left"))
    text = (await site.client.get("/packages/npm/left@7.0.0")).text
    assert 'href="/packages/npm/left"' in text
    assert 'value="yes" checked' in text
    assert 'href="/packages/npm/nobody"' not in (await site.client.get("/packages/npm/nobody@7.0.0")).text


async def test_what_strangers_have_written_is_text_and_nothing_more(site: WebSite) -> None:
    await stored(site, named_package("npm:left"), vendor=HOSTILE, constraints=HOSTILE)
    await site.stores.redis.xadd(Keys(site.settings.queue.stream).dead_letters, {"data": HOSTILE, "error": HOSTILE})
    for path in ("/packages/npm/left", "/dead-letters", f"/packages/npm/{HOSTILE}", f"/?package={HOSTILE}"):
        answer = await site.client.get(path, follow_redirects=True)
        assert HOSTILE not in answer.text
        assert "&lt;script&gt;" in answer.text
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


async def test_pausing_takes_a_log_in_and_a_form_of_ours(site: WebSite) -> None:
    redis, keys = site.stores.redis, Keys(site.settings.queue.stream)
    fields = {"ecosystem": "npm", "action": "pause"}
    assert (await site.client.post("/pauses", data=fields)).status_code == 403
    word = await site.log_in()
    assert (await site.client.post("/pauses", data=fields)).status_code == 403
    assert not await paused_since(redis, keys)
    assert (await site.client.post("/pauses", data={**fields, "word": word})).status_code == 303
    assert set(await paused_since(redis, keys)) == {"npm"}
    await site.client.post("/pauses", data={**fields, "word": word, "action": "resume"})
    assert not await paused_since(redis, keys)


async def test_the_session_is_kept_from_scripts_and_other_sites(site: WebSite) -> None:
    await site.log_in()
    answer = await site.client.post("/login", data={"token": "a-token-of-tests-0123"})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "a-token-of-tests" not in cookie
    assert (await site.client.post("/login", data={"token": "wrong"})).status_code == 403


@pytest.mark.parametrize("name", ["evil.example", "evil.example:3000", "127.0.0.1.evil.example"])
async def test_a_foreign_host_is_refused(site: WebSite, name: str) -> None:
    assert (await site.client.get("/", headers={"Host": name})).status_code == 421


async def test_figures_come_without_reloading(site: WebSite) -> None:
    async with site.client.stream("GET", "/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if '<h2 id="registries">' in line:
                assert line.startswith("data: ")
                break
        else:
            pytest.fail("no figures came")
