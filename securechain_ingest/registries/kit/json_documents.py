"""JSON documents of registries."""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import Any, Final

import orjson

from securechain_ingest.errors import Malformed

_FITS_BYTES: Final = 8 * 1024 * 1024
"""No text of so few bytes is too large for a process, whatever is in it."""


def loads(body: bytes) -> Any:
    """What a JSON text says. Raises orjson.JSONDecodeError, and MemoryError for one that is too large for this process,
    which orjson calls an error of the text. It says the same of two hundred brackets that nobody closes.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if "memory" in error.msg and len(body) > _FITS_BYTES:
            raise MemoryError(error.msg) from error
        raise


def load_object(body: bytes, url: str) -> dict[str, Any]:
    """The document's object; .NET likes to put a byte order mark in front. Raises Malformed."""
    try:
        document = loads(body.removeprefix(BOM_UTF8))
    except orjson.JSONDecodeError as error:
        raise Malformed(f"{url} is not JSON ({error})", url=url) from error
    if not isinstance(document, dict):
        raise Malformed(f"{url} is not a JSON object", url=url)
    return document
