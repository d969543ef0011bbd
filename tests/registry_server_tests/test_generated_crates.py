"""The made crates registry agrees with independent readers, and holds every odd case."""

from __future__ import annotations

import io
import tarfile
import tomllib
from itertools import pairwise

import orjson
import pytest
from univers.version_range import NpmVersionRange
from univers.versions import SemverVersion

from tests.registry_server import Shape, World, cargo, generate, serve
from tests.registry_server.recorded import FIXTURES
from tests.registry_server_tests.asking import ask

ODD = Shape(packages=60, seed=5, odd_share=0.4, large_share=0.1, ecosystems=("cargo",))


@pytest.fixture(scope="module")
def world() -> World:
    return generate(ODD)


def crates(world: World) -> list[cargo.Crate]:
    return [package for package in world.packages if isinstance(package, cargo.Crate)]


def test_the_same_seed_makes_the_same_crates(world: World) -> None:
    assert generate(ODD) == world


def test_versions_are_in_the_order_of_semver(world: World) -> None:
    for crate in crates(world):
        versions = [SemverVersion(version.version) for version in crate.versions]
        assert all(not later < earlier for earlier, later in pairwise(versions))


def test_every_edges_constraints_can_be_read_by_the_clients(world: World) -> None:
    written = {
        constraints
        for crate in crates(world)
        for version in crate.truth().versions
        for constraints in version.requirements.values()
    }

    assert {"*", "1.x", "^1.0", ">=0.0.0, <1.0.0"} < written
    assert all(NpmVersionRange.from_native(constraints).constraints for constraints in written)  # type: ignore[no-untyped-call]


def test_every_odd_case_is_there(world: World) -> None:
    made = crates(world)
    versions = [version for crate in made for version in crate.versions]
    dependencies = [dependency for version in versions for dependency in version.dependencies]

    assert any(version.yanked for version in versions)
    assert any("+" in version.version for version in versions)
    assert any("-" in version.version for version in versions)
    assert any(dependency.alias for dependency in dependencies)
    assert {"kind", "target", "optional"} <= {key for dependency in dependencies for key in dependency.fields}
    assert any(dependency.constraints is None for dependency in dependencies)
    assert any(crate.name != crate.name.lower() for crate in made)
    assert any(crate.repository is None for crate in made)
    assert any(crate.import_names is not None and len(crate.import_names) == 1 for crate in made)


def test_a_crates_lines_and_archive_are_what_the_registry_documents() -> None:
    version = cargo.Version("1.0.0+b", (cargo.CrateDependency("True-Name", "^1", "^1", alias="other"),))
    crate = cargo.Crate("Some-Crate", (version,), repository="https://github.com/some-owner/some-repo")

    with serve(World((crate,))) as server:
        answer = ask(server, "crates_index", "/so/me/some-crate")
        again = ask(server, "crates_index", "/so/me/some-crate", if_none_match=answer.headers["etag"])
        packed = ask(server, "crates_static", "/crates/Some-Crate/Some-Crate-1.0.0%2Bb.crate")
        blank = ask(server, "crates_static", "/crates/Some-Crate/Some-Crate-1.0.0+b.crate")
        ask(server, "crates_api", "/api/v1/crates/Some-Crate")

        assert server.counters()["defects"] == {"the API is asked, which allows one request a second": 1}
    (line,) = map(orjson.loads, answer.content.splitlines())
    assert (line["name"], line["vers"], line["pubtime"]) == ("Some-Crate", "1.0.0+b", "2015-01-01T12:00:00Z")
    assert [(entry["name"], entry["package"], entry["kind"]) for entry in line["deps"]] == [
        ("other", "True-Name", "normal")
    ]
    assert (again.status_code, blank.status_code) == (304, 404)
    with tarfile.open(fileobj=io.BytesIO(packed.content), mode="r:gz") as tar:
        assert tar.getnames() == ["Some-Crate-1.0.0+b/Cargo.toml", "Some-Crate-1.0.0+b/src/lib.rs"]
        manifest = tar.extractfile("Some-Crate-1.0.0+b/Cargo.toml")
        assert manifest is not None
        assert tomllib.loads(manifest.read().decode())["package"]["repository"] == crate.repository


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recorded payloads are not beside this checkout")
def test_recorded_crates_are_served_too() -> None:
    with serve(World(recorded=FIXTURES)) as server:
        lines = ask(server, "crates_index", "/in/fl/inflector").content.splitlines()
        packed = ask(server, "crates_static", "/crates/wasi/wasi-0.11.0%2Bwasi-snapshot-preview1.crate")

    assert orjson.loads(lines[0])["name"] == "Inflector"
    assert packed.status_code == 200
