"""The made Maven repository agrees with independent readers, and holds every odd case.

That the expected edges are those of Maven itself was checked by hand, with Maven 3.8.7's model builder over its POMs.
"""

from __future__ import annotations

import io
import zipfile
from xml.etree import ElementTree as ET

import httpx
import pytest
from univers.version_range import MavenVersionRange
from univers.versions import MavenVersion

from tests.registry_server import Server, Shape, World, generate, maven, serve
from tests.registry_server.recorded import FIXTURES
from tests.registry_server_tests.asking import ask
from tests.waiting import PATIENCE_S

ODD = Shape(packages=60, seed=5, odd_share=0.4, large_share=0.0, ecosystems=("maven",))


@pytest.fixture(scope="module")
def world() -> World:
    return generate(ODD)


def artifacts(world: World) -> list[maven.Package]:
    return [package for package in world.packages if isinstance(package, maven.Package) and package.listed]


def test_the_same_seed_makes_the_same_artifacts(world: World) -> None:
    assert generate(ODD) == world


def test_versions_are_in_the_order_of_maven(world: World) -> None:
    for package in artifacts(world):
        names = [version.version for version in package.versions]
        assert sorted(names, key=MavenVersion) == names


def test_every_expected_constraint_is_one_that_the_clients_parse(world: World) -> None:
    needs = {need.constraints for package in artifacts(world) for version in package.versions for need in version.needs}

    for constraints in needs - {"any"}:
        assert MavenVersionRange.from_native(constraints).constraints  # type: ignore[no-untyped-call]


def test_every_parent_is_there(world: World) -> None:
    made = {
        f"{package.name}:{version.version}"
        for package in world.packages
        if isinstance(package, maven.Package)
        for version in package.versions
    }

    assert {v.parent for package in artifacts(world) for v in package.versions if v.parent} <= made


def test_every_odd_case_occurs(world: World) -> None:
    versions = [version for package in artifacts(world) for version in package.versions]
    written = "".join(need.written for version in versions for need in version.needs)

    assert any(package.artifact_id != package.artifact_id.lower() for package in artifacts(world))
    assert any(not version.has_pom for version in versions)
    assert {version.packaging for version in versions} == {"jar", "pom", "bundle"}
    assert any("<relocation>" in version.pom for version in versions)
    assert any("<jdk>" in version.pom for version in versions)
    assert any("beta" in version.version for version in versions)
    for mark in ("classifier", "<type>pom", "<scope>test", "<scope>provided", "optional", "${", "[1.0,2.0)"):
        assert mark in written, mark


def test_files_lie_where_maven_looks_for_them() -> None:
    package = maven.Package(
        "org.Made:Thing",
        (
            maven.Version("1.0", packaging="pom"),
            maven.Version("1.1", (maven.need("a:b", "1", scope="runtime"),), parent="org.Made:Thing:1.0"),
            maven.Version("1.2", packaging="aar", has_pom=False),
        ),
    )
    with serve(World((package,))) as server:
        metadata = ET.fromstring(ask(server, "maven_central", "/org/Made/Thing/maven-metadata.xml").content)
        answer = ask(server, "maven_central", "/org/Made/Thing/1.1/Thing-1.1.pom")
        jar = ask(server, "maven_central", "/org/Made/Thing/1.1/Thing-1.1.jar").content
        listing = ask(server, "maven_central", "/org/Made/").text
        missing = ("1.0/Thing-1.0.jar", "1.2/Thing-1.2.pom", "1.2/Thing-1.2.jar", "../thing/maven-metadata.xml")
        statuses = [status(server, f"/org/Made/Thing/{path}") for path in (*missing, "1.2/Thing-1.2.aar")]
        part = httpx.get(
            f"{server.endpoints()['maven_central']}/org/Made/Thing/1.1/Thing-1.1.jar",
            headers={"Range": "bytes=0-3"},
            trust_env=False,
            timeout=PATIENCE_S,
        )

    pom = ET.fromstring(answer.content)
    names = {"m": "http://maven.apache.org/POM/4.0.0"}
    assert [element.text for element in metadata.iter("version")] == ["1.0", "1.1", "1.2"]
    assert answer.headers["last-modified"] == "Sat, 31 Jan 2015 12:00:00 GMT"
    assert pom.findtext("m:version", namespaces=names) == "1.1"
    assert pom.findtext("m:groupId", namespaces=names) is None
    assert pom.findtext("m:parent/m:version", namespaces=names) == "1.0"
    assert pom.findtext("m:dependencies/m:dependency/m:scope", namespaces=names) == "runtime"
    assert zipfile.ZipFile(io.BytesIO(jar)).namelist() == ["META-INF/MANIFEST.MF", "org/Made/Made.class"]
    assert 'href="Thing/"' in listing
    assert statuses == [404, 404, 404, 404, 200]
    assert (part.status_code, part.content) == (206, jar[:4])


def status(server: Server, path: str) -> int:
    return httpx.get(f"{server.endpoints()['maven_central']}{path}", trust_env=False, timeout=PATIENCE_S).status_code


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recorded payloads are not beside this checkout")
def test_recorded_artifacts_are_served_too() -> None:
    with serve(World(recorded=FIXTURES)) as server:
        assert (
            b"<version>33.2.1-jre</version>"
            in ask(server, "maven_central", "/com/google/guava/guava/maven-metadata.xml").content
        )
        assert (
            ask(server, "maven_central", "/com/google/guava/guava/33.2.1-jre/guava-33.2.1-jre.pom").status_code == 200
        )
