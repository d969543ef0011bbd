"""What foreign bytes provoke in a parser is the bytes' fault to whoever waits, and ours in the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from securechain_ingest.archives.pool import INLINE_BYTES, ParserPool
from securechain_ingest.errors import ArchiveRefused, IngestError, Malformed
from securechain_ingest.settings import ArchiveSettings
from tests.archives.parsers import names_of_document

URL = "http://registry.test/six/json"

FAULTS = {
    "int('9' * 4301)": "ValueError",
    "(lambda again: again(again))(lambda again: again(again))": "RecursionError",
    "b'\\xff'.decode()": "UnicodeDecodeError",
    "__import__('datetime').date(10 ** 20, 1, 1)": "OverflowError",
    "{}['versions']": "KeyError",
    "[][0]": "IndexError",
    "None + 1": "TypeError",
    "__import__('struct').unpack('<L', b'')": "error",
    "__import__('zlib').decompress(b'x')": "error",
    "next(iter(()))": "StopIteration",
    "None.name": "AttributeError",
}


@pytest.fixture
async def pool() -> AsyncIterator[ParserPool]:
    async with ParserPool(ArchiveSettings(processes=1)) as pool:
        yield pool


async def _told(pool: ParserPool, *, body: bytes, is_document: bool) -> tuple[IngestError, list[Any]]:
    act = partial(pool.parse_document, names_of_document, body, URL) if is_document else partial(pool.run, eval, body)
    with capture_logs() as lines, pytest.raises(IngestError) as raised:
        await act()
    return raised.value, lines


@pytest.mark.parametrize("padding", [b"", b" " * INLINE_BYTES], ids=["here", "in a child"])
async def test_a_fault_in_a_document_is_malformed_here_and_in_a_child(pool: ParserPool, padding: bytes) -> None:
    for expression, kind in FAULTS.items():
        error, lines = await _told(pool, body=expression.encode() + padding, is_document=True)
        assert type(error) is Malformed
        assert (error.url, error.transient) == (URL, False)
        assert kind in str(error)
        assert "\n" not in str(error)
        (line,) = lines
        assert (line["event"], line["log_level"], line["parser"]) == ("parser_failed", "warning", "names_of_document")
        assert line["exception"].startswith("Traceback")
        assert "names_of_document" in line["exception"]


async def test_a_fault_in_an_archive_is_a_refusal(pool: ParserPool) -> None:
    for expression in FAULTS:
        error, lines = await _told(pool, body=expression.encode(), is_document=False)
        assert isinstance(error, ArchiveRefused)
        assert error.reason == "parser_error"
        assert [line["event"] for line in lines] == ["parser_failed"]
        assert "Traceback" in lines[0]["exception"]


async def test_what_a_parser_means_is_no_fault_of_ours(pool: ParserPool) -> None:
    for padding in (b"", b" " * INLINE_BYTES):
        told = b"(_ for _ in ()).throw(__import__('securechain_ingest.errors').errors.Malformed('x', url='u'))"
        error, lines = await _told(pool, body=told + padding, is_document=True)
        assert (type(error), str(error), lines) == (Malformed, "x", [])


async def test_a_long_message_of_an_exception_is_shortened(pool: ParserPool) -> None:
    error, _ = await _told(pool, body=b"{}['x' * 10_000 + '\\n']", is_document=True)
    assert len(str(error)) < 400
