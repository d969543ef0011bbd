"""Nothing is marked as gone before two readings agree, the second past every cache: in all ecosystems."""

from __future__ import annotations

from contextlib import suppress

import pytest

from securechain_ingest.errors import IngestError, Malformed, Stale, Unavailable, UpstreamError
from tests.registry_server import Fault, FaultKind
from tests.removals.conftest import Subject

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHOLE = (200, False, False)
SECOND = (200, False, True)

SPOILED = [
    (Fault("", FaultKind.STATUS, status=503), Unavailable),
    (Fault("", FaultKind.STATUS, status=403), Unavailable),
    (Fault("", FaultKind.DROP), Unavailable),
    (Fault("", FaultKind.HTML), Stale),
    (Fault("", FaultKind.BODY, body=b""), Stale),
    (Fault("", FaultKind.STATUS, status=404), Stale),
]
IDS = ["503", "403", "reset", "html", "empty", "404"]
spoiled = pytest.mark.parametrize(("fault", "error"), SPOILED, ids=IDS)


def keeps_versions(subject: Subject) -> bool:
    """Maven's lists of versions are never complete enough to say that something is gone."""
    return subject.kind.traits.hides_removals


def lacking(subject: Subject, *versions: str) -> None:
    """The next answer tells of these versions alone."""
    subject.spoil(Fault("", FaultKind.BODY, body=subject.document(*versions)))


@pytest.mark.parametrize("by", ["daemon", "ingest"])
async def test_a_document_that_lacked_a_version_once_marks_nothing_and_loses_nothing(subject: Subject, by: str) -> None:
    subject.serve("1.0.0", "2.0.0", "3.0.0")
    before = (await subject.package())["import_names"]
    lacking(subject, "1.0.0")

    await (subject.message() if by == "daemon" else subject.ingest())

    assert await subject.removed() == set()
    assert (await subject.package())["import_names"] == before
    if not keeps_versions(subject):
        assert subject.asked()[-1] == SECOND
        assert await subject.versions() == {"1.0.0", "2.0.0", "3.0.0"}
    subject.forget_requests()
    await subject.message(listed="another state")
    assert await subject.versions() == {"1.0.0", "2.0.0", "3.0.0"}


@pytest.mark.parametrize("by", ["daemon", "ingest"])
async def test_a_version_that_two_readings_lack_is_marked_and_not_looked_for_again(subject: Subject, by: str) -> None:
    subject.serve("1.0.0", "3.0.0")

    await (subject.message() if by == "daemon" else subject.ingest())

    gone = set() if keeps_versions(subject) else {"2.0.0"}
    assert await subject.removed() == gone
    assert subject.asked()[1:] == [SECOND]
    subject.forget_requests()
    await subject.message()
    assert subject.asked() == [(304, True, False)]
    subject.serve("1.0.0", "2.0.0", "3.0.0")
    await subject.message()
    assert await subject.removed() == set()


async def test_only_what_both_readings_lack_is_marked(subject: Subject) -> None:
    subject.serve("1.0.0", "2.0.0", "3.0.0")
    await subject.message()
    subject.serve("1.0.0", "2.0.0")
    lacking(subject, "1.0.0")

    await subject.message()

    gone = set() if keeps_versions(subject) else {"3.0.0"}
    assert await subject.removed() == gone


async def test_what_only_the_first_reading_has_is_there_and_the_document_is_read_whole_again(subject: Subject) -> None:
    if keeps_versions(subject):
        return
    subject.serve("1.0.0")
    lacking(subject, "2.0.0", "3.0.0")

    await subject.message()

    assert (await subject.removed(), await subject.versions()) == (set(), {"1.0.0", "2.0.0", "3.0.0"})
    subject.forget_requests()
    await subject.message()
    assert subject.asked()[0] == WHOLE
    assert await subject.removed() == {"2.0.0", "3.0.0"}


@spoiled
async def test_a_second_reading_that_fails_is_tried_again_and_then_marks_nothing(
    subject: Subject, fault: Fault, error: type[UpstreamError]
) -> None:
    if keeps_versions(subject):
        return
    before = (await subject.package())["import_names"]
    subject.serve("1.0.0", "2.0.0", "3.0.0")
    lacking(subject, "1.0.0", "3.0.0")
    subject.spoil(fault)
    with pytest.raises(error) as caught:
        await subject.message()
    assert caught.value.transient
    lacking(subject, "1.0.0", "3.0.0")
    subject.spoil(fault)
    await subject.message(attempts=1)

    assert (await subject.removed(), await subject.versions()) == (set(), {"1.0.0", "2.0.0", "3.0.0"})
    assert (await subject.package())["import_names"] == before
    subject.serve("1.0.0", "3.0.0")
    subject.forget_requests()
    await subject.message()
    assert subject.asked() == [WHOLE, SECOND]
    assert await subject.removed() == {"2.0.0"}


