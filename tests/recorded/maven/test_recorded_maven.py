"""This tests Maven's parsers over recorded POMs, lists and version orders; the effective POMs against Maven's own
answers.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from univers.version_range import MavenVersionRange
from univers.versions import MavenVersion

from securechain_ingest.errors import NotFound
from securechain_ingest.registries.maven.effective import Texts, first_wins, inherit, joined
from securechain_ingest.registries.maven.metadata import default_version, parse_listing, parse_metadata
from securechain_ingest.registries.maven.names import MAVEN, Coordinates, identify
from securechain_ingest.registries.maven.package import requirements
from securechain_ingest.registries.maven.pom import Dependency, Pom, parse_pom
from securechain_ingest.registries.maven.reading import read_bom
from securechain_ingest.registries.maven.resolution import Effective, Effectives
from securechain_ingest.registries.maven.versions import version_key
from tests.registries.maven.poms import at_once

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "maven" / "metadata"

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recorded payloads (shared/fixtures) are not at hand")

EFFECTIVE = sorted(folder.name for folder in (FIXTURES / "effective-pom").iterdir()) if FIXTURES.is_dir() else []
MANAGING = [name for name in EFFECTIVE if (FIXTURES / "effective-pom" / name / "effective-management.json").is_file()]
POMS = sorted(path.name for path in (FIXTURES / "pom").glob("*.pom"))

CLIENTS_DIFFER = {
    # univers knows no alias `release`, and drops a leading v.
    ("4.1.0", "4.1.0.RELEASE"),
    ("5.2.0", "5.2.0.RELEASE"),
    ("v0.0.5", "0.0.1.beta6"),
    ("v6.4.0-RC6", "5.0.0.M1"),
}
IN_A_CIRCLE = {
    # The native order has 1.0.RC1 below 1.0, that below 1.0-1, and that below 1.0.RC1.
    ("1.0.0-gradle-rework-beta3", "1.0.0.RC7-3"),
    ("2.9.0-1", "2.9.0.RC1"),
    ("1.1.0-01-glassfish", "1.1.0.Beta1"),
}


def recorded(folder: str) -> dict[Coordinates, Path]:
    return {Coordinates(*path.stem.split("__")): path for path in (FIXTURES / "effective-pom" / folder).glob("*.pom")}


def subject(folder: str) -> Coordinates:
    """Return the artifact that a folder's answers are about."""
    (found,) = [one for one in recorded(folder) if f"{one.artifact_id}-{one.version}" == folder]
    return found


async def effective(folder: str, coordinates: Coordinates) -> Effective:
    poms = recorded(folder)

    async def load(wanted: Coordinates) -> Pom:
        if wanted not in poms:
            raise NotFound(f"{wanted} was not recorded", url=str(wanted))
        return parse_pom(poms[wanted].read_bytes(), str(wanted))

    return await Effectives(load, nothing_listed, at_once).of(coordinates, await load(coordinates))


def answers(folder: str, name: str) -> list[dict[str, Any]]:
    """Return what Maven itself said."""
    found: list[dict[str, Any]] = json.loads((FIXTURES / "effective-pom" / folder / name).read_text())
    return found


def without(entry: dict[str, Any], *names: str) -> dict[str, Any]:
    """Exclusions concern what a dependency requires in turn, and managed entries are not made optional: no edge
    depends on either."""
    return {key: value for key, value in entry.items() if key not in names}


def as_answered(found: Dependency) -> dict[str, Any]:
    return {
        "groupId": found.group_id,
        "artifactId": found.artifact_id,
        "version": found.version,
        "scope": found.scope or None,
        "optional": (found.optional or "").lower() == "true",
        "classifier": found.classifier or None,
        "type": found.type,
    }


def in_order(entries: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(entry, sort_keys=True) for entry in entries)


