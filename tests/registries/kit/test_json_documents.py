"""This tests JSON documents that are more than their process can hold."""

from __future__ import annotations

import functools

import pytest

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.errors import Malformed, TooLarge
from securechain_ingest.registries.kit.json_documents import load_object, loads
from securechain_ingest.registries.npm.names import identify
from securechain_ingest.registries.npm.packument import parse_packument
from securechain_ingest.service import PRELOADED
from securechain_ingest.settings import ArchiveSettings

TOO_LARGE = b'{"versions": {%s}}' % b",".join(b'"%d": {"dependencies": {}}' % number for number in range(1_200_000))


def test_a_text_that_is_no_json_is_malformed() -> None:
    with pytest.raises(Malformed):
        load_object(b"{", "http://made")


@pytest.mark.parametrize("text", [b"[" * 200, b'{"a": ' + b"[" * 500 + b"1", b"[" * 300 + b"1" * 70_000])
def test_brackets_that_nobody_closes_are_malformed_and_fill_no_memory(text: bytes) -> None:
    with pytest.raises(Malformed):
        load_object(text, "http://made")


def test_what_is_json_is_read() -> None:
    assert loads(b'{"a": [1, null]}') == {"a": [1, None]}


async def test_a_document_that_takes_more_memory_than_there_is_is_refused_for_that_and_is_not_called_malformed() -> (
    None
):
    settings = ArchiveSettings(processes=1, memory_bytes=400 * 1024 * 1024)
    for parse in (
        functools.partial(parse_packument, ref=identify("made"), url="http://made"),
        functools.partial(load_object, url="http://made"),
    ):
        async with ParserPool(settings, preload=PRELOADED) as pool:
            with pytest.raises(TooLarge, match="memory"):
                await pool.parse_document(parse, TOO_LARGE)