@spoiled
async def test_ingest_goes_on_without_a_second_reading(
    subject: Subject, fault: Fault, error: type[UpstreamError]
) -> None:
    del error
    subject.serve("1.0.0", "2.0.0", "3.0.0")
    lacking(subject, "1.0.0")
    subject.spoil(fault)
    await subject.ingest()
    assert await subject.removed() == set()
    subject.daemon.server.faults.clear()
    await subject.ingest()
    assert await subject.versions() == {"1.0.0", "2.0.0", "3.0.0"}


async def test_a_package_that_was_not_there_once_is_there(subject: Subject) -> None:
    subject.spoil(Fault("", FaultKind.STATUS, status=404))

    await subject.message(removed=True)

    assert not await subject.is_removed()
    assert subject.asked()[-1] == SECOND


async def test_a_package_that_two_readings_lack_is_marked_until_it_comes_back(subject: Subject) -> None:
    subject.serve()
    await subject.message()
    assert not await subject.is_removed()
    subject.forget_requests()

    await subject.message(removed=True)

    assert await subject.is_removed()
    assert [(status, past_caches) for status, _, past_caches in subject.asked()] == [(404, False), (404, True)]
    subject.serve("1.0.0", "2.0.0")
    await subject.message(listed="again")
    assert not await subject.is_removed()


@pytest.mark.parametrize(("fault", "error"), SPOILED[:-1], ids=IDS[:-1])
async def test_a_package_whose_second_reading_fails_is_not_marked(
    subject: Subject, fault: Fault, error: type[UpstreamError]
) -> None:
    for each in (Fault("", FaultKind.STATUS, status=404), fault) * 2:
        subject.spoil(each)
    with pytest.raises(error):
        await subject.message(removed=True)
    await subject.message(removed=True, attempts=1)
    assert not await subject.is_removed()


@pytest.mark.parametrize("removed", [False, True])
@pytest.mark.parametrize("body", [b"", b" ", b"\n", b"{}", b"[]", b"null"])
async def test_an_empty_answer_is_malformed_and_never_a_package_that_does_not_exist(
    subject: Subject, body: bytes, removed: bool
) -> None:
    subject.spoil(Fault("", FaultKind.BODY, body=body), times=None)

    with pytest.raises(Malformed):
        await subject.message(removed=removed)

    assert not await subject.is_removed()
    assert await subject.removed() == set()


async def test_a_document_that_lists_nothing_is_malformed(subject: Subject) -> None:
    """But for RubyGems', whose file about a gem of which everything was yanked ends with its header."""
    body = subject.kind.traits.empty_document
    if body is None:
        return
    subject.spoil(Fault("", FaultKind.BODY, body=body), times=None)
    with pytest.raises(Malformed):
        await subject.message(removed=True)
    assert not await subject.is_removed()


async def test_a_document_cut_anywhere_removes_nothing(subject: Subject) -> None:
    whole, names = subject.document("1.0.0", "2.0.0"), (await subject.package())["import_names"]
    ends = [position for position, byte in enumerate(whole) if byte == ord("\n")]
    for end in {0, 1, len(whole) // 2, len(whole) - 1, *ends, *(position + 1 for position in ends)}:
        subject.daemon.server.faults.clear()
        subject.spoil(Fault("", FaultKind.BODY, body=whole[:end]))
        with suppress(IngestError):
            await subject.message(removed=True, listed=f"another state {end}")
        assert await subject.removed() == set(), end
        assert not await subject.is_removed(), end
        assert (await subject.package())["import_names"] == names, end


async def test_versions_of_another_programs_package_are_marked_after_two_readings_too(subject: Subject) -> None:
    await subject.daemon.read(
        f"MATCH (p:{subject.ref.ecosystem.label}) SET p.format = null, p.validator = null, p.purl = null"
    )
    lacking(subject, "1.0.0")
    await subject.message()
    assert await subject.removed() == set()

    await subject.daemon.read(
        f"MATCH (p:{subject.ref.ecosystem.label}) SET p.format = null, p.validator = null, p.purl = null"
    )
    subject.serve("1.0.0", "3.0.0")
    await subject.message()
    assert await subject.removed() == (set() if keeps_versions(subject) else {"2.0.0"})


async def test_a_package_that_the_list_has_in_another_state_is_asked_for_past_caches_and_once(subject: Subject) -> None:
    await subject.message(listed="another state")

    assert subject.asked() == [(304, True, True)]
    assert (await subject.package())["listed"] == "another state"


@pytest.mark.parametrize("removed", [False, True])
async def test_a_package_whose_document_alone_is_missing_is_not_marked(subject: Subject, removed: bool) -> None:
    """PyPI's other interface lists its files; in a Maven repository its POMs are there."""
    if subject.ref.ecosystem.name not in {"pypi", "maven"}:
        return
    subject.spoil(Fault("", FaultKind.STATUS, status=404), times=None)
    await subject.message(removed=removed)
    assert not await subject.is_removed()
