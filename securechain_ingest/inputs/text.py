"""This module reads the text of a file that a user names."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE


def decoded(body: bytes) -> str:
    """Return a file's text: UTF-8, or UTF-16 that says so by its first bytes, as shells of Windows write what a program
    prints. It raises UnicodeDecodeError."""
    is_utf_16 = body.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
    return body.decode("utf-16" if is_utf_16 else "utf-8-sig")
