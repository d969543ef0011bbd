"""This tests lists of versions, and the pages that show folders."""

import pytest

from securechain_ingest.errors import Malformed, NotFound
from securechain_ingest.registries.maven.metadata import parse_listing, parse_metadata
from securechain_ingest.registries.maven.names import identify

REF = identify("g:a")
URL = "https://repository.example/g/a/maven-metadata.xml"


def metadata(*versions: str) -> bytes:
    listed = "".join(f"<version>{version}</version>" for version in versions)
    return (
        "<metadata><groupId>g</groupId><artifactId>a</artifactId><versioning><latest>0.1</latest><release>0.1</release>"
        f"<versions>{listed}</versions><lastUpdated>20030101000000</lastUpdated></versioning></metadata>"
    ).encode()


def test_versions_are_listed_once_and_trimmed() -> None:
    assert parse_metadata(metadata("1.0", " 1.1\n", "1.0", "", "2/3", ".."), REF, URL) == ("1.0", "1.1")
    assert parse_metadata(metadata("1</version><release>2</release><version>3"), REF, URL) == ("1", "3")


@pytest.mark.parametrize("body", [metadata(), b"<metadata/>", b"<metadata><versioning/></metadata>"])
def test_an_empty_list_is_malformed_and_no_package_that_does_not_exist(body: bytes) -> None:
    with pytest.raises(Malformed, match="empty"):
        parse_metadata(body, REF, URL)


@pytest.mark.parametrize("body", [b"<metadata><version>1.0</version></metadata>", b"<metadata><plugins/></metadata>"])
def test_a_list_of_other_things_is_that_of_no_package(body: bytes) -> None:
    with pytest.raises(NotFound, match="no versions"):
        parse_metadata(body, REF, URL)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<html></html>", b"<project/>", b"<!DOCTYPE metadata [<!ENTITY a 'b'>]>" + metadata("1")]
)
def test_what_is_no_list_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse_metadata(body, REF, URL)


def test_a_folders_page_tells_its_folders() -> None:
    page = b"""<a href="../">../</a><a href="ST4/" title="ST4/">ST4/</a> <A class='x' HREF='antlr/'>antlr/</A>
        <a href="https://mirror.example/org/antlr/antlr-runtime/">x</a><a href="maven-metadata.xml">x</a>
        <a href="?C=N">x</a><a href="with%2Bplus/">x</a>"""

    assert parse_listing(page) == ("ST4", "antlr", "antlr-runtime", "with+plus")


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"{}", b"<html>Forbidden</html>", b"<a " * 20_000, b"<a href='" + b"/" * 60_000]
)
def test_a_page_without_folders_has_none(body: bytes) -> None:
    assert parse_listing(body) == ()
