"""This module reads XML documents without document types, entities or network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lxml import etree

from securechain_ingest.errors import Malformed

_PARSER: Final = etree.XMLParser(
    resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
)
# Not collect_ids=False: with it and without entities lxml 6.1 reads the files that a parameter entity names.
_PROLOG: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*)*", re.DOTALL)
_DOCTYPE_BEGIN: Final = b"<!DOCTYPE"
_DOCTYPE: Final = re.compile(
    rb"""<!DOCTYPE\s+[^\s<>\[\]"']+(?:\s+(?:SYSTEM|PUBLIC\s+(?:"[^"]*"|'[^']*'))\s*(?:"[^"]*"|'[^']*'))?\s*(?:\[\s*\]\s*)?>""",
    re.IGNORECASE,
)

_FOREIGN: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]|&#(?:x0*([0-9a-fA-F]+)|0*([0-9]+));")
"""This is a character that XML 1.0 does not have, in UTF-8 ("Characters"), or a reference to any character."""
_REPLACEMENT: Final = "\ufffd".encode()


def load_xml(body: bytes, url: str) -> etree._Element:
    """Return the document's root element.

    A document type is passed over if it declares nothing itself; what it refers to is never fetched. Malformed is
    raised for a text that is not XML, and for a document type that declares something, because entities may hide
    anything.
    """
    begin, end = _doctype(body)
    if begin != end:
        # Without it entities that it may have declared are unknown, and not just empty.
        body = body[:begin] + body[end:]
    elif body[begin : begin + len(_DOCTYPE_BEGIN)].upper() == _DOCTYPE_BEGIN:
        raise Malformed(f"{url} has a document type with declarations, which is not read", url=url)
    try:
        root = etree.fromstring(body, _PARSER)
    except etree.XMLSyntaxError as error:
        raise Malformed(f"{url} is not XML ({error})", url=url) from error
    if root.getroottree().docinfo.internalDTD is not None:
        # In an encoding that hid it from a look at the bytes.
        raise Malformed(f"{url} has a document type, which is not read", url=url)
    return root


def rss_items(body: bytes, url: str) -> Iterator[etree._Element]:
    """Return the items of an RSS feed. It raises Malformed for a document that is not one.

    Registries copy authors' descriptions into their feeds, control characters included (pypi/warehouse#13471). One
    description must not cost the feed, so what cannot be in XML is replaced.
    """
    root = load_xml(_FOREIGN.sub(_possible, body), url)
    channel = root.find("channel")
    if root.tag != "rss" or channel is None:
        raise Malformed(f"{url} is no RSS feed", url=url)
    return channel.iter("item")


def _possible(found: re.Match[bytes]) -> bytes:
    """Return what XML can have in the place of what was found."""
    hexadecimal, decimal = found.groups()
    digits = hexadecimal or decimal or b""
    number = int(digits, 16 if hexadecimal else 10) if 0 < len(digits) < 8 else 0
    is_character = number in (0x9, 0xA, 0xD) or 0x20 <= number <= 0xD7FF or 0xE000 <= number <= 0xFFFD
    return found[0] if is_character or 0x10000 <= number <= 0x10FFFF else _REPLACEMENT


def _doctype(body: bytes) -> tuple[int, int]:
    """Return where the document type begins and ends. Both are equal if there is none, or one with declarations."""
    prolog = _PROLOG.match(body)
    begin = prolog.end() if prolog else 0
    doctype = _DOCTYPE.match(body, begin)
    return begin, doctype.end() if doctype else begin
