"""This tests one POM: forgiving where Maven is, closed to what XML can do beyond that; its profiles on the
documented machine.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.errors import Malformed
from securechain_ingest.registries.maven.pom import Pom, parse_pom
from tests.registries.maven.poms import dependencies, dependency, management, profile, profiles, properties

URL = "https://repository.example/a.pom"


def parsed(body: bytes | str) -> Pom:
    return parse_pom(body.encode() if isinstance(body, str) else body, URL)


def artifacts(pom: Pom) -> list[str]:
    return [found.artifact_id for found in pom.dependencies.values()]


def test_texts_are_trimmed_and_comments_are_none() -> None:
    body = dependencies(
        "<dependency><groupId> g </groupId><artifactId>a<!-- b --></artifactId><version>\n1 </version></dependency>"
    )
    (found,) = parsed(f"<project>{body}</project>").dependencies.values()

    assert found[:4] == ("g", "a", "1", "jar")


@pytest.mark.parametrize(
    "body",
    [
        b"<project><name>\xe9</name><version>1</version></project>",
        b'<?xml version="1.0" encoding="UTF-8"?><project><name>\xe9</name><version>1</version></project>',
        b'<?xml version="1.0" encoding="nonsense"?><project><version>1</version></project>',
        b'<?xml version="1.0" encoding="ISO-8859-1"?><project><name>\xe9</name><version>1</version></project>',
        b'\xef\xbb\xbf<?xml version="1.0"?><project><version>1</version></project>',
        b'\n\n  <?xml version="1.0"?><project><version>1</version></project>\n\n',
        b"<project><name>Tr&oslash;nd &amp; &copy; &LT; </name><version>1</version></project>",
        b'<project xmlns="http://maven.apache.org/POM/4.0.0"><version>1</version></project>',
        b'<p:project xmlns:p="http://maven.apache.org/POM/4.0.0"><p:version>1</p:version></p:project>',
        b"<project><version><![CDATA[1]]></version></project>",
        b'<project xmlns="http://maven.apache.org/POM/4.0.0" xsi:schemaLocation="a b"><version>1</version></project>',
        b"<m:project><m:version>1</m:version></m:project>",
        '<?xml version="1.0" encoding="UTF-16"?><project><version>1</version></project>'.encode("utf-16"),
        b"<project><description>\x1b[1mBold\x0b\x00</description><version>1</version></project>",
        "<project><description>no character: \ufffe\uffff</description><version>1\x08</version></project>".encode(),
        b'<project xmlns="http://maven.apache.org/POM/4.0.0"xmlns:xsi="a"xsi:schemaLocation="b"><version>1</version></project>',
        b'<project xmlns="no address" xmlns:="a"><version>1</version><x a=\'"\'b="c" /></project>',
    ],
)
def test_what_maven_reads_is_read(body: bytes) -> None:
    assert parsed(body).values["version"] == "1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<html><body>Please log in</body></html>",
        b"<project><version>1</version>",
        b"<project>" + b" " * 60_000 + b"&oops;",
        b"<project" + b" a:b" * 15_000,
        b"<project" + b" a='b'" * 15_000,
        b"<project>" + b"<a:" * 20_000,
        b"<project>" + b"&a" * 30_000,
        b"<project><version>&nosuchentity;</version></project>",
        b'<!DOCTYPE project [<!ENTITY a "1">]><project><version>&a;</version></project>',
        b'<!DOCTYPE project SYSTEM "x.dtd"><project><version>&a;</version></project>',
        b'<!DOCTYPE project SYSTEM "x.dtd" [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]><project/>',
        b"<!DOCTYPE project [<!ATTLIST project x CDATA 'y'>]><project><version>1</version></project>",
        b"<!DOCTYPE project><!DOCTYPE project><project><version>1</version></project>",
        '<!DOCTYPE project [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]><project/>'.encode("utf-16"),
        b'<!doctype project [<!ENTITY a SYSTEM "file:///etc/passwd">]><project><version>&a;</version></project>',
        b"<!-- " + b"x" * 8000 + b' --><!DOCTYPE project [<!ENTITY a "1">]><project><version>1</version></project>',
        '<!DOCTYPE project [<!ENTITY a "1">]><project><version>1</version></project>'.encode("utf-16"),
        b"<project>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</project>",
    ],
)
def test_what_is_no_pom_or_brings_declarations_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        parsed(body)


@pytest.mark.parametrize(
    "prolog",
    [
        "<!DOCTYPE project>",
        '<?xml version="1.0"?>\n<!DOCTYPE project >\n',
        '<!DOCTYPE project SYSTEM "http://127.0.0.1:1/x.dtd">',
        '<!DOCTYPE project PUBLIC "-//x//y" "http://127.0.0.1:1/x.dtd">',
        "<!DOCTYPE project [\n]>",
        "<!doctype project>",
        "<!-- <!DOCTYPE project [ --><?pi x?><!DOCTYPE project><!-- x -->",
        "\ufeff<!DOCTYPE project>",
        f"<!-- {'x' * 8000} --><!DOCTYPE project>",
    ],
)
def test_a_document_type_that_declares_nothing_is_passed_over(prolog: str) -> None:
    assert parsed(f"{prolog}<project><version>1&oslash;</version></project>").values["version"] == "1ø"


def test_no_file_of_this_machine_is_read_for_a_document(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not for you")
    for encoding in ("utf-16", "utf-32", "utf-7"):
        head = f'<?xml version="1.0" encoding="{encoding}"?>'
        declared = f'<!DOCTYPE project [<!ENTITY % a SYSTEM "{secret.as_uri()}"> %a;]><project/>'
        with pytest.raises(Malformed) as failure:
            parsed((head + declared).encode(encoding))
        assert "secret" not in str(failure.value)


@given(st.binary(max_size=200) | st.text("<>/project&;! ", max_size=60).map(str.encode))
def test_any_bytes_are_a_pom_or_malformed(body: bytes) -> None:
    with suppress(Malformed):
        parsed(body)


def test_an_entry_of_another_name_is_none() -> None:
    stray = "<exclusions/>" + dependency("g:typo:1").replace("dependency>", "dependecy>")
    active = profile("<jdk>17</jdk>", dependencies(dependency("g:more:1"))).replace("profile>", "profil>")
    licenses = "<licenses><licence><name>A</name></licence><license><name>B</name></license></licenses>"
    body = dependencies(dependency("g:a:1"), stray) + management(stray, dependency("g:b:1")) + profiles(active)
    pom = parsed(f"<project>{body}{licenses}</project>")

    assert artifacts(pom) == ["a"]
    assert [found.artifact_id for _, found in pom.management] == ["b"]
    assert pom.values["licenses[0].name"] == "B"


def test_the_group_and_the_version_come_from_the_parent_element_where_they_are_not_said() -> None:
    pom = parsed(
        "<project><parent><groupId>g</groupId><artifactId>p</artifactId><version>7</version></parent></project>"
    )

    assert (pom.values["groupId"], pom.values["version"]) == ("g", "7")
    assert "artifactId" not in pom.values


def test_dependencies_of_plugins_and_profiles_that_are_not_active_do_not_count() -> None:
    inactive = profiles(profile("<jdk>1.4</jdk>", dependencies(dependency("g:old:1"))))
    plugin = f"<build><plugins><plugin>{dependencies(dependency('g:plugged:1'))}</plugin></plugins></build>"

    assert artifacts(parsed(f"<project>{plugin}{dependencies(dependency('g:a:1'))}{inactive}</project>")) == ["a"]


@pytest.mark.parametrize(
    "activation",
    [
        "<jdk>17</jdk>",
        "<jdk>!1.8</jdk>",
        "<jdk>[1.8,)</jdk>",
        "<jdk>[9,18)</jdk>",
        "<jdk>(1.5,17.0.15]</jdk>",
        "<jdk>[11</jdk>",
        "<os><family>unix</family></os>",
        "<os><family>linux</family></os>",
        "<os><name>Linux</name><arch>amd64</arch></os>",
        "<os><family>!windows</family></os>",
        "<os><family>unix</family><vendor>anybody</vendor></os>",
        "<os><family/><name>linux</name></os>",
        "<property><name>!anything</name></property>",
        "<property><name>anything</name><value>!off</value></property>",
        "<property><name>os.arch</name><value>amd64</value></property>",
        "<property><name>java.version</name></property>",
        "<file><missing>/nowhere/at/all</missing></file>",
        "<activeByDefault>true</activeByDefault>",
        "<activeByDefault>true</activeByDefault><jdk>1.4</jdk>",
        "<jdk>17</jdk><property><name>!anything</name></property>",
        "<property><name>java.home</name></property>",
        "<property><name>maven.version</name></property>",
        "<property><name>java.vendor</name><value>!some vendor of old</value></property>",
    ],
)
def test_these_profiles_are_active(activation: str) -> None:
    active = profiles(profile(activation, dependencies(dependency("g:more:1"))))

    assert artifacts(parsed(f"<project>{active}</project>")) == ["more"]


@pytest.mark.parametrize(
    "activation",
    [
        "",
        "<jdk>1.8</jdk>",
        "<jdk>!17</jdk>",
        "<jdk>[9,17]</jdk>",
        "<jdk>(,11)</jdk>",
        "<jdk>[1.5,1.6],[17,)</jdk>",
        "<jdk>[x,y]</jdk>",
        "<property><name>!java.vm.name</name></property>",
        "<property><name>user.home</name><value>/home/somebody</value></property>",
        "<os><family>windows</family></os>",
        "<os><family>mac</family></os>",
        "<os><name>Linux</name><arch>aarch64</arch></os>",
        "<os><arch>!amd64</arch></os>",
        "<os><family>unix</family><name/></os>",
        "<os><family>unix</family><version> </version></os>",
        "<os><vendor>anybody</vendor></os>",
        "<property><name>anything</name></property>",
        "<property><name>anything</name><value>on</value></property>",
        "<property><name>!anything</name><value>on</value></property>",
        "<property></property>",
        "<file><exists>/etc/passwd</exists></file>",
        "<file><missing>nofile</missing></file>",
        "<file><missing>${basedir}/nofile</missing></file>",
        "<activeByDefault>false</activeByDefault>",
        "<jdk>17</jdk><property><name>anything</name></property>",
    ],
)
def test_these_profiles_are_not(activation: str) -> None:
    inactive = profiles(profile(activation, dependencies(dependency("g:more:1"))))

    assert artifacts(parsed(f"<project>{inactive}</project>")) == []


def test_a_profile_is_active_by_default_only_if_no_other_one_is() -> None:
    default = profile("<activeByDefault>true</activeByDefault>", dependencies(dependency("g:default:1")))
    other = profile("<jdk>17</jdk>", dependencies(dependency("g:other:1")))
    asleep = profile("<jdk>1.4</jdk>", dependencies(dependency("g:asleep:1")))

    assert artifacts(parsed(f"<project>{profiles(default, asleep)}</project>")) == ["default"]
    assert artifacts(parsed(f"<project>{profiles(default, other)}</project>")) == ["other"]


def test_what_an_active_profile_says_goes_before_the_pom() -> None:
    body = (
        properties(x="1", y="1")
        + management(dependency("g:m:1"))
        + dependencies(dependency("g:a:1"), dependency("g:b:1"))
        + profiles(
            profile(
                "<jdk>17</jdk>",
                properties(x="2"),
                management(dependency("g:m:2")),
                dependencies(dependency("g:a:2")),
            )
        )
    )
    pom = parsed(f"<project>{body}</project>")

    assert pom.properties == {"x": "2", "y": "1"}
    assert [entry.version for _, entry in pom.management] == ["2"]
    assert [(found.artifact_id, found.version) for found in pom.dependencies.values()] == [("a", "2"), ("b", "1")]


def test_of_two_dependencies_with_the_same_key_the_later_counts() -> None:
    body = dependencies(dependency("g:a:1"), dependency("g:a:2"), dependency("g:a:3", classifier="x"))

    assert [found.version for found in parsed(f"<project>{body}</project>").dependencies.values()] == ["2", "3"]
