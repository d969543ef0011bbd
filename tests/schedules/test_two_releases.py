"""Daemons of two releases share one Redis while an installation is upgraded, one host after the other.

What the other release writes is played by hand here: fields and words that this release does not know, or fields that
it misses. A daemon of this release then works beside it.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.runs import Run, new_run_id, utc_now
from securechain_ingest.schedules.board import RunRequest
from tests.schedules.conftest import JOB, STREAM, Installation, ended, settings
from tests.waiting import Gate, until

OTHER_JOB = "packages_refresh"


async def nothing(_run: Run) -> None: ...


async def write(installation: Installation, name: str, job: str, document: Any) -> None:
    text = document if isinstance(document, str) else orjson.dumps(document).decode()
    await installation.redis.hset(f"{STREAM}-schedules-{name}", job, text)


async def held(installation: Installation, name: str, job: str) -> Any:
    return orjson.loads(await text_of(installation, name, job))


async def text_of(installation: Installation, name: str, job: str) -> str:
    raw: Any = await installation.redis.hget(f"{STREAM}-schedules-{name}", job)
    text: str = raw.decode()
    return text


def mark_of(**others: Any) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(
        Run(id="0-left", job=JOB, trigger="schedule", started_at=utc_now()).model_dump_json()
    )
    return document | others


async def test_a_run_that_a_newer_release_has_left_is_resumed_and_its_fields_are_kept(
    installation: Installation,
) -> None:
    await write(installation, "marks", JOB, mark_of(trigger="webhook", shards=[1, 2], options={"only": "a"}))
    async with installation.scheduler(nothing, settings()):
        records = await ended(installation, 2)
    closed, resumed = sorted(records, key=lambda record: record.trigger == "resume")
    assert (closed.id, closed.trigger, closed.outcome, closed.model_extra) == (
        "0-left",
        "webhook",
        "interrupted",
        {"shards": [1, 2]},
    )
    assert (resumed.resumes, resumed.outcome, resumed.options) == ("0-left", "succeeded", {"only": "a"})


async def test_a_mark_of_an_older_release_that_lacks_fields_is_resumed(installation: Installation) -> None:
    older = {name: mark_of()[name] for name in ("id", "job", "trigger", "host", "pid", "started_at")}
    await write(installation, "marks", JOB, older)
    async with installation.scheduler(nothing, settings()):
        records = await ended(installation, 2)
    assert {record.outcome for record in records} == {"interrupted", "succeeded"}


@pytest.mark.parametrize(
    "mark",
    ["not JSON", "[]", "null", mark_of(started_at="soon"), {"id": "0-left"}, mark_of(pid={"of": "another kind"})],
    ids=["text", "list", "null", "time", "nearly empty", "types"],
)
async def test_an_unreadable_mark_is_told_once_and_stops_neither_its_job_nor_the_others(
    installation: Installation, mark: Any
) -> None:
    await write(installation, "marks", JOB, mark)
    with capture_logs() as logs:
        async with installation.scheduler(nothing, settings(), jobs={JOB: nothing, OTHER_JOB: nothing}):
            for job in (OTHER_JOB, JOB):
                await installation.board.request(job, RunRequest(new_run_id(utc_now()), {}))
            records = await ended(installation, 2)
    assert {(record.job, record.outcome) for record in records} == {(JOB, "succeeded"), (OTHER_JOB, "succeeded")}
    told = [entry for entry in logs if entry["event"] == "schedule_entry_unreadable"]
    assert [(entry["log_level"], entry["entry"]) for entry in told] == [("error", JOB)]
    assert (await installation.board.state()).under_way == {}


@pytest.mark.parametrize(
    ("name", "entry"),
    [("ticks", "later"), ("overrides", "paused"), ("requests", "{}"), ("requests", '{"run_id": 1, "options": {}}')],
)
async def test_other_unreadable_entries_cost_their_own_job_alone(
    installation: Installation, name: str, entry: str
) -> None:
    await write(installation, name, JOB, entry)
    async with installation.scheduler(nothing, settings(), jobs={JOB: nothing, OTHER_JOB: nothing}):
        probe = await installation.board.request(OTHER_JOB, RunRequest(new_run_id(utc_now()), {}))
        await until(lambda: installation.runs.get(probe))
    assert await text_of(installation, name, JOB) == entry


async def test_a_request_of_another_release_is_served_whatever_its_text_looks_like(installation: Installation) -> None:
    text = '{ "options" : {"reconcile":"true", "depth": 2}, "by":"console", "run_id":"0-asked" }'
    await write(installation, "requests", JOB, text)
    async with installation.scheduler(nothing, settings()):
        [record] = await ended(installation)
    assert (record.id, record.options) == ("0-asked", {"reconcile": "true", "depth": "2"})


async def test_asking_again_keeps_what_another_release_has_asked_for(installation: Installation) -> None:
    await write(installation, "requests", JOB, {"run_id": "0-asked", "options": {"depth": "2"}, "by": "console"})
    assert await installation.board.request(JOB, RunRequest("1-asked", {"reconcile": "true"})) == "0-asked"
    assert await held(installation, "requests", JOB) == {
        "run_id": "0-asked",
        "options": {"depth": "2", "reconcile": "true"},
        "by": "console",
    }


@pytest.mark.usefixtures("renewals_at_once")
async def test_a_run_is_told_from_others_by_its_id_and_not_by_the_text_of_its_mark(installation: Installation) -> None:
    gate = Gate(None)
    async with installation.scheduler(gate, settings()):
        run_id = await installation.board.request(JOB, RunRequest("0-asked", {}))
        await until(gate.entered.is_set)
        # The other release writes the mark anew, with a field of its own and in another order.
        mark = dict(reversed((await held(installation, "marks", JOB)).items())) | {"shards": 3}
        await write(installation, "marks", JOB, mark)
        lease = f"{STREAM}-schedules-lease:{JOB}"
        await installation.redis.pexpire(lease, 20_000)

        async def renewed() -> bool:
            return int(await installation.redis.pttl(lease)) > 20_000

        await until(renewed)
        assert (await held(installation, "marks", JOB))["shards"] == 3
        gate.opened.set()
        [record] = await ended(installation)
    assert (record.id, record.outcome) == (run_id, "succeeded")
    assert (await installation.board.state()).under_way == {}


async def test_a_record_keeps_the_fields_that_another_release_has_given_it(installation: Installation) -> None:
    record = Run.model_validate_json(orjson.dumps(mark_of(shards=[1], outcome="paused")))
    await installation.runs.save(record)
    found = await installation.runs.get("0-left")
    assert found is not None
    assert (found.outcome, found.model_extra, orjson.loads(found.model_dump_json())["shards"]) == (
        "paused",
        {"shards": [1]},
        [1],
    )


async def test_an_unreadable_record_is_left_out_of_the_list_and_told(installation: Installation) -> None:
    await installation.runs.save(Run.model_validate_json(orjson.dumps(mark_of())))
    await installation.runs._collection.insert_one({"_id": "1-strange", "job": JOB, "pid": "none"})
    with capture_logs() as logs:
        assert [record.id for record in await installation.runs.newest(5)] == ["0-left"]
        assert await installation.runs.get("1-strange") is None
    assert {(entry["event"], entry["run"]) for entry in logs} == {("run_record_unreadable", "1-strange")}


async def test_a_cursor_keeps_the_fields_that_another_release_has_given_it(installation: Installation) -> None:
    cursors = Cursors(installation.redis, STREAM)
    await cursors.move("npm", "1", "a run")
    written = orjson.loads((await installation.redis.hget(f"{STREAM}-cursors", "npm")) or b"")
    await installation.redis.hset(f"{STREAM}-cursors", "npm", orjson.dumps({**written, "shard": 7}))
    await cursors.move("npm", "2", "another run")
    cursor = await cursors.get("npm")
    assert cursor is not None
    assert (cursor.value, cursor.more) == ("2", {"shard": 7})
