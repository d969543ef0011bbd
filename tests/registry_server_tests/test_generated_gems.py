"""The made gem registry agrees with independent readers, and holds every odd case."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from typing import Any

import httpx
import pytest
import yaml
from univers.gem import GemRequirement
from univers.version_range import GemVersionRange
from univers.versions import RubygemsVersion

from tests.registry_server import Shape, World, generate, rubygems, serve
from tests.registry_server.history import HistoryEvent, RegistryHistory, What, moment
from tests.registry_server.recorded import FIXTURES
from tests.registry_server.rubygems.gem_list import gem_list
from tests.registry_server_tests.asking import ask, ask_json
from tests.waiting import PATIENCE_S

ODD = Shape(packages=60, seed=5, odd_share=0.4, large_share=0.0, ecosystems=("rubygems",))


@pytest.fixture(scope="module")
def world() -> World:
    return generate(ODD)


def gems(world: World) -> list[rubygems.Gem]:
    return [package for package in world.packages if isinstance(package, rubygems.Gem)]


def gemspec(gem: rubygems.Gem, version: rubygems.Version, platform: str = "ruby") -> dict[str, Any]:
    """Return the gemspec as a YAML library reads it, Ruby's classes as plain tables."""

    class Loader(yaml.SafeLoader):
        pass

    def table(loader: yaml.SafeLoader, _: str, node: yaml.MappingNode) -> dict[Any, Any]:
        return loader.construct_mapping(node, deep=True)

    Loader.add_multi_constructor("!ruby/object:", table)
    with tarfile.open(fileobj=io.BytesIO(rubygems.gem_file(gem, version, platform))) as archive:
        packed = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    text = packed["metadata"] if "metadata" in packed else gzip.decompress(packed["metadata.gz"])
    document: dict[str, Any] = yaml.load(text, Loader=Loader)  # the loader is a safe one
    with tarfile.open(fileobj=io.BytesIO(packed["data.tar.gz"])) as data:
        assert document["files"] in (data.getnames(), [])
    return document


def test_the_same_seed_makes_the_same_gems(world: World) -> None:
    assert generate(ODD) == world


def test_versions_are_in_the_order_of_gems(world: World) -> None:
    for gem in gems(world):
        numbers = [version.number for version in gem.versions]
        assert sorted(numbers, key=RubygemsVersion) == numbers


def test_every_requirement_is_one_and_means_what_is_expected(world: World) -> None:
    releases = [f"{major}.{minor}" for major in range(4) for minor in range(9)]
    needs = {(need.written, need.constraints) for gem in gems(world) for v in gem.versions for need in v.needs}

    for written, constraints in needs:
        requirement = GemRequirement(*written.split("&"))  # type: ignore[no-untyped-call]
        accepted = GemVersionRange.from_native(constraints)  # type: ignore[no-untyped-call]
        for release in releases:
            allowed = requirement.satisfied_by(release)  # type: ignore[no-untyped-call]
            assert (RubygemsVersion(release) in accepted) == allowed


def test_every_odd_case_occurs(world: World) -> None:
    versions = [version for gem in gems(world) for version in gem.versions]

    assert any(gem.name != gem.name.lower() for gem in gems(world))
    assert any(not gem.api for gem in gems(world))
    assert {version.layout for version in versions} == {"modern", "2008"}
    assert any(not version.lists_files for version in versions)
    assert any("ext" in version.require_paths for version in versions)
    assert any("beta" in version.number for version in versions)
    assert {version.platforms for version in versions} >= {("ruby",), ("ruby", "java"), ("java", "ruby")}
    missing = {need.target for version in versions for need in version.needs} - {gem.name for gem in gems(world)}
    assert missing == {"never_published"}


@pytest.mark.parametrize("layout", ["modern", "2008", "unpacked"])
def test_a_gem_is_a_tar_with_a_gemspec_that_lists_its_data(layout: Any) -> None:
    version = rubygems.Version(
        "1.0.0.rc1",
        (rubygems.need("rack", "< 2&>= 1.0"),),
        files=("lib/a.rb", "lib/on.rb", "README"),
        require_paths=("lib", "ext"),
        layout=layout,
    )
    found = gemspec(rubygems.Gem("Own", (version,), links={"source_code_uri": "https://github.com/o/r"}), version)

    assert (found["name"], found["version"]["version"]) == ("Own", "1.0.0.rc1")
    assert (found["files"], found["require_paths"]) == (["lib/a.rb", "lib/on.rb", "README"], ["lib", "ext"])
    assert found["metadata"] == {"source_code_uri": "https://github.com/o/r"}
    (dependency,) = found["dependencies"]
    assert [(operator, str(version["version"])) for operator, version in dependency["requirement"]["requirements"]] == [
        ("<", "2"),
        (">=", "1.0"),
    ]


def test_the_index_has_a_line_for_each_file_that_is_not_yanked() -> None:
    versions = (
        rubygems.Version("1.0", platforms=("ruby", "java")),
        rubygems.Version("1.1", yanked=True),
        rubygems.Version("1.2", (rubygems.need("a", "< 2&>= 1"), rubygems.need("b"))),
    )
    with serve(World((rubygems.Gem("own", versions),))) as server:
        lines = ask(server, "rubygems_index", "/info/own").text.splitlines()
        document = ask_json(server, "rubygems_api", "/api/v1/gems/own.json")
        files = server.endpoints()["rubygems_api"]
        answers = [
            httpx.get(f"{files}/gems/own-{name}.gem", trust_env=False, timeout=PATIENCE_S)
            for name in ("1.0", "1.0-java", "1.2", "9")
        ]

    assert [line.partition("|")[0] for line in lines] == ["---", "1.0 ", "1.0-java ", "1.2 a:< 2&>= 1,b:>= 0"]
    assert lines[1].endswith(",created_at:2015-01-01T12:00:00Z")
    assert document["dependencies"]["runtime"][0] == {"name": "a", "requirements": "< 2, >= 1"}
    assert [answer.status_code for answer in answers] == [200, 200, 200, 404]


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recorded payloads are not beside this checkout")
def test_recorded_gems_are_served_too() -> None:
    with serve(World(recorded=FIXTURES)) as server:
        assert ask(server, "rubygems_index", "/info/ParseTree").text.startswith("---\n")
        assert ask_json(server, "rubygems_api", "/api/v1/gems/nokogiri.json")["name"] == "nokogiri"
        assert len(ask_json(server, "rubygems_api", "/api/v1/versions/business.json")) == 15
        assert ask(server, "rubygems_api", "/gems/rack-1.6.0.gem").status_code == 200


def test_the_lists_last_line_about_a_gem_has_the_digest_of_its_file_when_a_yank_was_taken_back() -> None:
    """Such a yank leaves no line, so that the line before it is the last one."""
    happened = [
        ("0.1.0", What.PUBLISHED),
        ("0.2.0", What.PUBLISHED),
        ("0.1.0", What.YANKED),
        ("0.1.0", What.UNYANKED),
    ]
    events = [HistoryEvent(number, moment(number), "jade", *each) for number, each in enumerate(happened, start=1)]
    listed = gem_list(RegistryHistory(tuple(events)), {"jade": b"the file of now"})
    last = listed.body.decode().splitlines()[-1]
    assert last == f"jade 0.2.0 {hashlib.md5(b'the file of now', usedforsecurity=False).hexdigest()}"
