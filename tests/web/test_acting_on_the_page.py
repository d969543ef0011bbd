"""What an operator does on the page changes what the command line changes, and nobody else can do it."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.runs import Run, new_run_id, utc_now
from securechain_ingest.schedules.board import Board
from securechain_ingest.web import security
from tests.waiting import Clock
from tests.web.conftest import TOKEN, WebSite

ACTIONS = [
    ("/dead-letters", {"action": "drop", "scope": "all"}),
    ("/queue/cancel", {"message": "[]"}),
    ("/pauses", {"ecosystem": "npm", "action": "pause"}),
    ("/schedules/advisory_sync", {"action": "run"}),
    ("/submissions", {"package": "npm:left"}),
    ("/logout", {}),
]


def _data(package: str) -> bytes:
    return orjson.dumps({"node_type": "NPMPackage", "package": package})


async def _letters(site: WebSite, *kinds: str) -> list[str]:
    redis, keys = site.stores.redis, Keys(site.settings.queue.stream)
    ids = []
    for number, kind in enumerate(kinds):
        fields: Any = {"data": _data(f"p{number}"), "error": "no", "kind": kind, "lane": "listed"}
        entry_id: Any = await redis.xadd(keys.dead_letters, fields)
        ids.append(entry_id.decode())
    return ids


async def _left(site: WebSite) -> int:
    return int(await site.stores.redis.xlen(Keys(site.settings.queue.stream).dead_letters))


@pytest.fixture
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No address gets another try while the test takes its time."""
    monkeypatch.setattr(security, "time", SimpleNamespace(monotonic=Clock(7.0), time=time.time))


@pytest.mark.parametrize(("path", "fields"), ACTIONS)
async def test_every_action_takes_a_log_in_and_a_form_of_the_page(
    site: WebSite, path: str, fields: dict[str, str]
) -> None:
    await _letters(site, "not_found")
    assert (await site.client.post(path, data=fields)).status_code == 403
    await site.log_in()
    for word in ({}, {"word": ""}, {"word": "0" * 64}):
        assert (await site.client.post(path, data={**fields, **word})).status_code == 403
    assert (await site.client.get(path)).status_code in (200, 404, 405)
    assert await _left(site) == 1
    assert (await Board(site.stores.redis, site.settings.queue.stream).state()).requests == {}


@pytest.mark.parametrize("path", ["/dead-letters", "/pauses", "/schedules/advisory_sync"])
async def test_a_form_that_says_no_action_of_the_page_does_nothing(site: WebSite, path: str) -> None:
    await _letters(site, "not_found")
    fields = {"word": await site.log_in(), "scope": "all", "ecosystem": "npm"}
    for more in ({}, {"action": "burn"}):
        answer = await site.client.post(path, data={**fields, **more})
        assert (answer.status_code, "no such action" in answer.text) == (400, True)
    assert await _left(site) == 1


async def test_chosen_dead_letters_are_sent_again_to_their_lane_or_deleted(site: WebSite) -> None:
    first, second, _ = await _letters(site, "not_found", "malformed", "malformed")
    word = await site.log_in()
    answer = await site.client.post(
        "/dead-letters", data={"word": word, "action": "replay", "id": [first, second]}, follow_redirects=True
    )
    assert "2 sent again" in answer.text
    lane = Keys(site.settings.queue.stream).lane("npm", Lane.LISTED)
    assert await site.stores.redis.xlen(lane) == 2
    nothing = await site.client.post("/dead-letters", data={"word": word, "action": "drop"}, follow_redirects=True)
    assert "Nothing was chosen" in nothing.text
    assert await _left(site) == 1


async def test_all_dead_letters_of_a_kind_are_deleted_and_no_others(site: WebSite) -> None:
    await _letters(site, "not_found", "malformed", "malformed")
    word = await site.log_in()
    fields = {"word": word, "action": "drop", "scope": "kind", "kind": "malformed"}
    assert "2 deleted" in (await site.client.post("/dead-letters", data=fields, follow_redirects=True)).text
    answer = await site.client.get("/dead-letters")
    assert "not found" in answer.text
    assert "malformed" not in answer.text


async def test_a_dead_letter_is_shown_with_its_payload_and_its_history(site: WebSite) -> None:
    (entry_id,) = await _letters(site, "not_found")
    text = (await site.client.get(f"/dead-letters/{entry_id}")).text
    for shown in ("npm:p0", "node_type", "History", "listed", "not found"):
        assert shown in text
    assert (await site.client.get("/dead-letters/1-1")).status_code == 404


