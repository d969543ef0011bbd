"""XML documents of registries and archives: read without document types, entities or network."""

from __future__ import annotations

from typing import Final

from lxml import etree

from securechain_ingest.errors import Malformed

_PARSER: Final = etree.XMLParser(
    resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True, collect_ids=False
)
_DOCTYPE: Final = b"<!DOCTYPE"
_PROLOG_BYTES: Final = 4096


def load_xml(body: bytes, url: str) -> etree._Element:
    """The document's root element. Raises Malformed, for a document with a document type too: it may hide anything."""
    if _DOCTYPE in body[:_PROLOG_BYTES].upper():
        raise Malformed(f"{url} has a document type, which is not read", url=url)
    try:
        root = etree.fromstring(body, _PARSER)
    except etree.XMLSyntaxError as error:
        raise Malformed(f"{url} is not XML ({error})", url=url) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise Malformed(f"{url} has a document type, which is not read", url=url)
    return root
