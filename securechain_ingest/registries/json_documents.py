"""JSON documents of registries."""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import Any

import orjson

from securechain_ingest.errors import Malformed


def load_object(body: bytes, url: str) -> dict[str, Any]:
    """The document's object; .NET likes to put a byte order mark in front. Raises Malformed."""
    try:
        document = orjson.loads(body.removeprefix(BOM_UTF8))
    except orjson.JSONDecodeError as error:
        raise Malformed(f"{url} is not JSON ({error})", url=url) from error
    if not isinstance(document, dict):
        raise Malformed(f"{url} is not a JSON object", url=url)
    return document
