"""This module reads a pyproject.toml that anybody may have written, within bounds."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

MAX_BYTES: Final = 256 * 1024
"""This is in bytes; real documents have a tenth of it."""
MAX_DOTS: Final = 32
"""One line may have so many dots outside of strings: `tomllib` walks a dotted key from its beginning for each part."""

_STRING: Final = re.compile(r"""[^"'\n]*+(?:"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"|'[^'\n]*+'|["'])?""")


def read_toml(body: bytes) -> dict[str, Any]:
    """Return what a text says. The result is empty for one that is not TOML, or is beyond the bounds."""
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
