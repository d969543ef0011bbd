"""This module reads JSON documents of registries, and takes typed values out of them."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from typing import Any, Final

import orjson

from securechain_ingest.errors import Malformed

_FITS_BYTES: Final = 8 * 1024 * 1024
"""A text of so few bytes is never too large for a process, whatever is in it."""

_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def loads(body: bytes) -> Any:
    """Return what a JSON text says. It raises orjson.JSONDecodeError, and MemoryError for a text that is too large for
    this process, which orjson calls an error of the text. orjson says the same of two hundred brackets that nobody
    closes.

    Texts are cut, now and then, between the two halves of a surrogate pair. JavaScript and Python read that and orjson
    does not; here all characters that the text writes as pairs are replaced then.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if "surrogate in string" in error.msg:
            return orjson.loads(_SURROGATE.sub(rb"\\ufffd", body))
        if "memory" in error.msg and len(body) > _FITS_BYTES:
            raise MemoryError(error.msg) from error
        raise


def load_json(body: bytes, url: str) -> Any:
    """Return what the document at `url` says. It raises Malformed. .NET likes to put a byte order mark first."""
    try:
        return loads(body.removeprefix(BOM_UTF8))
    except orjson.JSONDecodeError as error:
        raise Malformed(f"{url} is not JSON ({error})", url=url) from error


def load_object(body: bytes, url: str) -> dict[str, Any]:
    """Return the document's object. It raises Malformed, also for a document that is something else."""
    document = load_json(body, url)
    if not isinstance(document, dict):
        raise Malformed(f"{url} is not a JSON object", url=url)
    return document


def as_table(value: object) -> dict[str, Any]:
    """Return the value if it is an object, and an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return the value if it is a list, and an empty one for anything else."""
    return value if isinstance(value, list) else []


def as_text(value: object) -> str | None:
    """Return the value if it is a text, and None for anything else."""
    return value if isinstance(value, str) else None
