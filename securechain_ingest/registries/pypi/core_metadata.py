"""The core metadata file of a distribution (METADATA, PKG-INFO): headers as in a mail, then a description."""

from __future__ import annotations

import re
from typing import Final

_HEADER: Final = re.compile(r"^([A-Za-z][A-Za-z0-9-]*)[ \t]*:[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)


def read_headers(body: bytes) -> dict[str, list[str]]:
    """All values of each header by its lower-case name, folded lines joined.

    Raises ValueError if it is no core metadata: the two headers that every version of the format demands are missing.
    """
    head = re.split(r"\n[ \t]*\n", body.decode("utf-8-sig", "replace").replace("\r\n", "\n"), maxsplit=1)[0]
    headers: dict[str, list[str]] = {}
    for name, value in _HEADER.findall(head):
        headers.setdefault(name.lower(), []).append(" ".join(value.split()))
    if "metadata-version" not in headers or "name" not in headers:
        raise ValueError("no core metadata: Metadata-Version or Name is missing")
    return headers
