"""The generator's own knowledge agrees with independent parsers of what it wrote."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from univers.versions import SemverVersion

from tests.registry_server import Need, Shape, World, generate, npm, pypi, same_constraints, serve
from tests.registry_server.registered import REGISTRIES
from tests.registry_server_tests.asking import ask_json

ODD = Shape(packages=60, seed=5, odd_share=0.4, large_share=0.0)


@pytest.fixture(scope="module")
def world() -> World:
    return generate(ODD)


def projects(world: World) -> list[pypi.Project]:
    return [package for package in world.packages if isinstance(package, pypi.Project)]


def packages(world: World) -> list[npm.Package]:
    return [package for package in world.packages if isinstance(package, npm.Package)]


def test_the_same_seed_makes_the_same_world_and_another_seed_another(world: World) -> None:
    assert generate(ODD) == world
    assert generate(Shape(packages=60, seed=6, odd_share=0.4, large_share=0.0)) != world


def test_versions_are_in_the_order_of_their_ecosystem(world: World) -> None:
    for project in projects(world):
        names = [release.version for release in project.releases]
        assert sorted(names, key=Version) == names
    for package in packages(world):
        names = [version.version for version in package.versions]
        assert sorted(names, key=SemverVersion) == names


def test_every_requirement_is_valid_and_names_its_target(world: World) -> None:
    needs = [need for project in projects(world) for release in project.releases for need in release.needs]

    for need in needs:
        requirement = Requirement(need.written)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        assert applies == (need.target is not None)
        if need.target is not None:
            assert canonicalize_name(requirement.name) == canonicalize_name(need.target)


def test_every_expected_constraint_is_one_that_the_clients_parse(world: World) -> None:
    for package in world.truth().values():
        ranges = REGISTRIES[package.ecosystem].TRAITS.client_ranges
        if ranges is None:
            continue
        for version in package.versions:
            for constraints in version.requirements.values():
                if constraints not in {"any", "latest"}:
                    assert ranges.from_native(constraints).constraints


def test_every_odd_case_occurs(world: World) -> None:
    releases = [release for project in projects(world) for release in project.releases]
    versions = [version for package in packages(world) for version in package.versions]

    assert any(release.yanked for release in releases)
    assert any(not release.files for release in releases)
    assert any(all(isinstance(file, pypi.Sdist) for file in release.files) for release in releases if release.files)
    assert {project.layout for project in projects(world)} == {"2018", "2025"}
    assert any(version.deprecated for version in versions)
    assert any(need.key for version in versions for need in version.needs)
    assert any(package.scope for package in packages(world))
    assert any(package.name != package.name.lower() for package in packages(world))
    assert any(package.unpublished for package in packages(world))
    missing = {need.target for version in versions for need in version.needs} - {p.name for p in packages(world)}
    assert missing == {"never-published"}


def test_what_is_served_is_what_is_expected(world: World) -> None:
    truth = world.truth()
    with serve(world) as server:
        for project in projects(world)[:10]:
            key = pypi.normal_name(project.name)
            served = ask_json(server, "pypi", f"/pypi/{key}/json")["releases"]
            assert set(served) == {version.name for version in truth[f"pkg:pypi/{key}"].versions}
        for package in [package for package in packages(world) if not package.unpublished][:10]:
            document = ask_json(server, "npm_registry", f"/{package.name.replace('/', '%2F')}")
            expected = truth[package.truth().purl].versions
            assert {name: document["time"][name].replace(".000Z", "Z") for name in document["versions"]} == {
                version.name: version.release_date for version in expected
            }


def test_an_unpublished_package_is_a_stub_and_not_expected() -> None:
    package = npm.Package("gone", (npm.Version("1.0.0"),), unpublished=True)
    world = World((package,))

    with serve(world) as server:
        stub = ask_json(server, "npm_registry", "/gone")

    assert "versions" not in stub
    assert stub["time"]["unpublished"]["versions"] == ["1.0.0"]
    assert world.truth() == {}


def test_a_giant_has_its_versions_and_requirements() -> None:
    truth = generate(Shape(packages=6, giant_versions=300)).truth()
    giants = [package for package in truth.values() if re.split("[:/]", package.name)[-1] == "giant"]

    assert [(giant.ecosystem, len(giant.versions)) for giant in giants] == [(each, 300) for each in Shape().ecosystems]
    assert all(len(version.requirements) == 5 for giant in giants for version in giant.versions)


def test_a_world_by_hand_says_what_the_graph_must_hold() -> None:
    release = pypi.ProjectRelease(
        "1.0+x",
        (pypi.need("Other_One", ">=1.0"), Need('other.one<2.0 ; python_version >= "3"', "other.one", "<2.0")),
        date="2021-05-11T14:05:36Z",
        yanked=True,
    )
    truth = World((pypi.Project("Some_Project", (release,)),)).truth()["pkg:pypi/some-project"]

    (version,) = truth.versions
    assert (truth.name, truth.label) == ("some_project", "PyPIPackage")
    assert (version.purl, version.serial_number, version.yanked) == ("pkg:pypi/some-project@1.0%2Bx", 0, True)
    assert version.release_date == "2021-05-11T14:05:36Z"
    assert version.requirements == {"pkg:pypi/other-one": ">=1.0, <2.0"}


def test_constraints_are_compared_by_their_clauses() -> None:
    assert same_constraints(">= 1.0, <2.0", "< 2.0,>=1.0")
    assert not same_constraints(">=1.0", ">=1.0, <2.0")


def test_purls_of_npm_keep_the_case_and_encode_the_scope() -> None:
    world = World((npm.Package("@Scope/Name", (npm.Version("1.0.0"),)),))

    (package,) = world.truth().values()
    assert (package.purl, package.name, package.vendor) == ("pkg:npm/%40Scope/Name", "@scope/name", "@Scope")
