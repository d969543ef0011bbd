"""This tests which failures are tried again, after what wait, and which are handed on at once."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.errors import RateLimited, Unavailable
from securechain_ingest.http.answers import retry_after_s, wait_before_retry_s
from securechain_ingest.http.client import HttpClient
from securechain_ingest.settings import HttpSettings
from tests.http.conftest import FakeTime, MakeClient
from tests.http.scripted_server import ScriptedServer, answer


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_an_overloaded_server_is_asked_again(client: HttpClient, server: ScriptedServer, status: int) -> None:
    url = server.script("/a", answer(status), answer(status), answer(200, b"at last"))
    assert (await client.get(url)).body == b"at last"


@pytest.mark.parametrize(("status", "error"), [(429, RateLimited), (500, Unavailable), (503, Unavailable)])
async def test_tries_end_with_the_last_failure(
    client: HttpClient, server: ScriptedServer, fake_time: FakeTime, status: int, error: type[Exception]
) -> None:
    with pytest.raises(error, match=f"status {status}"):
        await client.get(server.script("/a", answer(status)))
    assert server.asked("/a") == 1 + HttpSettings().retries
    assert len(fake_time.waits) == HttpSettings().retries


@pytest.mark.parametrize("status", [400, 401, 403, 405])
async def test_a_refusal_is_unavailable_and_not_insisted_on(
    client: HttpClient, server: ScriptedServer, status: int
) -> None:
    with pytest.raises(Unavailable, match=f"status {status}"):
        await client.get(server.script("/a", answer(status)))
    assert server.asked("/a") == 1


@pytest.mark.parametrize(
    "asked_for",
    [
        {"retry_after": "30"},
        {"retry_after": "Tue, 01 Sep 2026 00:00:30 GMT", "date": "Tue, 01 Sep 2026 00:00:00 GMT"},
    ],
    ids=["seconds", "date"],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_the_pause_that_a_server_asks_for_is_kept(
    client: HttpClient, server: ScriptedServer, fake_time: FakeTime, status: int, asked_for: dict[str, str]
) -> None:
    url = server.script("/a", answer(status, **asked_for), answer(200, b"thanks"))
    assert (await client.get(url)).body == b"thanks"
    assert len(fake_time.waits) == 1
    assert 30.0 <= fake_time.waits[0] <= 30.25


@pytest.mark.parametrize("status", [429, 503])
async def test_a_pause_that_is_too_long_to_wait_for_is_left_to_the_queue(
    client: HttpClient, server: ScriptedServer, fake_time: FakeTime, status: int
) -> None:
    with pytest.raises(RateLimited) as caught:
        await client.get(server.script("/a", answer(status, retry_after="31")))
    assert caught.value.delay_s == 31.0
    assert (server.asked("/a"), fake_time.waits) == (1, [])


@pytest.mark.parametrize("asked", ["999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
@pytest.mark.parametrize("status", [429, 503])
async def test_no_registry_gets_a_pause_longer_than_the_setting(
    make_client: MakeClient, server: ScriptedServer, fake_time: FakeTime, asked: str, status: int
) -> None:
    async with make_client(HttpSettings(max_pause_s=1800.0)) as client:
        with pytest.raises(RateLimited) as caught:
            await client.get(server.script("/a", answer(status, retry_after=asked)))
        assert caught.value.delay_s == 1800.0
        fake_time.now += 1801.0
        assert (await client.get(server.script("/b", answer(200, b"again")))).body == b"again"


async def test_short_waits_do_not_depend_on_the_longest_pause(make_client: MakeClient, server: ScriptedServer) -> None:
    url = server.script("/a", answer(500), answer(500), answer(200, b"at last"))
    async with make_client(HttpSettings(max_retry_after_s=1e-9)) as client:
        assert (await client.get(url)).body == b"at last"


async def test_errors_name_the_url_without_its_credentials(client: HttpClient, server: ScriptedServer) -> None:
    with pytest.raises(Unavailable) as caught:
        await client.get(server.script("/a", answer(403)))
    assert str(caught.value) == f"{server.base}/a could not be read (status 403)"
    assert caught.value.url == f"{server.base}/a"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-1",
        "1.5",
        "Tue, 99 Sep 2026 00:00:00 GMT",
        "9" * 400,
        "٣",
        f"Tue, 01 Sep {'9' * 5000} 00:00:00 GMT",
    ],
)
def test_a_pause_that_cannot_be_read_is_none(value: str) -> None:
    assert retry_after_s(value) is None


def test_a_pause_until_a_moment_that_has_passed_is_over() -> None:
    assert retry_after_s("Tue, 01 Sep 2026 00:00:00 GMT", "Tue, 01 Sep 2026 00:00:30 GMT") == 0.0


def test_a_date_without_a_zone_is_in_universal_time() -> None:
    assert retry_after_s("Tue, 01 Sep 2026 00:00:30 -0000", "Tue, 01 Sep 2026 00:00:00 GMT") == 30.0


def test_a_date_without_the_answers_own_counts_from_now() -> None:
    delay_s = retry_after_s("Fri, 31 Dec 9999 23:59:59 GMT")
    assert delay_s is not None
    assert delay_s > 0


@given(st.text() | st.from_regex(r"\A\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ [+-]?\w+\Z"), st.text())
def test_a_pause_is_never_negative_or_endless_whatever_a_server_writes(value: str, sent_at: str) -> None:
    delay_s = retry_after_s(value, sent_at)
    assert delay_s is None or (delay_s >= 0 and math.isfinite(delay_s))


@given(st.integers(0, 10), st.floats(0, 30))
def test_waits_are_jittered_under_a_doubling_bound(attempt: int, asked_s: float) -> None:
    error = RateLimited("a pause", url="http://registry.test", delay_s=asked_s)
    wait_s = wait_before_retry_s(attempt, error, 30.0)
    assert wait_s is not None
    assert asked_s <= wait_s <= asked_s + min(0.25 * 2**attempt, 8.0)
