"""This tests Maven names: which there can be, and what is made of them."""

import pytest

from securechain_ingest.errors import InvalidName
from securechain_ingest.registries.kit.identity import version_purl
from securechain_ingest.registries.maven.names import (
    Coordinates,
    can_be_asked_for,
    file_path,
    identify,
    metadata_path,
)


def test_the_graph_has_the_lower_case_name_and_the_purl_the_registrys_spelling() -> None:
    ref = identify("org.antlr:ST4")

    assert (ref.registry_name, ref.name, ref.purl) == ("org.antlr:ST4", "org.antlr:st4", "pkg:maven/org.antlr/ST4")
    assert ref.ecosystem.label == "MavenPackage"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "junit",
        "junit:",
        ":junit",
        "a:b:c",
        "a:b:1.0:jar",
        "a b:c",
        "a:b c",
        "a:${x}",
        "..:b",
        "a..b:c",
        ".a:b",
        "a:..",
        "a:b/c",
        "a/b:c",
        "org.antlr/ST4",
        "a:b?",
        "é:b",
        "a:" + "b" * 600,
        "a:b\n",
    ],
)
def test_a_name_without_exactly_one_colon_or_with_other_characters_is_refused(name: str) -> None:
    with pytest.raises(InvalidName, match="group:artifact"):
        identify(name)


@pytest.mark.parametrize("name", ["junit:junit", "org.webjars.npm:types__node", "org.scala-lang:cats_2.13", "a:.net"])
def test_names_that_are_in_use_are_known(name: str) -> None:
    assert identify(name).registry_name == name


def test_files_lie_where_the_layout_puts_them() -> None:
    ref = identify("org.apache.commons:commons-lang3")

    assert metadata_path(ref) == "org/apache/commons/commons-lang3/maven-metadata.xml"
    assert file_path(Coordinates("a.b", "c.d", "1.0+x y"), "pom") == "a/b/c.d/1.0+x%20y/c.d-1.0+x%20y.pom"


@pytest.mark.parametrize(("version", "purl"), [("1.0", "pkg:maven/a/b@1.0"), ("1.0+x@y", "pkg:maven/a/b@1.0%2Bx%40y")])
def test_a_versions_purl_is_encoded(version: str, purl: str) -> None:
    assert version_purl(identify("a:b"), version) == purl


@pytest.mark.parametrize("version", ["", "${revision}", "[1.0,2.0)", "1/2", "..", "1 2"])
def test_nobody_is_asked_for_what_cannot_be_a_folder(version: str) -> None:
    assert not can_be_asked_for(Coordinates("a", "b", version))
    assert can_be_asked_for(Coordinates("a", "b", "1.0"))
