"""This tests what an analyst looks up on the page."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from securechain_ingest.jobs.advisory_sync import cursor_name
from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.model import ImportNames, Package, PackageWrite, Rating, Requirement, Version
from securechain_ingest.registries import ECOSYSTEMS, named_package
from securechain_ingest.reports.requirements import MOST_NODES, requirement_tree
from tests.web.conftest import WebSite

NPM = next(ecosystem for ecosystem in ECOSYSTEMS if ecosystem.name == "npm")


async def _store(site: WebSite, name: str, *required: str, advisory: str = "") -> None:
    ref = named_package(f"npm:{name}")
    needs = tuple(Requirement(named_package(f"npm:{each}"), "^1") for each in required)
    version = Version("1.0.0", f"{ref.purl}@1.0.0", None, needs)
    rating = Rating(7.5, 7.5, (advisory,)) if advisory else Rating(0.0, 0.0, ())
    write = PackageWrite(
        Package(ref, "n/a", None, (version,), (), None),
        {"1.0.0": rating},
        ImportNames((name,)),
        datetime.now(UTC),
        (),
        False,
    )
    await site.stores.graph.write([write])


async def _remember(_: object) -> None: ...


async def test_the_picture_has_levels_links_and_the_vulnerable_ones_marked(site: WebSite) -> None:
    await _store(site, "deep", advisory="GHSA-deep")
    await _store(site, "middle", "deep")
    await _store(site, "top", "middle", "missing")
    text = (await site.client.get("/packages/npm/top")).text
    assert "3 required packages on 2 levels" in text
    assert 'class="box hit"' in text
    assert 'class="box missing"' in text
    assert 'href="/packages/npm/deep@1.0.0"' in text
    assert "Level 2: pkg:npm/deep (affected by GHSA-deep)" in text


async def test_a_circle_of_requirements_ends_and_a_big_one_is_cut(site: WebSite) -> None:
    await _store(site, "ring-a", "ring-b")
    await _store(site, "ring-b", "ring-a")
    lookups = site.stores.graph.lookups
    tree = await requirement_tree(lookups, NPM, "pkg:npm/ring-a", "pkg:npm/ring-a@1.0.0", ())
    assert list(tree.nodes) == ["pkg:npm/ring-a", "pkg:npm/ring-b"]
    await _store(site, "wide", *(f"n{number}" for number in range(MOST_NODES + 50)))
    tree = await requirement_tree(lookups, NPM, "pkg:npm/wide", "pkg:npm/wide@1.0.0", ())
    assert (len(tree.nodes), tree.is_cut) == (MOST_NODES, True)
    assert "There is more than the picture shows" in (await site.client.get("/packages/npm/wide")).text


async def test_a_search_finds_by_the_beginning_of_a_name_in_all_ecosystems(site: WebSite) -> None:
    await _store(site, "leftmost")
    await _store(site, "left")
    await _store(site, "right")
    text = (await site.client.get("/packages", params={"package": "LEFT"})).text
    assert text.index("pkg:npm/left<") < text.index("pkg:npm/leftmost")
    assert "pkg:npm/right" not in text
    assert "No package of the graph" in (await site.client.get("/packages", params={"package": "zzzz"})).text
    led = await site.client.get("/packages", params={"package": "npm:left@1.0.0"})
    assert led.headers["location"] == "/packages/npm/left@1.0.0"


async def test_a_package_that_is_not_there_can_be_asked_for_at_once(site: WebSite) -> None:
    await site.log_in()
    answer = await site.client.get("/packages/npm/nobody")
    assert answer.status_code == 404
    assert 'value="npm:nobody"' in answer.text


@pytest.mark.parametrize("identifier", ["GHSA-1", "CVE-1", "cve-1"])
async def test_an_advisory_is_shown_by_its_id_or_an_alias_with_what_it_touches(site: WebSite, identifier: str) -> None:
    hostile = "<script>alert(1)</script>"
    await _store(site, "hit", advisory="GHSA-1")
    record = {
        "id": "GHSA-1", "modified": "2026-01-02T00:00:00Z", "published": "2026-01-01T00:00:00Z", "aliases": ["CVE-1"],
        "summary": hostile, "details": hostile, "references": [{"url": "javascript:alert(1)"}, {"url": "https://a.example"}],
        "affected": [{"package": {"ecosystem": "npm", "name": "hit"},
                      "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2"}]}]}],
    }  # fmt: skip
    await site.stores.advisories.upsert([record], _remember)
    for path in (f"/advisories/{identifier}", "/advisories"):
        text = (await site.client.get(path)).text
        assert hostile not in text
        assert "&lt;script&gt;" in text
        assert "pkg:npm/hit" in text
        assert "javascript:" not in text
    answer = await site.client.get("/packages", params={"package": identifier}, follow_redirects=True)
    assert answer.url.path == f"/advisories/{identifier}"
    text = answer.text
    assert "from 0, fixed in 2" in text
    assert 'href="https://a.example"' in text


async def test_records_of_one_vulnerability_count_once_in_the_list_of_versions(site: WebSite) -> None:
    ref = named_package("npm:twice")
    versions = tuple(Version(f"{number}.0.0", f"{ref.purl}@{number}.0.0", None, ()) for number in (1, 2))
    rating = Rating(7.5, 7.5, ("GHSA-twice", "MADE-twice"))
    package = Package(ref, "n/a", None, versions, (), None)
    ratings = {"1.0.0": rating, "2.0.0": Rating(0.0, 0.0, ())}
    await site.stores.graph.write(
        [PackageWrite(package, ratings, ImportNames(("twice",)), datetime.now(UTC), (), follow=False)]
    )
    records = [
        {"id": identifier, "modified": "2026-01-02T00:00:00Z", "aliases": ["CVE-twice"],
         "affected": [{"package": {"ecosystem": "npm", "name": "twice"}, "versions": ["1.0.0"]}]}
        for identifier in rating.vulnerabilities
    ]  # fmt: skip
    await site.stores.advisories.upsert(records, _remember)
    await Cursors(site.stores.redis, site.settings.queue.stream).move(cursor_name("npm"), "1", "a run")
    for path in ("/packages/npm/twice", "/packages/npm/twice@2.0.0"):
        text = (await site.client.get(path)).text
        listed = re.findall(r">(\d) vulnerabilit", text)
        assert listed == ["1"]


async def test_the_newest_advisories_come_first_and_page_by_page(site: WebSite) -> None:
    records = [
        {"id": f"GHSA-{day:02}", "modified": f"2026-01-{day:02}T00:00:00Z", "summary": f"of day {day}", "affected": []}
        for day in range(1, 32)
    ]
    await site.stores.advisories.upsert(records, _remember)
    text = (await site.client.get("/advisories")).text
    assert text.index("GHSA-31") < text.index("GHSA-30") < text.index("GHSA-02")
    assert "GHSA-01" not in text
    following = text.split("before=")[1].split('"')[0]
    assert "GHSA-01" in (await site.client.get(f"/advisories?before={following}")).text


async def test_the_overview_says_why_a_registry_is_behind_paused_or_down(site: WebSite) -> None:
    from securechain_ingest.queue.keys import Keys

    redis, keys = site.stores.redis, Keys(site.settings.queue.stream)
    await Cursors(redis, keys.stream).move("npm", "5", "a run")
    await redis.hset(keys.pauses, "pypi", "2026-01-01T00:00:00Z")
    maven = next(ecosystem for ecosystem in ECOSYSTEMS if ecosystem.name == "maven")
    seconds, _ = await redis.time()
    breaker: Any = {"open_until": (seconds + 600) * 1000, "reason": "answers 503"}
    await redis.hset(keys.breaker(maven.endpoint), mapping=breaker)
    text = (await site.client.get("/")).text
    of = {name: text.split(f'id="n-{name}"')[1].split("</dl>")[0] for name in ("npm", "pypi", "maven", "cargo")}
    assert '"state fresh"' in of["npm"]
    assert '"state paused"' in of["pypi"]
    assert re.search("an operator has paused it [0-9,]+ days ago", of["pypi"])
    assert '"state down"' in of["maven"]
    assert "answers 503" in of["maven"]
    assert '"state behind"' in of["cargo"]
    assert "have not been followed yet" in of["cargo"]
    assert text.count('class="plot"') == 2 * len(ECOSYSTEMS)
    assert "<table" in (await site.client.get("/registries/npm")).text
