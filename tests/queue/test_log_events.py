"""This tests what the queue's log says: which package, how bad, and when something is slowed down or stopped."""

from __future__ import annotations

import math
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisAway
from structlog.testing import capture_logs

from securechain_ingest.http.pace import Pace
from securechain_ingest.queue.backoff import LASTS_AFTER_S, Outage
from securechain_ingest.queue.dead_letters import OPERATORS_KINDS
from securechain_ingest.queue.entries import Entry
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import package_of, parse_data
from securechain_ingest.queue.places import Places
from securechain_ingest.queue.settlement import Failure, report_dead_letter
from securechain_ingest.queue.taking import Taken


@pytest.mark.parametrize(
    ("data", "package"),
    [
        ('{"node_type": "PyPIPackage", "package": "Zope.Interface"}', "pkg:pypi/zope-interface"),
        ('{"node_type": "MavenPackage", "package": "org.antlr:ST4"}', "pkg:maven/org.antlr/ST4"),
        ('{"node_type": "NPMPackage", "package": "no name/at all"}', "no name/at all"),
    ],
)
def test_a_message_is_named_by_its_packages_purl(data: str, package: str) -> None:
    assert package_of(parse_data(data)) == package


@pytest.mark.parametrize(("kind", "level"), [("malformed", "warning"), *((kind, "error") for kind in OPERATORS_KINDS)])
def test_a_dead_letter_is_an_error_where_only_an_operator_can_mend_its_cause(kind: str, level: str) -> None:
    data = '{"node_type": "PyPIPackage", "package": "six"}'
    entry = Entry("pypi", Lane.ASKED, "1-0", data.encode(), parse_data(data))
    with capture_logs() as lines:
        report_dead_letter(entry, Failure(kind, "a reason", transient=False))
    [line] = lines
    assert (line["event"], line["log_level"], line["package"]) == ("message_dead_lettered", level, "pkg:pypi/six")


def test_an_outage_is_a_warning_until_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("securechain_ingest.queue.backoff.time.monotonic", lambda: now)
    outage = Outage("redis")
    with capture_logs() as lines:
        for _ in range(4):
            outage.failed(RedisAway("gone"))
            now += LASTS_AFTER_S / 2 + 1
        outage.answered()
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("store_unavailable", "warning"),
        ("store_stays_away", "error"),
        ("store_available", "info"),
    ]
    assert lines[-1]["away_s"] == 4 * (LASTS_AFTER_S / 2 + 1)


def test_slowing_down_is_told_each_time_and_full_speed_once() -> None:
    now = 0.0
    pace = Pace(8.0, math.inf, lambda: now, endpoint="npm_registry")
    with capture_logs() as lines:
        for _ in range(10):
            pace.overloaded()
            pace.overloaded()  # Of the same incident.
            now += 2.0
        for _ in range(200):
            pace.succeeded()
    slowed = [line["requests_per_second"] for line in lines if line["event"] == "endpoint_slowed_down"]
    assert slowed == [4.0, 2.0, 1.0, 0.5, 0.25, 0.125], "at its slowest there is nothing more to tell"
    assert [line["event"] for line in lines].count("endpoint_at_full_rate") == 1
    assert {line["endpoint"] for line in lines} == {"npm_registry"}


async def test_a_pause_of_an_operator_and_its_end_are_told_once() -> None:
    answers = [Taken((), "paused"), Taken((), "paused"), Taken(()), Taken(()), Taken((), "breaker")]

    class Scripted:
        async def take(self, **_: Any) -> Taken:
            return answers.pop(0)

    places = Places(
        "npm",
        Scripted(),  # type: ignore[arg-type]
        total=lambda: 4,
        more=lambda: 4,
        lease_s=60,
        in_flight=(),
        begin=lambda _: True,
        endpoint_fails=lambda: None,
        hand_back=lambda: None,
    )
    with capture_logs() as lines:
        while answers:
            await places.fill()
    assert [(line["event"], line["ecosystem"]) for line in lines] == [
        ("ecosystem_paused", "npm"),
        ("ecosystem_resumed", "npm"),
    ]