async def test_a_waiting_message_is_taken_out_of_the_queue_by_its_box(site: WebSite) -> None:
    keys = Keys(site.settings.queue.stream)
    lane = keys.lane("npm", Lane.LISTED)
    for name in ("stays", "goes"):
        await site.stores.redis.xadd(lane, {"data": _data(name)})
    word = await site.log_in()
    text = (await site.client.get("/queue", params={"ecosystem": "npm", "state": "waiting"})).text
    boxes = [each.replace("&#34;", '"') for each in re.findall(r'name="message" value="([^"]+)"', text)]
    assert len(boxes) == 2
    chosen = next(box for box in boxes if "goes" in box)
    answer = await site.client.post(
        "/queue/cancel", data={"word": word, "message": [chosen, "no box", chosen]}, follow_redirects=True
    )
    assert "1 taken out of the queue" in answer.text
    rows: Any = await site.stores.redis.xrange(lane)
    ((_, left),) = rows
    assert left[b"data"] == _data("stays")


async def test_a_message_in_work_is_shown_as_such_and_has_no_box(site: WebSite) -> None:
    queue = site.settings.queue
    lane = Keys(queue.stream).lane("npm", Lane.ASKED)
    await site.stores.redis.xadd(lane, {"data": _data("busy")})
    await site.stores.redis.xgroup_create(lane, queue.group, "0")
    await site.stores.redis.xreadgroup(queue.group, "somebody", {lane: ">"})
    await site.log_in()
    text = (await site.client.get("/queue", params={"state": "in work"})).text
    assert "npm:busy" in text
    assert 'name="message"' not in text


async def test_a_job_is_switched_and_run_from_the_page(site: WebSite) -> None:
    word = await site.log_in()
    board = Board(site.stores.redis, site.settings.queue.stream)
    await site.client.post("/schedules/npm_packages_updates", data={"word": word, "action": "disable"})
    assert (await board.state()).overrides == {"npm_packages_updates": False}
    await site.client.post("/schedules/npm_packages_updates", data={"word": word, "action": "enable"})
    answer = await site.client.post("/schedules/advisory_sync", data={"word": word, "action": "reconcile"})
    (request,) = (await board.state()).requests.values()
    assert request.options == {"reconcile": "true"}
    assert answer.headers["location"] == f"/runs/{request.run_id}?done=asked"
    assert "It is asked for" in (await site.client.get(answer.headers["location"])).text
    for name, action in (("no_job", "run"), ("advisory_sync", "burn")):
        refused = await site.client.post(f"/schedules/{name}", data={"word": word, "action": action})
        assert refused.status_code in (400, 404)


async def test_the_metrics_of_a_job_are_drawn_over_its_runs_and_stand_in_a_table(site: WebSite) -> None:
    for number in range(3):
        now = utc_now()
        metrics = {"packages_processed": 10.0 * number, "success_rate": 99.5, "changes_read": 7.0}
        run = Run(
            id=new_run_id(now), job="npm_packages_updates", started_at=now, ended_at=now, outcome="succeeded",
            metrics=metrics, settled=True,
        )  # fmt: skip
        await site.stores.runs.save(run)
    text = (await site.client.get("/schedules/npm_packages_updates")).text
    assert text.count('class="plot"') == 3
    assert text.index("packages processed") < text.index("changes read")
    assert "99.50" in text
    assert (await site.client.get(f"/runs/{run.id}")).text.count("succeeded") >= 1


async def test_a_package_is_asked_for_and_followed_to_its_end(site: WebSite) -> None:
    word = await site.log_in()
    refused = await site.client.post("/submissions", data={"word": word, "package": "six"})
    assert refused.status_code == 400
    assert "such as pypi:six" in refused.text
    assert 'value="six"' in refused.text
    answer = await site.client.post("/submissions", data={"word": word, "package": "npm:Left-Pad@1.3.0"})
    path = answer.headers["location"]
    run = path.rpartition("/")[2]
    rows: Any = await site.stores.redis.xrange(Keys(site.settings.queue.stream).submissions)
    ((_, fields),) = rows
    sent = orjson.loads(fields[b"data"])
    assert (sent["node_type"], sent["package"], sent["run"]) == ("NPMPackage", "Left-Pad", run)
    waiting = (await site.client.get(path)).text
    assert "No daemon is up" in waiting
    outcomes = Keys(site.settings.queue.stream).outcomes(run)
    await site.stores.redis.xadd(outcomes, {"data": fields[b"data"], "kind": "not_found", "reason": "there is none"})
    async with site.client.stream("GET", f"{path}/events") as live:
        told = [line async for line in live.aiter_lines()]
    assert any("there is none" in line for line in told)
    assert "event: over" in told


async def test_no_link_leads_elsewhere_after_the_log_in(site: WebSite) -> None:
    for path in ("//evil.example", "https://evil.example", "/\\evil.example", "evil", "/\t/evil.example"):
        answer = await site.client.post("/login", data={"token": TOKEN, "next": path})
        assert answer.headers["location"] == "/", path
    answer = await site.client.post("/login", data={"token": TOKEN, "next": "/queue"})
    assert answer.headers["location"] == "/queue"


async def test_logging_out_ends_the_session(site: WebSite) -> None:
    word = await site.log_in()
    assert "Log out" in (await site.client.get("/")).text
    await site.client.post("/logout", data={"word": word})
    assert "Log out" not in (await site.client.get("/")).text


