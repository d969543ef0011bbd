"""This tests when an archive that could not be read is tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from securechain_ingest.model import Artifact, FailedAttempt, Package
from securechain_ingest.worker.import_names import failed_attempt, is_due
from tests.graph.builders import MONDAY, pypi, write

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)


def package(version: str) -> Package:
    archive = Artifact("http://localhost/six.whl", "six.whl", version, None)
    return replace(write(pypi("six"), version).package, artifacts=(archive,))


ONE, TWO = package("1.0"), package("2.0")


def test_the_waits_are_an_hour_a_day_and_a_week_and_then_there_is_no_further_try() -> None:
    now, failed = MONDAY, failed_attempt(None, ONE, MONDAY)
    for tries, wait in enumerate((HOUR, DAY, WEEK), 1):
        assert failed == FailedAttempt("1.0", tries, now, now + wait)
        assert not is_due(failed, now + wait - timedelta(seconds=1))
        now += wait
        assert is_due(failed, now)
        failed = failed_attempt(failed, ONE, now)
    assert failed == FailedAttempt("1.0", 4, now, None)
    assert not is_due(failed, now + 100 * WEEK)
    assert failed_attempt(failed, ONE, now + WEEK) == FailedAttempt("1.0", 4, now + WEEK, None)


def test_the_archive_of_another_version_begins_anew() -> None:
    exhausted = FailedAttempt("1.0", 4, MONDAY)
    assert failed_attempt(exhausted, TWO, MONDAY + HOUR) == FailedAttempt("2.0", 1, MONDAY + HOUR, MONDAY + 2 * HOUR)


@pytest.mark.parametrize(("tries", "wait"), [(1, HOUR), (2, DAY), (3, WEEK)])
def test_an_attempt_before_its_time_does_not_count_and_puts_the_next_one_off(tries: int, wait: timedelta) -> None:
    failed = FailedAttempt("1.0", tries, MONDAY)
    soon = MONDAY + timedelta(minutes=5)
    assert failed_attempt(failed, ONE, soon) == FailedAttempt("1.0", tries, soon, soon + wait)


def test_what_has_not_failed_is_never_due() -> None:
    assert not is_due(None, MONDAY)
