"""This tests NuGet's catalog and service index as recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from securechain_ingest.errors import Malformed
from securechain_ingest.registries.nuget.catalog import leaf_stamp, parse_index, parse_page, to_the_second
from securechain_ingest.registries.nuget.names import identify
from securechain_ingest.registries.nuget.registration import parse_registration
from securechain_ingest.registries.nuget.service_index import parse_service_index

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "nuget"

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recorded payloads (shared/fixtures) are not at hand")


def body(filename: str) -> bytes:
    return (FIXTURES / "changes" / filename).read_bytes()


def test_the_index_gives_its_pages_oldest_first() -> None:
    index = parse_index(body("catalog-index.visit0.json"), "https://made.example/index.json")
    assert index.stamp == "2022-09-23T08:18:58.8986871Z"
    assert [(link.stamp, link.url.rpartition("/")[2]) for link in index.pages] == [
        ("2021-01-11T08:39:31.3161021Z", "page11702.json"),
        ("2022-09-23T08:18:58.8986871Z", "page16958.json"),
    ]


def test_a_page_gives_its_events_oldest_first_with_all_digits_of_their_times() -> None:
    page = parse_page(body("page15386.json"), "page15386")
    assert page.stamp == "2022-03-24T14:53:06.7876425Z"
    assert len(page.events) == 223
    assert len({event.name.lower() for event in page.events}) == 203
    assert len({event.stamp for event in page.events}) == 78
    assert (page.events[0].stamp, page.events[-1].stamp) == ("2022-03-24T13:47:41.5275370Z", page.stamp)
    assert [event.stamp for event in page.events] == sorted(event.stamp for event in page.events)
    assert all(event.is_there for event in page.events)
    assert {event.name for event in page.events if event.stamp == page.stamp} >= {
        "VL.BadMapper",
        "Bucket.EventBus.RabbitMQ",
    }


def test_a_page_may_have_moved_on_since_its_index_was_read() -> None:
    index = parse_index(body("catalog-index.visit0.json"), "https://made.example/index.json")
    page = parse_page(body("page16958.json"), "page16958")
    assert page.stamp > index.stamp
    assert [event.version for event in page.events if event.stamp > index.stamp] == ["5.0.5000.1235-experimental"]


@pytest.mark.parametrize("filename", ["page11702.json", "page15386.json", "page16958.json"])
def test_the_address_of_a_leaf_has_the_time_of_its_commit_to_the_second(filename: str) -> None:
    page = parse_page(body(filename), filename)
    addresses = sorted(part for part in body(filename).decode().split('"') if "/catalog0/data/" in part)
    assert sorted(filter(None, map(leaf_stamp, addresses))) == sorted(
        to_the_second(event.stamp) for event in page.events
    )


@pytest.mark.parametrize(
    ("filename", "newest_leaf", "written"),
    [
        ("ogcapi.net.sqlserver.json", "2022-03-25T10:27:50Z", "2022-03-25T10:28:13.3491126Z"),
        ("proxykit.json", "2024-11-13T10:15:11Z", "2024-11-13T10:18:14.1126201Z"),
        ("sustainsys.saml2.json", "2020-04-21T12:30:11Z", "2020-04-21T12:30:33.5740394Z"),
        # Written anew more than a year after the last leaf that it shows.
        ("enterpriselibrary.common.json", "2018-10-06T12:33:27Z", "2020-02-08T01:42:24.8901684Z"),
    ],
)
def test_a_registration_is_later_than_the_newest_leaf_that_it_shows(
    filename: str, newest_leaf: str, written: str
) -> None:
    raw = (FIXTURES / "metadata" / "registration" / filename).read_bytes()
    registration = parse_registration(raw, identify(filename.removesuffix(".json")), "https://made.example/")
    assert (registration.revision, registration.written) == (newest_leaf, written)


def test_the_service_index_names_the_catalog() -> None:
    found = parse_service_index((FIXTURES / "enumeration" / "v3-index.json").read_bytes(), "the service index")
    assert found.catalog is not None
    assert found.catalog.endswith("/v3/catalog0/index.json")


def test_a_leaf_is_no_page() -> None:
    with pytest.raises(Malformed):
        parse_page(body("leaf/newtonsoft.json.json"), "a leaf")
