"""This tests the Maven cases of public reports: what was wrong once (shared/cases/README.md), over the files that
show it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.errors import NotFound
from securechain_ingest.registries.maven.import_names import read_jar
from securechain_ingest.registries.maven.metadata import by_preference, parse_metadata
from securechain_ingest.registries.maven.names import Coordinates, identify
from securechain_ingest.registries.maven.package import requirements
from securechain_ingest.registries.maven.pom import Pom, parse_pom
from securechain_ingest.registries.maven.resolution import Effective, Effectives
from tests.registries.maven.poms import at_once, dependency, management, project

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "maven"
LIMITS = ArchiveLimits(max_members=1000, max_expanded_bytes=1_000_000)

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases of public reports (shared/cases) are not at hand")

BOM = project("b:b1:1", management(dependency("d:x:7")))


async def effective(filename: str) -> Effective:
    """Return the effective POM of a case, with the parents p:par and the BOM that the cases name."""
    parent = CASES / "parent-range-parent-1.5.pom"
    others = {BOM[0]: BOM[1], Coordinates("p", "par", "1.5"): parent.read_bytes()}

    async def load(wanted: Coordinates) -> Pom:
        if wanted not in others:
            raise NotFound(f"{wanted} is not here", url=str(wanted))
        return parse_pom(others[wanted], str(wanted))

    async def listing(group_id: str, artifact_id: str) -> tuple[str, ...]:
        return ("1.0", "1.5", "2.0")

    pom = parse_pom((CASES / filename).read_bytes(), filename)
    return await Effectives(load, listing, at_once).of(Coordinates("t", "case", "1"), pom)


@pytest.mark.parametrize(
    ("filename", "edges"),
    [
        ("parent-range-child.pom", {"d:x": "[1.5]", "d:y": "[1.5]"}),
        ("jdk-9-11-open.pom", {"d:base": "[1]", "d:x": "[1]"}),
        ("jdk-11-space.pom", {"d:base": "[1]", "d:x": "[1]"}),
        ("prerequisites.pom", {"d:x": "[3.0.5]", "d:y": "[3.0.5]"}),
        ("doctype.pom", {"d:x": "[1]"}),
        ("import-by-property.pom", {"d:x": "[7]"}),
        ("klib.pom", {}),
    ],
)
async def test_the_edges_of_a_case_are_what_maven_resolves(filename: str, edges: dict[str, str]) -> None:
    found = await effective(filename)

    assert {need.target.registry_name: need.constraints for need in requirements(found.dependencies)} == edges
    assert found.gaps == ()


@pytest.mark.parametrize(("filename", "file"), [("klib.pom", None), ("doctype.pom", "jar")])
async def test_the_file_of_a_case_is_the_one_that_is_made(filename: str, file: str | None) -> None:
    assert (await effective(filename)).file == file


@pytest.mark.parametrize(
    ("filename", "names"),
    [
        ("sh-prefixed.jar", ("com.acme", "org.springframework.boot.loader")),
        ("scala3-toplevel.jar", ("acme.syntax",)),
    ],
)
def test_the_packages_of_a_case_are_those_that_can_be_imported(filename: str, names: tuple[str, ...]) -> None:
    with (CASES / filename).open("rb") as file:
        assert read_jar(file, LIMITS, ()).names == names


@pytest.mark.parametrize(
    ("filename", "first"),
    [("auto-service.xml", ["1.0-SNAPSHOT", "1.0-rc6", "1.0-rc5", "HEAD-SNAPSHOT"]), ("gwt-servlet.xml", ["2.9.0"])],
)
def test_the_versions_of_a_case_are_tried_for_the_default_in_this_order(filename: str, first: list[str]) -> None:
    versions = parse_metadata((CASES / filename).read_bytes(), identify("g:a"), filename)

    assert by_preference(versions) == first
