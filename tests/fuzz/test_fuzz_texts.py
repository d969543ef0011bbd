"""This tests readers of single texts that others write: versions and names, messages, what stands in HTTP's headers,
dates.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import strategies as st

from securechain_ingest.errors import IngestError, InvalidName, PoisonMessage
from securechain_ingest.http.answers import conditional_headers, range_of, retry_after_s, validator_of
from securechain_ingest.queue.entries import History, read_entry
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.queue.messages import NODE_TYPES, encode, parse
from securechain_ingest.registries import DECLARATIONS, named_package
from securechain_ingest.registries.kit.dates import http_date_seconds, utc_seconds
from securechain_ingest.registries.protocol import RegistryClass
from tests.fuzz.mutations import mutated, strange_text
from tests.fuzz.search import SEEDS, fuzzed

NUMBERS = st.integers(0, 2**32 - 1)
VERSIONS = ("1.2.3", "1.0.0-beta.1+build.5", "2.0rc1.post3.dev4", "1!2.0", "1.0-SNAPSHOT", "4.3.2.RELEASE", "v1")
NAMES = ("six", "@babel/core", "org.antlr:ST4", "serde_json", "rails", "Newtonsoft.Json")
DATES = ("2025-10-09T10:00:00Z", "2025-10-09T10:00:00.1234567+02:00", "Tue, 11 May 2021 14:05:36 GMT", "120")

every_ecosystem = pytest.mark.parametrize("registry", DECLARATIONS, ids=lambda registry: registry.ecosystem.name)


@every_ecosystem
def test_any_version_has_a_rank(registry: RegistryClass) -> None:
    rank = registry.ecosystem.rank

    @fuzzed(st.lists(st.tuples(NUMBERS, st.sampled_from(VERSIONS)), min_size=1, max_size=8), share=0.2)
    def fuzz(numbers: list[tuple[int, str]]) -> None:
        names = {strange_text(number, like) for number, like in numbers} | {"1.0", "2.0"}
        assert rank(names).keys() == names


@every_ecosystem
def test_any_name_is_one_or_invalid(registry: RegistryClass) -> None:
    @fuzzed(NUMBERS, st.sampled_from(NAMES), share=0.2)
    def fuzz(number: int, like: str) -> None:
        with suppress(InvalidName):
            assert registry.identify(strange_text(number, like)).name
        with suppress(InvalidName):
            named_package(f"{registry.ecosystem.name}:{strange_text(number, like)}")
        with suppress(InvalidName):
            named_package(strange_text(number, f"pkg:{registry.ecosystem.purl_type}/{like}"))


def test_any_message_is_one_or_refused_in_one_line_and_survives_being_written() -> None:
    document: dict[str, Any] = {
        "node_type": "PyPIPackage",
        "package": "six",
        "vendor": "n/a",
        "repository_url": "n/a",
        "moment": "2025-12-15T17:20:50.123456",
        "constraints": ">= 1.0",
        "parent_id": "4:5f0c:1",
        "parent_version": "1.0",
        "refresh": False,
        "depth": 3,
        "internal": True,
        "at_least": "17",
        "removed": False,
        "run": "r1",
    }

    @fuzzed(st.sampled_from(sorted(NODE_TYPES)), SEEDS, share=2)
    def fuzz(node_type: str, seeds: list[int]) -> None:
        data = mutated(json.dumps(document | {"node_type": node_type}).encode(), seeds)
        try:
            message = parse({b"data": data})
        except PoisonMessage as error:
            told = str(error)
        else:
            told = ""
            assert parse({"data": encode(message)}) == message
        assert "\n" not in told
        assert len(told) < 1000


def test_what_the_daemon_notes_beside_a_message_is_read_or_means_nothing() -> None:
    @fuzzed(SEEDS, share=0.5)
    def fuzz(seeds: list[int]) -> None:
        history = mutated(b'["1700000000000-0",3,"2025-10-09T10:00:00.000Z","away",1]', seeds)
        read = read_entry("pypi", Lane.ASKED, b"1-1", {b"history": history, b"data": history, b"run": history})
        assert read.attempts >= 0
        assert History.decode(read.history.encode()) == read.history


def test_any_date_is_held_in_one_form_or_unknown() -> None:
    @fuzzed(NUMBERS, st.sampled_from(DATES), share=0.5)
    def fuzz(number: int, like: str) -> None:
        for read in (utc_seconds, http_date_seconds):
            held = read(strange_text(number, like))
            assert held is None or len(held) == len("2025-10-09T10:00:00Z")


def test_headers_say_something_or_nothing() -> None:
    @fuzzed(NUMBERS, st.sampled_from(DATES), st.sampled_from(("bytes 0-9/100", '"tag"', "W/x")), share=0.5)
    def fuzz(number: int, date: str, other: str) -> None:
        date, other = strange_text(number, date), strange_text(number, other)
        delay_s = retry_after_s(date, other)
        assert delay_s is None or delay_s >= 0
        assert retry_after_s("120", date) == 120
        headers = [(name, other.encode()[:1000]) for name in (b"content-range", b"etag", b"last-modified")]
        response = httpx.Response(206, headers=headers)
        conditional_headers(validator_of(response))
        with suppress(IngestError):
            range_of(response, "http://registry.test/x", 0, 9)
