"""A pyproject.toml of anybody, read within bounds."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

MAX_BYTES: Final = 256 * 1024
"""Of a document; real ones have a tenth of that."""
MAX_DOTS: Final = 32
"""Outside of strings, in one line: `tomllib` walks a dotted key from its beginning for each of its parts."""

_STRING: Final = re.compile(r"""[^"'\n]*+(?:"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|'[^'\n]*+'|["'])?""")


def read_toml(body: bytes) -> dict[str, Any]:
    """The document; an empty one for what is none, or is beyond the bounds."""
    if len(body) > MAX_BYTES:
        return {}
    try:
        text = body.decode("utf-8-sig")
        if any(line.count(".") > MAX_DOTS and _dots_outside_of_strings(line) > MAX_DOTS for line in text.splitlines()):
            return {}
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}


def _dots_outside_of_strings(line: str) -> int:
    pieces = (match[0] for match in _STRING.finditer(line))
    return sum(re.split("[\"']", piece, maxsplit=1)[0].count(".") for piece in pieces)
