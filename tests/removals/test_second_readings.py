"""Nothing is marked as gone before two readings agree, the second past every cache: in all six ecosystems."""

from __future__ import annotations

from contextlib import suppress

import pytest

from securechain_ingest.errors import IngestError, Malformed, Stale, Unavailable, UpstreamError
from tests.registry_server import Fault, Kind
from tests.removals.conftest import Bench

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHOLE = (200, False, False)
SECOND = (200, False, True)

SPOILED = [
    (Fault("", Kind.STATUS, status=503), Unavailable),
    (Fault("", Kind.STATUS, status=403), Unavailable),
    (Fault("", Kind.DROP), Unavailable),
    (Fault("", Kind.HTML), Stale),
    (Fault("", Kind.BODY, body=b""), Stale),
    (Fault("", Kind.STATUS, status=404), Stale),
]
IDS = ["503", "403", "reset", "html", "empty", "404"]
spoiled = pytest.mark.parametrize(("fault", "error"), SPOILED, ids=IDS)


def keeps_versions(bench: Bench) -> bool:
    """Maven's lists of versions are never complete enough to say that something is gone."""
    return bench.ref.ecosystem.name == "maven"


def lacking(bench: Bench, *versions: str) -> None:
    """The next answer tells of these versions alone."""
    bench.spoil(Fault("", Kind.BODY, body=bench.document(*versions)))


@pytest.mark.parametrize("by", ["daemon", "ingest"])
async def test_a_document_that_lacked_a_version_once_marks_nothing_and_loses_nothing(bench: Bench, by: str) -> None:
    bench.serve("1.0.0", "2.0.0", "3.0.0")
    before = (await bench.package())["import_names"]
    lacking(bench, "1.0.0")

    await (bench.message() if by == "daemon" else bench.ingest())

    assert await bench.removed() == set()
    assert (await bench.package())["import_names"] == before
    if not keeps_versions(bench):
        assert bench.asked()[-1] == SECOND
        assert await bench.versions() == {"1.0.0", "2.0.0", "3.0.0"}
    bench.forget_requests()
    await bench.message(listed="another state")
    assert await bench.versions() == {"1.0.0", "2.0.0", "3.0.0"}


@pytest.mark.parametrize("by", ["daemon", "ingest"])
async def test_a_version_that_two_readings_lack_is_marked_and_not_looked_for_again(bench: Bench, by: str) -> None:
    bench.serve("1.0.0", "3.0.0")

    await (bench.message() if by == "daemon" else bench.ingest())

    gone = set() if keeps_versions(bench) else {"2.0.0"}
    assert await bench.removed() == gone
    assert bench.asked()[1:] == [SECOND]
    bench.forget_requests()
    await bench.message()
    assert bench.asked() == [(304, True, False)]
    bench.serve("1.0.0", "2.0.0", "3.0.0")
    await bench.message()
    assert await bench.removed() == set()


async def test_only_what_both_readings_lack_is_marked(bench: Bench) -> None:
    bench.serve("1.0.0", "2.0.0", "3.0.0")
    await bench.message()
    bench.serve("1.0.0", "2.0.0")
    lacking(bench, "1.0.0")

    await bench.message()

    gone = set() if keeps_versions(bench) else {"3.0.0"}
    assert await bench.removed() == gone


async def test_what_only_the_first_reading_has_is_there_and_the_document_is_read_whole_again(bench: Bench) -> None:
    if keeps_versions(bench):
        return
    bench.serve("1.0.0")
    lacking(bench, "2.0.0", "3.0.0")

    await bench.message()

    assert (await bench.removed(), await bench.versions()) == (set(), {"1.0.0", "2.0.0", "3.0.0"})
    bench.forget_requests()
    await bench.message()
    assert bench.asked()[0] == WHOLE
    assert await bench.removed() == {"2.0.0", "3.0.0"}


@spoiled
async def test_a_second_reading_that_fails_is_tried_again_and_then_marks_nothing(
    bench: Bench, fault: Fault, error: type[UpstreamError]
) -> None:
    if keeps_versions(bench):
        return
    before = (await bench.package())["import_names"]
    bench.serve("1.0.0", "2.0.0", "3.0.0")
    lacking(bench, "1.0.0", "3.0.0")
    bench.spoil(fault)
    with pytest.raises(error) as caught:
        await bench.message()
    assert caught.value.transient
    lacking(bench, "1.0.0", "3.0.0")
    bench.spoil(fault)
    await bench.message(attempts=1)

    assert (await bench.removed(), await bench.versions()) == (set(), {"1.0.0", "2.0.0", "3.0.0"})
    assert (await bench.package())["import_names"] == before
    bench.serve("1.0.0", "3.0.0")
    bench.forget_requests()
    await bench.message()
    assert bench.asked() == [WHOLE, SECOND]
    assert await bench.removed() == {"2.0.0"}


