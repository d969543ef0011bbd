"""This tests health that means progress, and figures: asked by supervisors and scrapers, over HTTP."""

from __future__ import annotations

import asyncio
import os

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.progress import LOOP_S
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.web.collected import Collected
from tests.waiting import PATIENCE_S
from tests.web.conftest import TOKEN, WebSite


async def test_a_loop_that_hangs_makes_the_daemon_unhealthy_and_a_turn_of_it_well_again(site: WebSite) -> None:
    site.progress.turned("reader")
    assert (await site.client.get("/healthz")).status_code == 200
    site.clock.now += LOOP_S + 1
    answer = await site.client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json() == {
        "ok": False,
        "reason": "the loop reader has not turned for 31 s",
        "pid": os.getpid(),
        "ages_s": {"reader": LOOP_S + 1},
    }
    site.progress.turned("reader")
    assert (await site.client.get("/healthz")).json()["ok"] is True


async def test_work_beyond_its_own_limits_makes_it_unhealthy(site: WebSite) -> None:
    with site.progress.work("message 1-0"):
        site.clock.now += 61
        assert (await site.client.get("/readyz")).status_code == 503
    assert (await site.client.get("/healthz")).status_code == 200


async def test_readiness_names_each_store_with_the_time_that_it_takes(site: WebSite) -> None:
    stores = (await site.client.get("/readyz")).json()["stores"]
    assert set(stores) == {"redis", "graph", "vulnerabilities"}
    assert all(answer["ok"] and answer["latency_ms"] >= 0 for answer in stores.values())


async def test_a_store_that_is_away_costs_readiness_and_not_health(site: WebSite) -> None:
    await site.stores.redis.connection_pool.disconnect()
    site.stores.redis.connection_pool.connection_kwargs["port"] = 1
    answer = await site.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["stores"]["redis"]["ok"] is False
    assert (await site.client.get("/healthz")).status_code == 200
    figures = (await site.client.get("/metrics")).text
    assert 'securechain_store_up{store="redis"} 0.0' in figures
    assert 'securechain_store_up{store="graph"} 1.0' in figures
    assert "securechain_lane_messages" not in figures


async def test_a_store_that_hangs_does_not_keep_the_figures(site: WebSite, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("securechain_ingest.web.collected.Collected.snapshot", hangs)
    monkeypatch.setattr("securechain_ingest.web.app.FIGURES_S", 0.01)
    figures = (await site.client.get("/metrics")).text
    assert 'securechain_store_up{store="graph"} 1.0' in figures
    assert "securechain_lane_messages" not in figures


async def test_the_figures_are_in_the_form_that_scrapers_read_and_have_the_names_others_rely_on(
    site: WebSite,
) -> None:
    stream = site.settings.queue.stream
    await site.stores.redis.xadd(f"{stream}-lane:npm:listed", {"data": "{}"})
    await site.stores.redis.xadd(f"{stream}-dlq", {"data": "{}", "error": "no", "kind": "not_found"})
    answer = await site.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    waiting = {
        (sample.labels["ecosystem"], sample.labels["lane"]): sample.value
        for sample in families["securechain_lane_messages"].samples
    }
    assert waiting["npm", "listed"] == 1
    assert waiting["pypi", "asked"] == 0
    letters = {sample.labels["kind"]: sample.value for sample in families["securechain_dead_letters"].samples}
    assert {kind: count for kind, count in letters.items() if count} == {"not_found": 1}
    assert {"securechain_lane_oldest_seconds", "securechain_requests", "securechain_messages"} <= set(families)
    assert all(name.startswith("securechain_") and not name.endswith("_created") for name in families)


@pytest.mark.parametrize("host", ["0.0.0.0"])
async def test_off_loopback_figures_want_the_token_and_health_does_not(site: WebSite) -> None:
    for path in ("/healthz", "/readyz"):
        assert (await site.client.get(path)).status_code == 200
    refused = await site.client.get("/metrics")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    given = await site.client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert given.status_code == 200
    assert (await site.client.get("/", follow_redirects=False)).headers["location"] == "/login"


async def test_the_lag_of_a_registry_is_the_age_of_what_is_not_in_the_graph_yet(site: WebSite) -> None:
    stream = site.settings.queue.stream

    async def lags() -> dict[str, float]:
        collected = Collected(site.stores, site.settings)
        return dict((await collected.snapshot()).registry_lags_s)

    assert await lags() == {}
    cursors = Cursors(site.stores.redis, stream)
    await cursors.move("npm", "5", "a run")
    assert (await lags())["npm"] < PATIENCE_S
    seconds, _ = await site.stores.redis.time()
    await site.stores.redis.xadd(f"{stream}-lane:npm:changed", {"data": "{}"}, id=f"{(seconds - 7200) * 1000}-0")
    assert 7190 < (await lags())["npm"] < 7200 + PATIENCE_S
    assert 'securechain_registry_lag_seconds{ecosystem="npm"} 7' in (await site.client.get("/metrics")).text


async def test_a_message_that_waits_for_another_attempt_is_as_old_as_it_is(site: WebSite) -> None:
    redis, keys = site.stores.redis, Keys(site.settings.queue.stream)
    seconds, _ = await redis.time()
    age_s = {"old": 5000, "young": 10}
    for name, age in age_s.items():
        added = f"{(seconds - age) * 1000}-0"
        await redis.zadd(keys.retries("npm", Lane.ASKED), {f"{added}:{name}": (seconds + 60) * 1000})
    snapshot = await Collected(site.stores, site.settings).snapshot()
    assert 4990 < snapshot.queue.lanes["npm"]["asked"].oldest_s < 5000 + PATIENCE_S
    assert snapshot.queue.lanes["npm"]["asked"].retrying == 2


async def test_a_feed_that_was_followed_to_its_end_and_had_nothing_new_is_not_behind(site: WebSite) -> None:
    cursors = Cursors(site.stores.redis, site.settings.queue.stream)
    await cursors.move("npm", "5", "a run")
    key = Keys(site.settings.queue.stream).cursors
    held = orjson.loads(await site.stores.redis.hget(key, "npm") or b"")
    old = orjson.dumps({**held, "moved_at": "2020-01-01T00:00:00Z"})
    await site.stores.redis.hset(key, "npm", old)

    async def lag() -> float:
        return (await Collected(site.stores, site.settings).snapshot()).registry_lags_s["npm"]

    assert await lag() > 86_400
    await cursors.note_followed("npm")
    assert await lag() < PATIENCE_S


async def test_a_dead_letter_counts_at_once_and_one_that_is_dropped_does_not(site: WebSite) -> None:
    collected = Collected(site.stores, site.settings)
    letters = Keys(site.settings.queue.stream).dead_letters

    async def counted() -> dict[str, int]:
        collected._snapshot = None  # As if the moment for which it is remembered were over.
        return dict((await collected.snapshot()).dead_letters)

    assert await counted() == {}
    entry = await site.stores.redis.xadd(letters, {"data": "{}", "kind": "malformed"})
    assert await counted() == {"malformed": 1}
    await site.stores.redis.xdel(letters, entry)
    assert await counted() == {}