@pytest.mark.parametrize("folder", EFFECTIVE)
async def test_the_dependencies_of_a_recorded_artifact_are_those_that_maven_computed(folder: str) -> None:
    found = await effective(folder, subject(folder))
    if found.relocation is not None:  # Maven's answer is about the target.
        found = await effective(folder, found.relocation)

    expected = [without(one, "exclusions") for one in answers(folder, "effective-deps.json")]
    assert in_order([as_answered(one) for one in found.dependencies]) == in_order(expected)
    assert found.gaps == ()


@pytest.mark.parametrize("folder", MANAGING)
async def test_what_a_recorded_artifact_manages_is_what_maven_computed(folder: str) -> None:
    expected = answers(folder, "effective-management.json")
    poms = recorded(folder)

    async def load(wanted: Coordinates) -> Pom:
        return parse_pom(poms[wanted].read_bytes(), str(wanted))

    async def management(coordinates: Coordinates) -> dict[Any, Dependency]:
        lineage = [await load(coordinates)]
        while (parent := lineage[-1].parent) is not None:
            lineage.append(await load(parent))
        reading = read_bom(joined(lineage))
        return dict(first_wins([reading.own, *[await management(one) for one in reading.imports]]))

    found = await management(subject(folder))
    assert in_order([without(as_answered(one), "optional") for one in found.values()]) == in_order(
        [without(one, "optional", "exclusions") for one in expected]
    )


@pytest.mark.parametrize("folder", EFFECTIVE)
async def test_the_clients_can_read_every_recorded_constraint(folder: str) -> None:
    for requirement in requirements((await effective(folder, subject(folder))).dependencies):
        accepted = MavenVersionRange.from_native(requirement.constraints)  # type: ignore[no-untyped-call]
        boundaries = [constraint.version for constraint in accepted.constraints if "=" in constraint.comparator]
        assert any(version in accepted for version in boundaries), requirement


async def test_a_recorded_relocation_is_followed_to_the_new_coordinates() -> None:
    found = await effective("mysql-connector-java-8.0.33", Coordinates("mysql", "mysql-connector-java", "8.0.33"))

    assert found.relocation == Coordinates("com.mysql", "mysql-connector-j", "8.0.33")


async def test_machine_dependent_properties_of_a_recorded_artifact_stay_unresolved() -> None:
    found = await effective("netty-handler-4.1.111.Final", subject("netty-handler-4.1.111.Final"))

    assert "${os.detected.classifier}" in {one.classifier for one in found.dependencies}


@pytest.mark.parametrize("filename", POMS)
def test_every_recorded_pom_is_read(filename: str) -> None:
    text = (FIXTURES / "pom" / filename).read_text(encoding="utf-8", errors="replace")
    pom = parse_pom((FIXTURES / "pom" / filename).read_bytes(), filename)

    assert pom.values
    assert all(f"<artifactId>{found.artifact_id}<" in text for found in pom.dependencies.values())
    assert (pom.parent is None) == ("<parent>" not in text)


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("range.pom", {"com.google.guava:guava": "[23.3-jre,)", "org.apache.httpcomponents:httpclient": "[4.5.3]"}),
        ("whitespace.pom", {"com.google.guava:guava": "[23.3-jre]", "org.apache.httpcomponents:httpclient": "[4.5.3]"}),
        ("plugin-dependencies.pom", {}),
        ("ant-1.6.5.pom", {}),
        ("jcip-annotations-1.0.pom", {}),
        (
            # The profile that would say which Spring it is needs JDK 11.
            "profile-property.pom",
            {
                "org.springframework:spring-beans": "any",
                "org.springframework:spring-context": "any",
                "org.apache.httpcomponents:httpclient": "[4.5.3]",
                "com.google.guava:guava": "any",
            },
        ),
        (
            # All versions are in a parent that was not recorded.
            "xbean-jmx-2.0.pom",
            dict.fromkeys(
                ("mx4j:mx4j", "commons-logging:commons-logging", "org.xbean:xbean-kernel", "org.xbean:xbean-spring"),
                "any",
            ),
        ),
    ],
)
async def test_the_edges_of_a_recorded_pom(filename: str, expected: dict[str, str]) -> None:
    assert edges(await alone(filename)) == expected


