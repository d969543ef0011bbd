"""This tests Maven's order of today. Each row was compared by the ComparableVersion of apache/maven's main branch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.advisories.matching import rate
from securechain_ingest.registries.maven.names import MAVEN, identify
from securechain_ingest.registries.maven.version_order import MAX_LENGTH, order_key
from securechain_ingest.registries.maven.version_ranges import highest_in
from tests.steps import assert_linear

ASCENDING = (
    ("4.0.0.Alpha1", "4.0.0.Beta3", "4.0.0-M1", "4.0.0.RC1", "4.0.0-RC2", "4.0.0-SNAPSHOT", "4.0.0", "4.0.0.SP1"),
    ("4.0.0.SP1", "4.0.0.foo", "4.0.0-1", "4.0.0.1", "4.0.1"),
    ("1.0.RC2", "1.0-RC3", "1.0.1"),
    ("1-alpha", "1-alpha-1", "1a2", "1-beta", "1.b1", "1-m1", "1-rc", "1-cr1", "1"),
    ("9.4.1.jre16", "9.4.1.jre16-preview", "9.4.1.jre17"),
    ("33.0.0-android", "33.0.0-jre", "33.0.1-android"),
    ("7.4.3.20", "7.4.3.20-ga20"),
    ("4.0.16.Final", "4.0.16.Final-jason1"),
    ("2.0.0.M1", "2.0.0.M2", "2.0.0.M10", "2.0.0.RELEASE", "2.0.1.RELEASE"),
    ("1.0-rc1-1", "1.0-rc1-2"),
    ("v1", "1"),
    ("1.999999999999999999999", "1.9999999999999999999990"),
)
EQUAL = (
    ("5.2.8.RELEASE", "5.2.8", "5.2.8.Final", "5.2.8-ga", "5.2.8.0.RELEASE", "5.2.8-0", "5.2.8."),
    ("1.0.0.RC1", "1-RC1", "1.0-rc-1", "1rc1", "1.0.cr1"),
    ("1.0.X", "1-x", "1.0.0.X"),
    ("1a1", "1-alpha-1", "1.0.0.alpha1"),
    ("01.002", "1.2"),
    ("0-rc", "rc"),
)


@pytest.mark.parametrize("versions", ASCENDING)
def test_versions_are_in_mavens_order(versions: tuple[str, ...]) -> None:
    keys = list(map(order_key, versions))

    assert all(one < other for place, one in enumerate(keys) for other in keys[place + 1 :])


@pytest.mark.parametrize("versions", EQUAL)
def test_versions_that_maven_calls_equal_are_equal(versions: tuple[str, ...]) -> None:
    assert all(order_key(one) == order_key(other) for one in versions for other in versions)


def test_a_version_longer_than_maven_takes_has_no_place() -> None:
    assert order_key("1" * MAX_LENGTH) > order_key("2")
    for name in ("1" * (MAX_LENGTH + 1), "1" * 5000, "-" * 100_000):
        with pytest.raises(ValueError, match="longer"):
            order_key(name)


TEXTS = st.text("01a.-rc9", max_size=8) | st.lists(
    st.sampled_from(["0", "1", ".", "-", "rc", "final", "sp", "x", "m"]), max_size=8
).map("".join)


@given(TEXTS, TEXTS, TEXTS)
def test_the_order_is_one(one: str, two: str, three: str) -> None:
    low, middle, high = sorted(map(order_key, (one, two, three)))

    assert low <= middle <= high
    assert low <= high
    assert not (low == middle == high) or low == high


@pytest.mark.parametrize(
    ("events", "affected"),
    [
        ([{"introduced": "0"}, {"fixed": "4.0.0-RC2"}], {"4.0.0.Beta3", "4.0.0.RC1"}),
        ([{"introduced": "0"}, {"last_affected": "5.2.8"}], {"4.0.0.Beta3", "4.0.0.RC1", "4.0.0", "5.2.8.RELEASE"}),
        ([{"introduced": "5.2.8"}], {"5.2.8.RELEASE", "5.2.9.RELEASE"}),
        ([{"introduced": "4.0.0.RC1"}, {"fixed": "4.0.0"}], {"4.0.0.RC1"}),
    ],
)
def test_ranges_of_advisories_are_read_in_that_order(events: list[dict[str, str]], affected: set[str]) -> None:
    versions = ("4.0.0.Beta3", "4.0.0.RC1", "4.0.0", "5.2.8.RELEASE", "5.2.9.RELEASE")
    package = {"ecosystem": "Maven", "name": "g:a"}
    document = {
        "id": "made-1",
        "affected": [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}],
    }
    ratings = rate(identify("g:a"), versions, [document])

    assert {name for name, rating in ratings.items() if rating.vulnerabilities} == affected


def test_serial_numbers_stay_in_the_order_of_the_clients() -> None:
    ranks = MAVEN.rank(["4.0.0.Beta3", "4.0.0-RC2", "5.2.8", "5.2.8.RELEASE"])

    assert ranks == {"4.0.0-RC2": 0, "4.0.0.Beta3": 1, "5.2.8": 2, "5.2.8.RELEASE": 3}


def test_a_key_takes_steps_by_the_length_of_its_version() -> None:
    order_key.cache_clear()
    for part in ("1.", "-", "a1", "0-", "rc-1."):
        assert_linear(lambda size, part=part: lambda: order_key((part * size)[:size]), 100)  # type: ignore[misc]


def test_a_highest_version_is_found_in_one_look_at_each() -> None:
    order_key.cache_clear()

    def prepare(size: int) -> object:
        versions = [f"1.{size}.{number}" for number in range(size)]
        return lambda: highest_in("[1,2)", versions)

    assert_linear(prepare)  # type: ignore[arg-type]
