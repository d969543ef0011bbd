"""This tests dates as registries write them, and as the graph holds them."""

import pytest

from securechain_ingest.registries.kit.dates import http_date_seconds, utc_seconds


def test_a_date_of_the_first_centuries_has_four_digits_of_a_year() -> None:
    assert utc_seconds("0001-01-02T03:04:05Z") == "0001-01-02T03:04:05Z"


@pytest.mark.parametrize("text", ["9" * 5000, "100000000000000000000-01-01", "0001-01-01T00:00:00+01:00", 7, None])
def test_what_is_no_time_that_can_be_held_is_unknown(text: object) -> None:
    assert utc_seconds(text) is None


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