async def test_parents_that_were_not_recorded_are_told() -> None:
    found = await alone("my-app.pom")

    assert any("org.parent:parent-pom:1.1.1" in gap for gap in found.gaps)
    assert any("org.import:import:1.0.0" in gap for gap in found.gaps)
    assert edges(found)["org.example:no-version"] == "[2.0.0]"


async def test_versions_in_a_loop_of_recorded_poms_are_survived() -> None:
    assert (await alone("jacuzzi-annotations-0.2.1.pom")).gaps == (
        "parent com.github.albertoanguita:jacuzzi:${version} cannot be asked for",
    )
    assert edges(await alone("pkg-2.0.13.1005.pom")) == {}


async def test_nested_properties_of_a_recorded_pom_are_put_in() -> None:
    pom = parse_pom((FIXTURES / "pom" / "nested-properties.pom").read_bytes(), "")

    assert Texts(inherit(pom, None))("${channels.maven.groupId.nested}") == "org.reproducer.channels2"


async def test_a_recorded_child_finds_its_versions_in_its_recorded_parent() -> None:
    poms = {
        Coordinates("com.squareup.okhttp3", "parent", "3.10.0"): "okhttp-parent-3.10.0.pom",
        Coordinates("org.apache.ant", "ant-parent", "1.10.1"): "ant-parent-1.10.1.pom",
    }

    assert edges(await alone("okhttp-3.10.0.pom", poms)) == {"com.squareup.okio:okio": "[1.14.0]"}
    assert (await alone("ant-antlr-1.10.1.pom", poms)).gaps == ()


async def test_a_recorded_relocation_in_another_encoding_is_read() -> None:
    assert (await alone("xstream-1.2.2.relocated.pom")).relocation == Coordinates(
        "com.thoughtworks.xstream", "xstream", "1.2.2"
    )


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("scm-prefix.pom", "https://github.com/example/test"),
        ("sprova4j-0.1.0.pom", "https://github.com/aldialimucaj/sprova4j"),
        ("sprova4j-0.1.0.invalidurl.pom", "https://github.com/aldialimucaj/sprova4j"),
        ("arangodb-graphql-1.2.pom", "https://github.com/ArangoDB-Community/arangodb-graphql-java"),
        ("mockito-core-2.11.0.pom", "https://github.com/mockito/mockito"),
        ("junit-4.4.pom", "n/a"),
        ("jcip-annotations-1.0.pom", "n/a"),
    ],
)
async def test_the_repository_of_a_recorded_pom(filename: str, expected: str) -> None:
    assert (await alone(filename)).repository == expected


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("junit-4.4.pom", "jar"),
        ("flexunit-0.90.pom", "swc"),
        ("tyrus-bundles-2.2.2.pom", None),
        ("maven-javanet-plugin-1.7.pom", "jar"),
    ],
)
async def test_the_file_of_a_recorded_pom(filename: str, expected: str | None) -> None:
    assert (await alone(filename)).file == expected


LISTS = {
    "guava.2026.xml": (162, "33.8.0-jre"),
    "gson.2026.xml": (45, None),
    "junit.2026.xml": (32, "4.13.2"),
    "listenablefuture.2026.xml": (2, "9999.0-empty-to-avoid-conflict-with-guava"),
    "netty-all.2026.xml": (258, None),
    "spring-boot.2026.xml": (295, None),
    "missing_latest.xml": (None, None),
    "commons-logging.xml": (None, None),
}


