"""This tests what becomes of an effective POM: edges, the repository, the file that the import names are read from."""

from __future__ import annotations

import pytest

from securechain_ingest.registries.maven.effective import Texts, inherit
from securechain_ingest.registries.maven.names import identify
from securechain_ingest.registries.maven.package import extension, repository, requirements, vendor_of_group
from securechain_ingest.registries.maven.pom import parse_pom
from tests.registries.maven.poms import Shelf, dependencies, dependency, effective, project

OWNED = "https://github.com/some-owner/some-repo"


async def edges(*entries: str) -> dict[str, str]:
    found = await effective(project("g:c:1", dependencies(*entries)))
    return {need.target.registry_name: need.constraints for need in requirements(found.dependencies)}


async def test_runtime_dependencies_become_edges_and_no_others() -> None:
    assert await edges(
        dependency("o:plain:1"),
        dependency("o:compiled:1", scope="compile"),
        dependency("o:run:1", scope="runtime"),
        dependency("o:needed:1", optional="false"),
        dependency("o:tested:1", scope="test"),
        dependency("o:provided:1", scope="provided"),
        dependency("o:system:1", scope="system"),
        dependency("o:imported:1", scope="import"),
        dependency("o:optional:1", optional="true"),
        dependency("o:shouted:1", optional="TRUE"),
    ) == dict.fromkeys(("o:plain", "o:compiled", "o:run", "o:needed"), "[1]")


async def test_constraints_are_written_as_the_contract_says() -> None:
    assert await edges(
        dependency("o:a:1.5"), dependency("o:b:[1.0,2.0)"), dependency("o:c:${nobody}"), dependency("o:d")
    ) == {"o:a": "[1.5]", "o:b": "[1.0,2.0)", "o:c": "any", "o:d": "any"}


async def test_several_dependencies_on_one_artifact_are_one_edge_that_the_plain_jar_decides() -> None:
    assert await edges(
        dependency("o:a:1", classifier="linux"),
        dependency("o:a:2"),
        dependency("o:a:3", type="test-jar"),
        dependency("o:b:1", classifier="linux"),
        dependency("o:b:2", classifier="windows"),
        dependency("o:c:${nobody}"),
        dependency("o:c:3", type="zip"),
        dependency("o:d:1", scope="test"),
        dependency("o:d:2", type="test-jar"),
    ) == {"o:a": "[2]", "o:b": "[1]", "o:c": "[3]", "o:d": "[2]"}


async def test_a_classifier_that_nobody_defines_is_no_hindrance_and_a_group_is() -> None:
    assert await edges(
        dependency("o:a:1", classifier="${os.detected.classifier}"), dependency("${nobody}:b:1"), dependency(":c:1")
    ) == {"o:a": "[1]"}


async def test_an_artifact_may_need_another_file_of_itself() -> None:
    assert await edges(dependency("g:c:1", classifier="linux")) == {"g:c": "[1]"}


@pytest.mark.parametrize(
    "body",
    [
        f"<scm><url>{OWNED}</url></scm>",
        f"<scm><url>{OWNED}/tree/main</url></scm>",
        "<scm><url>https://gitbox.example.org/x.git</url><connection>scm:git:git://github.com/some-owner/some-repo.git</connection></scm>",
        "<scm><developerConnection>scm:git:git@github.com:some-owner/some-repo.git</developerConnection></scm>",
        "<scm><url>git@github.com/some-owner/some-repo</url></scm>",
        f"<scm><url>scm:{OWNED}/tree/${{nobody}}</url></scm>",
        "<scm><url>https://github.com/${owner}/some-repo</url></scm><properties><owner>some-owner</owner></properties>",
        f"<url>{OWNED}</url>",
        f"<issueManagement><url>{OWNED}/issues</url></issueManagement>",
    ],
)
def test_the_repository_is_found_wherever_the_pom_names_it(body: str) -> None:
    assert found_repository(project("g:c:1", body)) == OWNED


def test_source_control_goes_before_the_home_page() -> None:
    body = f"<url>https://github.com/some-owner/website</url><scm><url>{OWNED}</url></scm>"

    assert found_repository(project("g:c:1", body)) == OWNED


@pytest.mark.parametrize("body", ["", "<url>https://example.org</url>", "<url>owner/repo</url>", "<scm><url/></scm>"])
def test_a_pom_that_names_no_repository_has_none(body: str) -> None:
    assert found_repository(project("g:c:1", body)) == "n/a"


@pytest.mark.parametrize(
    ("above", "found"),
    [
        (OWNED, OWNED),
        ("https://gitlab.com/some-owner/some-repo", "https://gitlab.com/some-owner/some-repo"),
        ("https://github.com/some-owner", "https://github.com/some-owner/c"),
        ("https://github.com/some-owner/", "https://github.com/some-owner/c"),
        ("https://github.com/some-owner/${project.artifactId}", "https://github.com/some-owner/c"),
    ],
)
def test_an_inherited_address_gets_the_artifact_appended_where_it_lacks_one(above: str, found: str) -> None:
    assert (
        found_repository(project("g:c:1", parent="g:p:1"), project("g:p:1", f"<scm><url>{above}</url></scm>")) == found
    )


def test_the_vendor_is_else_the_first_part_of_the_group() -> None:
    assert vendor_of_group(identify("org.example.deep:thing")) == "org"
    assert vendor_of_group(identify("junit:junit")) == "junit"


@pytest.mark.parametrize(
    ("packaging", "expected"),
    [
        (None, "jar"),
        ("jar", "jar"),
        ("bundle", "jar"),
        ("maven-plugin", "jar"),
        ("ejb", "jar"),
        ("eclipse-plugin", "jar"),
        ("${packaging.type}", "jar"),
        ("aar", "aar"),
        ("war", "war"),
        ("hpi", "hpi"),
        ("pom", None),
        ("bom", None),
        ("klib", None),
        ("content-package", None),
        ("galleon-feature-pack", None),
        ("esa", None),
        ("toml", None),
        ("tar.gz", None),
        ("so", None),
        ("eclipse-target-definition", None),
    ],
)
def test_the_file_of_an_artifact_follows_from_its_packaging(packaging: str | None, expected: str | None) -> None:
    body = f"<packaging>{packaging}</packaging>" if packaging else ""
    model = inherit(parse_pom(project("g:c:1", body)[1], ""), parse_model("<packaging>pom</packaging>"))

    assert extension(Texts(model)) == expected


def parse_model(body: str):  # type: ignore[no-untyped-def]  # of one POM
    return inherit(parse_pom(project("g:p:1", body)[1], ""), None)


def found_repository(child, *above) -> str:  # type: ignore[no-untyped-def]  # as `project` gives them
    model = None
    for _, body in (*reversed(above), child):
        model = inherit(parse_pom(body, ""), model)
    assert model is not None
    return repository(model, Texts(model))


async def test_gaps_do_not_hide_what_is_known() -> None:
    found = await Shelf(project("g:c:1", dependencies(dependency("o:a:1")), parent="g:gone:1")).effective("g:c:1")

    assert [need.constraints for need in requirements(found.dependencies)] == ["[1]"]