@pytest.mark.usefixtures("no_time_passes")
async def test_wrong_tokens_are_bounded(site: WebSite) -> None:
    statuses = [(await site.client.post("/login", data={"token": f"wrong {n}"})).status_code for n in range(14)]
    assert statuses[0] == 403
    assert statuses[-1] == 429
    late = await site.client.post("/login", data={"token": TOKEN})
    assert (late.status_code, int(late.headers["retry-after"]) > 0) == (429, True)


@pytest.mark.usefixtures("no_time_passes")
async def test_wrong_bearers_are_bounded_and_other_authentication_is_not_counted(site: WebSite) -> None:
    for _ in range(14):
        assert (await site.client.get("/metrics", headers={"Authorization": "Basic eDp5"})).status_code == 200
    for _ in range(14):
        answer = await site.client.get("/metrics", headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 429
    assert (await site.client.get("/healthz", headers={"Authorization": "Bearer wrong"})).status_code == 200
    assert (await site.client.get("/metrics")).status_code == 200


async def test_a_bearer_may_call_the_page_by_any_name(site: WebSite) -> None:
    headers = {"Host": "ingest.example:3000", "Authorization": f"Bearer {TOKEN}"}
    assert (await site.client.get("/metrics", headers=headers)).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST"])
async def test_another_method_is_refused_on_a_page_of_the_house(site: WebSite, method: str) -> None:
    answer = await site.client.request(method, "/queue")
    assert answer.status_code == 405
    assert "<main" in answer.text
    assert "content-security-policy" in answer.headers


async def test_a_fault_of_a_page_is_one_warning_and_a_page(
    site: WebSite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> bool:
        raise RuntimeError("a slip")

    monkeypatch.setattr("securechain_ingest.web.dead_letter_pages._shown", broken)
    await _letters(site, "not_found")
    answer = await site.client.get("/dead-letters")
    assert answer.status_code == 500
    assert "<main" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert capsys.readouterr().out.count("page_fault") == 1
    assert (await site.client.get("/")).status_code == 200


async def test_a_browser_that_goes_away_within_its_form_is_no_fault(
    site: WebSite, capsys: pytest.CaptureFixture[str]
) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    told_by_asgi = {"type": "http", "method": "POST", "path": "/login", "query_string": b"", "scheme": "http"}
    await site.app({**told_by_asgi, "headers": [(b"host", b"localhost")]}, receive, send)
    assert sent == []
    assert "page_fault" not in capsys.readouterr().out


async def test_nobody_waits_long_for_a_store_that_hangs(site: WebSite, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("securechain_ingest.web.package_pages.report_on", hangs)
    monkeypatch.setattr("securechain_ingest.web.app.PATIENCE_S", 0.01)
    answer = await site.client.get("/packages/npm/left")
    assert answer.status_code == 503
    assert "A store does not answer" in answer.text


async def test_a_form_that_is_too_large_is_refused(site: WebSite) -> None:
    await site.log_in()
    answer = await site.client.post("/dead-letters", data={"word": "x" * 100_000})
    assert answer.status_code == 413


async def test_a_foreign_host_is_refused_on_every_path(site: WebSite) -> None:
    for path in ("/", "/healthz", "/metrics", "/static/style.css", "/login"):
        assert (await site.client.get(path, headers={"Host": "evil.example"})).status_code == 421, path


async def test_a_session_does_not_last_for_ever(site: WebSite) -> None:
    from securechain_ingest.web.security import COOKIE, SESSION_S, new_session

    for begun, is_in in ((0.0, True), (-SESSION_S - 10.0, False), (3600.0, False)):
        site.client.cookies.set(COOKIE, new_session(TOKEN, datetime.now(UTC).timestamp() + begun))
        assert ("Log out" in (await site.client.get("/")).text) is is_in
        site.client.cookies.clear()


async def test_what_strangers_have_written_stays_text_on_every_page(site: WebSite) -> None:
    hostile = '"><img src=x onerror=alert(1)>'
    redis, keys = site.stores.redis, Keys(site.settings.queue.stream)
    await redis.xadd(keys.dead_letters, {"data": hostile, "error": hostile, "kind": hostile, "lane": hostile})
    await redis.xadd(keys.lane("npm", Lane.LISTED), {"data": hostile, "run": hostile})
    now = utc_now()
    await site.stores.runs.save(
        Run(id=hostile, job="advisory_sync", started_at=now, ended_at=now, outcome=hostile, error=hostile)
    )
    await site.log_in()
    paths = ["/", "/queue", "/dead-letters", "/schedules", "/schedules/advisory_sync", "/packages", "/advisories"]
    paths += [
        f"/runs/{quote(hostile, safe='')}",
        f"/packages?package={quote(hostile)}",
        f"/queue?lane={quote(hostile)}",
    ]
    paths += [
        f"/dead-letters?kind={quote(hostile)}",
        f"/advisories/{quote(hostile, safe='')}",
        f"/?done={quote(hostile)}",
    ]
    for path in paths:
        answer = await site.client.get(path)
        assert answer.status_code in (200, 404), path
        assert "<img src=x" not in answer.text, path
