"""This module reads XML documents of a Maven repository as forgivingly as Maven does."""

from __future__ import annotations

import re
from html import escape
from html.entities import html5
from typing import Final

from lxml import etree

from securechain_ingest.errors import Malformed
from securechain_ingest.registries.kit.xml_documents import load_xml

_DECLARATION: Final = re.compile(r"<\?xml[^>]*\?>")
_ENTITY: Final = re.compile(r"&([A-Za-z][A-Za-z0-9]*;)")
_NO_CHARACTER: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_ATTRIBUTES: Final = re.compile(r"""(<[\w.:-]+)\s+(?:[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*')\s*)+(?=/?>)""")
_PREFIX: Final = re.compile(r"(</?)[\w.-]+:(?=\w)")
_XML_ENTITIES: Final = frozenset({"amp;", "lt;", "gt;", "quot;", "apos;"})


def parse_xml(body: bytes, root: str, url: str) -> etree._Element:
    """Return the root element, whose name without namespace must be `root`. It raises Malformed."""
    try:
        element = load_xml(body, url)
    except Malformed:
        element = load_xml(_repaired(body), url)
    if local_name(element) != root:
        raise Malformed(f"{url} is not the document that was asked for: its root is {local_name(element)!r}", url=url)
    return element


def local_name(element: etree._Element) -> str:
    """Return the element's name without namespace, which older documents lack."""
    return str(element.tag).rpartition("}")[2]


def text_of(element: etree._Element) -> str:
    """Return the element's text, trimmed as Maven does it."""
    return (element.text or "").strip()


def children(element: etree._Element | None) -> dict[str, etree._Element]:
    """Return the child elements by name. If a name repeats, the first counts."""
    if element is None:
        return {}
    found: dict[str, etree._Element] = {}
    for child in element:
        found.setdefault(local_name(child), child)
    return found


def entries(element: etree._Element | None, name: str) -> list[etree._Element]:
    """Return the entries of a list. An element with another name, such as a misspelt `dependecy`, is none: Maven passes
    it over."""
    return [] if element is None else [child for child in element if local_name(child) == name]


def _repaired(body: bytes) -> bytes:
    """The text is decoded as its bytes really are. It loses what stands before the root, all prefixes, which may be
    those of no namespace, and all attributes, which say nothing here: there may be no space between them, or no address
    in `xmlns`. HTML's entities become characters, and what XML has no character for, such as ESC, becomes a space."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    text = text.strip()
    if declaration := _DECLARATION.match(text):
        text = text[declaration.end() :].lstrip()
    text = _PREFIX.sub(r"\1", _ATTRIBUTES.sub(r"\1", _NO_CHARACTER.sub(" ", text)))
    return _ENTITY.sub(_character, text).encode()


def _character(match: re.Match[str]) -> str:
    return match[0] if match[1] in _XML_ENTITIES or match[1] not in html5 else escape(html5[match[1]], quote=False)
