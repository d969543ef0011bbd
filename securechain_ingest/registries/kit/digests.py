"""This module reads digests of archives as registries write them."""

from __future__ import annotations

import re
from typing import Final

_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")


def sha256(text: object) -> str | None:
    """Return a SHA-256 digest in lower-case hexadecimal digits. The result is None if the value is not one."""
    return text.lower() if isinstance(text, str) and _SHA256.fullmatch(text) else None
