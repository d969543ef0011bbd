"""This tests `pause`, `resume` and `queue list|cancel|purge`, as an operator types them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from neo4j import GraphDatabase
from redis import Redis
from typer.testing import CliRunner, Result

from securechain_ingest.cli import app
from securechain_ingest.queue.entries import History, read_entry
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from tests.end_to_end.one_graph_server import graph_target
from tests.stores import AdvisoryTarget, GraphTarget

__all__ = ["graph_target"]

KEYS = Keys("package-extraction")

Ask = Callable[..., Result]


@pytest.fixture
def commands(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Return a function that runs a command in a directory without a configuration file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", redis_url)

    def ask(*arguments: str) -> Result:
        return CliRunner().invoke(app, arguments)

    return ask


@pytest.fixture
def graph(
    commands: Ask, graph_target: GraphTarget, advisory_target: AdvisoryTarget, monkeypatch: pytest.MonkeyPatch
) -> GraphTarget:
    """Return a graph that is known to the commands."""
    del commands
    monkeypatch.setenv("GRAPH_DB_URI", graph_target.uri)
    monkeypatch.setenv("GRAPH_DB_USER", graph_target.user)
    monkeypatch.setenv("GRAPH_DB_PASSWORD", graph_target.password)
    monkeypatch.setenv("VULN_DB_URI", advisory_target.uri)
    return graph_target


@pytest.fixture
def lanes(redis_url: str) -> Iterator[Redis]:
    """Put in what waits: two packages of PyPI in `listed`, one of npm in `listed` and one of npm in `required`."""
    with Redis.from_url(redis_url) as redis:
        for ecosystem, label, lane, package in (
            ("pypi", "PyPIPackage", Lane.LISTED, "six"),
            ("pypi", "PyPIPackage", Lane.LISTED, "flask"),
            ("npm", "NPMPackage", Lane.LISTED, "left"),
            ("npm", "NPMPackage", Lane.REQUIRED, "right"),
        ):
            data = json.dumps({"node_type": label, "package": package})
            redis.xadd(KEYS.lane(ecosystem, lane), {"data": data})
        yield redis


def waiting(redis: Redis) -> dict[str, int]:
    return {
        f"{ecosystem} {lane}": length
        for ecosystem in ("npm", "pypi")
        for lane in Lane
        if (length := int(redis.xlen(KEYS.lane(ecosystem, lane))))
    }


def test_pause_and_resume_say_whether_they_changed_anything(commands: Ask, redis_url: str) -> None:
    assert commands("pause", "npm").output == "npm is paused\n"
    assert commands("pause", "npm").output == "npm was paused already\n"
    with Redis.from_url(redis_url) as redis:
        assert redis.hkeys(KEYS.pauses) == [b"npm"]
    assert commands("resume", "npm").output == "npm goes on\n"
    assert commands("resume", "npm").output == "npm was not paused\n"


def test_resume_says_until_when_a_registry_that_wishes_a_pause_is_not_asked(commands: Ask, redis_url: str) -> None:
    until_ms = int((time.time() + 1800) * 1000)
    until = datetime.fromtimestamp(until_ms / 1000, UTC)
    with Redis.from_url(redis_url) as redis:
        for endpoint, opens_ms in (("pypi_files", until_ms), ("pypi", 1), ("npm_registry", until_ms)):
            redis.hset(KEYS.breaker(endpoint), mapping={"open_until": opens_ms, "reason": "status 429"})
    first, second = commands("resume", "pypi").output.splitlines()
    assert first == "pypi was not paused"
    match = re.fullmatch(r"pypi_files is still not asked until (\S+): status 429", second)
    assert match is not None
    assert abs(datetime.fromisoformat(match[1]) - until) < timedelta(minutes=5)
    [away] = json.loads(commands("resume", "pypi", "--json").output)["endpoints_away"]
    assert (away["endpoint"], away["reason"]) == ("pypi_files", "status 429")
    assert json.loads(commands("resume", "cargo", "--json").output)["endpoints_away"] == []


@pytest.mark.usefixtures("redis_url")
def test_a_submission_says_what_has_to_wait_for_the_end_of_a_pause(commands: Ask) -> None:
    assert commands("submit", "npm:left").stderr == ""
    assert commands("pause", "npm").exit_code == 0
    told = commands("submit", "npm:left", "npm:right", "pypi:six")
    assert (told.exit_code, told.stdout) == (0, "3 queued on package-extraction\n")
    [line] = told.stderr.splitlines()
    assert line.startswith("what has to be asked of npm waits: npm has been paused since 2")
    assert commands("submit", "pypi:six").stderr == ""


def test_an_empty_queue_says_that_it_is_empty(commands: Ask) -> None:
    assert commands("queue", "list").output == "nothing is queued\n"
    assert json.loads(commands("queue", "list", "--json").output) == []


@pytest.mark.usefixtures("lanes")
def test_the_list_has_a_line_a_message_of_the_lanes_and_ecosystems_that_are_asked_for(commands: Ask) -> None:
    def packages(*options: str) -> list[str]:
        return [row["package"] for row in json.loads(commands("queue", "list", "--json", *options).stdout)]

    assert commands("queue", "list", "--ecosystem", "pypi").output.splitlines() == [
        "pypi:six  listed  waiting  0 attempts",
        "pypi:flask  listed  waiting  0 attempts",
    ]
    assert sorted(packages()) == ["flask", "left", "right", "six"]
    assert packages("--lane", "required") == ["right"]
    assert packages("--ecosystem", "npm", "--lane", "listed") == ["left"]
    assert len(packages("--limit", "3")) == 3
    assert len(packages("--limit", "4")) == 4
    assert commands("queue", "list", "--limit", "3", "--json").stderr.startswith(
        "there are more than these 3: `--limit`"
    )
    assert commands("queue", "list", "--limit", "4", "--json").stderr == ""


def test_a_message_that_is_tried_again_is_listed_with_its_time_and_reason(commands: Ask, lanes: Redis) -> None:
    entry = read_entry("npm", Lane.ASKED, b"1-0", {b"data": b'{"node_type": "NPMPackage", "package": "later"}'})
    fields = entry.fields(History("1-0", attempts=2, first_failed_at="2026-11-25T00:00:00Z", reason="status 500"))
    lanes.eval(
        "redis.call('ZADD', KEYS[1], 1795651200000, '1-0:1-0')"
        " redis.call('HSET', KEYS[2], '1-0:1-0', cmsgpack.pack(ARGV))",
        2,
        KEYS.retries("npm", Lane.ASKED),
        KEYS.payloads("npm", Lane.ASKED),
        *fields,
    )
    assert commands("queue", "list", "--lane", "asked").output == (
        "npm:later  asked  retrying  2 attempts  2026-11-26T00:00:00Z  status 500\n"
    )


def test_a_lane_that_is_none_is_refused_with_the_names_of_those_that_are(commands: Ask) -> None:
    refused = commands("queue", "list", "--lane", "urgent")
    assert refused.exit_code == 2
    assert "urgent is no lane; there are asked, changed" in " ".join(refused.output.split())


@pytest.mark.usefixtures("graph")
def test_what_is_cancelled_leaves_the_lanes_and_a_package_that_was_not_there_is_named(
    commands: Ask, lanes: Redis
) -> None:
    done = commands("queue", "cancel", "pypi:six", "pkg:npm/left")
    assert (done.exit_code, done.output) == (0, "2 cancelled\n")
    assert waiting(lanes) == {"npm required": 1, "pypi listed": 1}

    missed = commands("queue", "cancel", "pypi:six", "pypi:flask")
    assert (missed.exit_code, missed.output) == (1, "1 cancelled\npypi:six does not wait in any lane\n")


@pytest.mark.usefixtures("graph")
def test_a_purge_empties_the_lanes_that_it_names_and_no_others(commands: Ask, lanes: Redis) -> None:
    refused = commands("queue", "purge")
    assert refused.exit_code == 2
    assert len(waiting(lanes)) == 3

    assert commands("queue", "purge", "--ecosystem", "npm", "--lane", "listed").output == "1 purged\n"
    assert waiting(lanes) == {"npm required": 1, "pypi listed": 2}
    assert commands("queue", "purge", "--lane", "listed").output == "2 purged\n"
    assert waiting(lanes) == {"npm required": 1}


def test_a_requirement_that_is_taken_out_is_asked_for_by_the_next_who_requires_it(
    commands: Ask, lanes: Redis, graph: GraphTarget
) -> None:
    def queued() -> dict[str, Any]:
        rows, _, _ = driver.execute_query("MATCH (a:AbsentPackage) RETURN a.purl AS purl, a.queued_at AS at", {})
        return {row["purl"]: row["at"] for row in rows}

    with GraphDatabase.driver(graph.uri, auth=(graph.user, graph.password)) as driver:
        # Its feed announced it meanwhile, and took it out of the lane in which it waited.
        lanes.xadd(KEYS.lane("npm", Lane.CHANGED), {"data": '{"node_type": "NPMPackage", "package": "up"}'})
        for name in ("right", "left", "up"):
            driver.execute_query(
                "CREATE (:AbsentPackage {purl: $purl, queued_at: datetime()})", {"purl": f"pkg:npm/{name}"}
            )
        assert all(queued().values())
        assert commands("queue", "purge", "--ecosystem", "npm").output == "3 purged\n"
        after = queued()
    assert after["pkg:npm/right"] is None
    assert after["pkg:npm/up"] is None
    assert after["pkg:npm/left"] is not None, "it did not wait as a requirement"
    assert waiting(lanes) == {"pypi listed": 2}


@pytest.mark.usefixtures("graph")
def test_what_no_daemon_has_moved_to_its_lane_yet_is_listed_and_cancelled_as_well(
    commands: Ask, redis_url: str
) -> None:
    assert commands("submit", "npm:left", "npm:right").exit_code == 0
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        redis.xadd(KEYS.submissions, {"data": "no JSON"})
        assert commands("queue", "list", "--ecosystem", "npm").output.splitlines() == [
            "npm:left  asked  waiting  0 attempts",
            "npm:right  asked  waiting  0 attempts",
        ]
        assert commands("queue", "list", "--lane", "listed").output == "nothing is queued\n"
        assert commands("queue", "list", "--ecosystem", "pypi").output == "nothing is queued\n"
        assert commands("queue", "cancel", "npm:left").output == "1 cancelled\n"
        rows: Any = redis.xrange(KEYS.submissions)
        [right, other] = rows
        assert (json.loads(right[1]["data"])["package"], other[1]) == ("right", {"data": "no JSON"})
        counts: Any = redis.hgetall(KEYS.run_counts)
    assert sorted(word.rpartition(":")[2] + count for word, count in counts.items()) == ["cancelled1", "open1"]