@pytest.mark.parametrize("filename", sorted(LISTS))
def test_every_version_of_a_recorded_list_is_there_in_order(filename: str) -> None:
    count, default = LISTS[filename]
    body = (FIXTURES / "maven-metadata" / filename).read_bytes()
    versions = parse_metadata(body, identify("g:a"), filename)
    ranks = MAVEN.rank(versions)

    assert set(versions) == set(re.findall(r"<version>\s*(.*?)\s*</version>", body.decode()))
    assert len(versions) == (count or len(versions))
    assert sorted(ranks.values()) == list(range(len(versions)))
    assert sorted(versions, key=ranks.__getitem__) == sorted(versions, key=lambda name: (MavenVersion(name), name))
    if default is not None:
        assert default_version(versions) == default


def test_the_latest_and_the_release_of_a_recorded_list_are_no_order() -> None:
    body = (FIXTURES / "maven-metadata" / "netty-all.2026.xml").read_bytes()

    assert b"<latest>5.0.0.Alpha2</latest>" in body
    assert default_version(parse_metadata(body, identify("g:a"), "")).startswith("4.2.")


@pytest.mark.parametrize("filename", ["commons-logging-1.0.1.xml", "snapshot.xml"])
def test_recorded_metadata_of_one_version_lists_none(filename: str) -> None:
    with pytest.raises(NotFound):
        parse_metadata((FIXTURES / "maven-metadata" / filename).read_bytes(), identify("g:a"), filename)


@pytest.mark.parametrize(
    ("filename", "some", "count"),
    [("with_release.html", {"10.0", "23.0-android"}, None), ("guava-23.0.html", set(), 0)],
)
def test_the_folders_of_a_recorded_page(filename: str, some: set[str], count: int | None) -> None:
    found = parse_listing((FIXTURES / "listing" / filename).read_bytes())

    assert some <= set(found)
    assert count is None or len(found) == count


def test_the_recorded_version_pairs_are_in_the_native_order() -> None:
    text = (FIXTURES / "version-order" / "maven-versions-generated.txt").read_text()
    pairs = re.findall(r"^(\S+) ([<=>]) (\S+)$", text, re.MULTILINE)
    wrong = set()
    for one, relation, other in pairs:
        keys = version_key(one), version_key(other)
        if not {"<": keys[0] < keys[1], "=": keys[0] == keys[1], ">": keys[0] > keys[1]}[relation]:
            wrong.add((one, other))

    assert len(pairs) == 14_752
    assert wrong == CLIENTS_DIFFER | IN_A_CIRCLE


def test_the_recorded_versions_are_ordered_as_the_clients_order_them() -> None:
    text = (FIXTURES / "version-order" / "maven-versions-generated.txt").read_text()
    for one, _, other in re.findall(r"^(\S+) ([<=>]) (\S+)$", text, re.MULTILINE)[::7]:
        if (one, other) not in IN_A_CIRCLE:
            assert (version_key(one) < version_key(other)) == (MavenVersion(one) < MavenVersion(other))


async def alone(filename: str, others: dict[Coordinates, str] | None = None) -> Effective:
    """Return the effective POM of a recorded one, with those of `others` at hand."""

    async def load(wanted: Coordinates) -> Pom:
        if wanted not in (others or {}):
            raise NotFound(f"{wanted} was not recorded", url=str(wanted))
        return parse_pom((FIXTURES / "pom" / (others or {})[wanted]).read_bytes(), str(wanted))

    pom = parse_pom((FIXTURES / "pom" / filename).read_bytes(), filename)
    own = Coordinates(*(pom.values.get(name, "") for name in ("groupId", "artifactId", "version")))
    return await Effectives(load, nothing_listed, at_once).of(own, pom)


async def nothing_listed(group_id: str, artifact_id: str) -> tuple[str, ...]:
    raise NotFound("no list was recorded", url=f"{group_id}:{artifact_id}")


def edges(found: Effective) -> dict[str, str]:
    return {need.target.registry_name: need.constraints for need in requirements(found.dependencies)}
