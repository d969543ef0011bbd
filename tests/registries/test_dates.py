"""Dates as registries write them, and as the graph holds them."""

import pytest

from securechain_ingest.registries.dates import http_date_seconds


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("Tue, 11 May 2021 14:05:36 GMT", "2021-05-11T14:05:36Z"),
        ("Tue, 11 May 2021 16:05:36 +0200", "2021-05-11T14:05:36Z"),
        ("Tuesday, 11-May-21 14:05:36 GMT", "2021-05-11T14:05:36Z"),
        ("Tue May 11 14:05:36 2021", "2021-05-11T14:05:36Z"),
    ],
)
def test_an_http_date_is_held_in_utc_to_the_second(text: str, held: str) -> None:
    assert http_date_seconds(text) == held


@pytest.mark.parametrize("text", [None, "", "yesterday", "Tue, 99 May 2021 14:05:36 GMT", "1620741936"])
def test_what_is_no_http_date_is_unknown(text: str | None) -> None:
    assert http_date_seconds(text) is None