@spoiled
async def test_ingest_goes_on_without_a_second_reading(bench: Bench, fault: Fault, error: type[UpstreamError]) -> None:
    del error
    bench.serve("1.0.0", "2.0.0", "3.0.0")
    lacking(bench, "1.0.0")
    bench.spoil(fault)
    await bench.ingest()
    assert await bench.removed() == set()
    bench.site.server.faults.clear()
    await bench.ingest()
    assert await bench.versions() == {"1.0.0", "2.0.0", "3.0.0"}


async def test_a_package_that_was_not_there_once_is_there(bench: Bench) -> None:
    bench.spoil(Fault("", Kind.STATUS, status=404))

    await bench.message(removed=True)

    assert not await bench.is_removed()
    assert bench.asked()[-1] == SECOND


async def test_a_package_that_two_readings_lack_is_marked_until_it_comes_back(bench: Bench) -> None:
    bench.serve()
    await bench.message()
    assert not await bench.is_removed()
    bench.forget_requests()

    await bench.message(removed=True)

    assert await bench.is_removed()
    assert [(status, past_caches) for status, _, past_caches in bench.asked()] == [(404, False), (404, True)]
    bench.serve("1.0.0", "2.0.0")
    await bench.message(listed="again")
    assert not await bench.is_removed()


@pytest.mark.parametrize(("fault", "error"), SPOILED[:-1], ids=IDS[:-1])
async def test_a_package_whose_second_reading_fails_is_not_marked(
    bench: Bench, fault: Fault, error: type[UpstreamError]
) -> None:
    for each in (Fault("", Kind.STATUS, status=404), fault) * 2:
        bench.spoil(each)
    with pytest.raises(error):
        await bench.message(removed=True)
    await bench.message(removed=True, attempts=1)
    assert not await bench.is_removed()


@pytest.mark.parametrize("removed", [False, True])
@pytest.mark.parametrize("body", [b"", b" ", b"\n", b"{}", b"[]", b"null"])
async def test_an_empty_answer_is_malformed_and_never_a_package_that_does_not_exist(
    bench: Bench, body: bytes, removed: bool
) -> None:
    bench.spoil(Fault("", Kind.BODY, body=body), times=None)

    with pytest.raises(Malformed):
        await bench.message(removed=removed)

    assert not await bench.is_removed()
    assert await bench.removed() == set()


EMPTY = {
    "pypi": b'{"info": {}, "releases": {}, "urls": []}',
    "npm": b'{"versions": {}}',
    "maven": b"<metadata><versioning><versions/></versioning></metadata>",
    "cargo": b"\n\n",
    "nuget": b'{"count": 0, "items": []}',
}


async def test_a_document_that_lists_nothing_is_malformed(bench: Bench) -> None:
    """But for RubyGems', whose file about a gem of which everything was yanked ends with its header."""
    body = EMPTY.get(bench.ref.ecosystem.name)
    if body is None:
        return
    bench.spoil(Fault("", Kind.BODY, body=body), times=None)
    with pytest.raises(Malformed):
        await bench.message(removed=True)
    assert not await bench.is_removed()


async def test_a_document_cut_anywhere_removes_nothing(bench: Bench) -> None:
    whole, names = bench.document("1.0.0", "2.0.0"), (await bench.package())["import_names"]
    ends = [position for position, byte in enumerate(whole) if byte == ord("\n")]
    for end in {0, 1, len(whole) // 2, len(whole) - 1, *ends, *(position + 1 for position in ends)}:
        bench.site.server.faults.clear()
        bench.spoil(Fault("", Kind.BODY, body=whole[:end]))
        with suppress(IngestError):
            await bench.message(removed=True, listed=f"another state {end}")
        assert await bench.removed() == set(), end
        assert not await bench.is_removed(), end
        assert (await bench.package())["import_names"] == names, end


async def test_versions_of_another_programs_package_are_marked_after_two_readings_too(bench: Bench) -> None:
    await bench.site.read(
        f"MATCH (p:{bench.ref.ecosystem.label}) SET p.format = null, p.validator = null, p.purl = null"
    )
    lacking(bench, "1.0.0")
    await bench.message()
    assert await bench.removed() == set()

    await bench.site.read(
        f"MATCH (p:{bench.ref.ecosystem.label}) SET p.format = null, p.validator = null, p.purl = null"
    )
    bench.serve("1.0.0", "3.0.0")
    await bench.message()
    assert await bench.removed() == (set() if keeps_versions(bench) else {"2.0.0"})


async def test_a_package_that_the_list_has_in_another_state_is_asked_for_past_caches_and_once(bench: Bench) -> None:
    await bench.message(listed="another state")

    assert bench.asked() == [(304, True, True)]
    assert (await bench.package())["listed"] == "another state"


@pytest.mark.parametrize("removed", [False, True])
async def test_a_package_whose_document_alone_is_missing_is_not_marked(bench: Bench, removed: bool) -> None:
    """PyPI's other interface lists its files; in a Maven repository its POMs are there."""
    if bench.ref.ecosystem.name not in {"pypi", "maven"}:
        return
    bench.spoil(Fault("", Kind.STATUS, status=404), times=None)
    await bench.message(removed=removed)
    assert not await bench.is_removed()
