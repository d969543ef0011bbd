"""This tests that an RSS feed is read although the description of one of its items cannot be in XML."""

from __future__ import annotations

import re

import pytest
from lxml import etree

from securechain_ingest.errors import Malformed
from securechain_ingest.registries.cargo.updates import parse_updates
from securechain_ingest.registries.kit.xml_documents import rss_items
from securechain_ingest.registries.pypi.feed import parse_newest

FEED = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:crates="https://registry.example/"><channel>
<item><title>odd 1.0.0</title><description>%s</description><pubDate>Tue, 01 Sep 2026 10:00:00 +0000</pubDate>
<crates:name>odd</crates:name><crates:version>1.0.0</crates:version></item>
<item><title>six 2.0.0</title><pubDate>Tue, 01 Sep 2026 10:00:01 +0000</pubDate>
<crates:name>six</crates:name><crates:version>2.0.0</crates:version></item>
</channel></rss>"""


@pytest.mark.parametrize(
    "description",
    ["a\x0bb", "\x00", "\x1b[1mbold\x1b[0m", "\uffff", "a&#11;b", "&#x0B;", "&#0;", "&#xFFFE;", "<![CDATA[a\x08b]]>"],
)
def test_a_character_that_xml_lacks_in_a_description_costs_no_item_of_the_feed(description: str) -> None:
    body = (FEED % description).encode()
    assert [update.name for update in parse_updates(body, "the feed")] == ["odd", "six"]
    assert parse_newest(body, "the feed") == [("odd", "1.0.0"), ("six", "2.0.0")]


def test_every_character_that_xml_has_stays_as_it_is() -> None:
    text = "\t é\u0085\u2028\ufffd\U0001f600 &#9;&#32;&#x20;&#233;&#x1F600;&amp;&#65533;&#x10FFFF;"
    [item, _] = rss_items((FEED % text).encode(), "the feed")
    assert item.findtext("description") == etree.fromstring(f"<a>{text}</a>").text


def test_exactly_what_the_parser_refuses_is_replaced() -> None:
    for number in [*range(0x40), 0xD7FF, 0xD800, 0xDFFF, 0xE000, *range(0xFFFC, 0x10002), 0x10FFFF, 0x110000, 10**9]:
        for reference in (f"&#{number};", f"&#x{number:X};", f"&#x00{number:x};"):
            try:
                wanted = etree.fromstring(f"<a>{reference}</a>").text
            except etree.XMLSyntaxError:
                wanted = "\ufffd"
            [item, _] = rss_items((FEED % reference).encode(), "the feed")
            assert item.findtext("description") == wanted, reference


def test_a_feed_that_is_cut_off_is_malformed_all_the_same() -> None:
    body = re.sub(r"</channel>.*", "", FEED % "\x0b", flags=re.DOTALL).encode()
    with pytest.raises(Malformed):
        parse_updates(body, "the feed")
