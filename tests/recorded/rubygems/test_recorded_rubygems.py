"""This tests RubyGems' parsers over recorded index files, API documents, gems and version orders.

The golden lists were made without the product and without a YAML library: of `tar xOf GEM metadata.gz | gunzip` the
lines under `require_paths:` and under `files:`, of these the `.rb` files below those folders, each with its `::` form;
the name where there is none. `tar tzf` of the data.tar.gz agrees with all of them but aliases-0.0.0, which was made
upstream with other data; there it is what the data hold.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from univers.gem import GemRequirement
from univers.version_range import GemVersionRange
from univers.versions import RubygemsVersion

from securechain_ingest.advisories.matching import rate
from securechain_ingest.model import Package
from securechain_ingest.registries.rubygems.client import RubyGems
from securechain_ingest.registries.rubygems.constraints import constraints
from securechain_ingest.registries.rubygems.info import parse_info
from securechain_ingest.registries.rubygems.names import RUBYGEMS, identify
from securechain_ingest.registries.rubygems.repository import repository_of
from securechain_ingest.registries.rubygems.versions import version_key
from tests.registries.asking import LIMITS

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "rubygems"
GOLDEN: dict[str, list[str]] = json.loads((Path(__file__).parents[1] / "goldens" / "rubygems.json").read_text())

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recorded payloads (shared/fixtures) are not at hand")

INFOS = sorted(path.name for path in (FIXTURES / "metadata/info").glob("*"))


def lines(name: str) -> list[str]:
    return (FIXTURES / "metadata/info" / name).read_text().removeprefix("---\n").splitlines()


def package(name: str) -> Package:
    body = (FIXTURES / "metadata/info" / name).read_bytes()
    return parse_info(body, identify(name), "https://index.example/", "https://files.example/gems")


@pytest.mark.parametrize("name", INFOS)
def test_every_number_of_a_recorded_gem_is_one_version_in_the_order_of_the_clients(name: str) -> None:
    names = [version.name for version in package(name).versions]
    ranks = RUBYGEMS.rank(names)

    assert names == list(dict.fromkeys(re.split("[ -]", line)[0] for line in lines(name)))
    assert sorted(ranks.values()) == list(range(len(names)))
    assert sorted(names, key=ranks.__getitem__) == sorted(names, key=lambda name: (RubygemsVersion(name), name))


@pytest.mark.parametrize("name", INFOS)
def test_a_recorded_version_requires_what_its_neutral_file_does(name: str) -> None:
    neutral = {line.split(" ")[0]: line.split(" ", 1)[1].split("|")[0] for line in lines(name)}

    for version in package(name).versions:
        assert version.requirements is not None
        if version.name in neutral:
            declared = [text.split(":")[0] for text in neutral[version.name].split(",") if text]
            assert [need.target.registry_name for need in version.requirements] == declared


def requirements() -> set[str]:
    """Return all that recorded gems declare, in the spelling of the index."""
    declared = ",".join(line.split(" ", 1)[1].split("|")[0] for name in INFOS for line in lines(name))
    return {text.split(":")[1] for text in declared.split(",") if text}


def test_the_clients_read_every_recorded_requirement_as_rubygems_does() -> None:
    """This goes over the releases; that `~> 1.2` excludes the pre-releases of 2 cannot be said in the form of the
    contract.
    """
    releases = sorted({version.name for name in INFOS for version in package(name).versions}, key=version_key)
    releases = [name for name in releases if not re.search("[a-z]", name)][::30]

    for declared in requirements():
        accepted = GemVersionRange.from_native(constraints(tuple(declared.split("&"))))  # type: ignore[no-untyped-call]
        requirement = GemRequirement(*declared.split("&"))  # type: ignore[no-untyped-call]
        for release in releases:
            allowed = requirement.satisfied_by(release)  # type: ignore[no-untyped-call]
            assert (RubygemsVersion(release) in accepted) == allowed, (declared, release)


@pytest.mark.parametrize(
    ("name", "filename"),
    [
        ("json", "json-2.3.0.gem"),
        ("ParseTree", "ParseTree-3.0.9.gem"),
        ("weakling", "weakling-0.0.4-java.gem"),
        ("dummy-pkg-a", "dummy-pkg-a-2.0.0.gem"),
    ],
)
def test_the_file_that_a_recorded_gem_is_read_from(name: str, filename: str) -> None:
    assert [artifact.filename for artifact in package(name).artifacts] == [filename]


def test_the_recorded_conformance_file_folds_its_platforms() -> None:
    body = (FIXTURES / "changes/compact-index/05_third_push.info-a").read_bytes()

    found = parse_info(body, identify("a"), "", "")

    assert [version.name for version in found.versions] == ["0.1.0", "0.0.1", "0.2.0"]


@pytest.mark.parametrize(
    ("filename", "repository"),
    [
        ("api/nokogiri.json", "https://github.com/sparklemotion/nokogiri"),
        ("api/rubystats.json", "https://github.com/phillbaker/rubystats"),
        ("api/api_changelog_uri.json", "https://github.com/rails/rails"),
        ("api/v2-rubystats-0.3.0.json", "https://github.com/phillbaker/rubystats"),
        ("api/v2-flurin-ticgit-0.3.7.json", "https://github.com/schacon/ticgit"),
    ],
)
def test_the_recorded_repository(filename: str, repository: str | None) -> None:
    document: dict[str, Any] = orjson.loads((FIXTURES / "metadata" / filename).read_bytes())

    assert repository_of(document) == repository


def test_every_recorded_name_is_a_gem() -> None:
    found = gzip.decompress((FIXTURES / "enumeration/latest_specs.4.8.gz").read_bytes())
    # Marshal: a text has its length in front; names stand before each `U:\x11Gem::Version` or its back reference.
    names = set(re.findall(rb'\[\x08I"[\x06-\x7f]([A-Za-z0-9._-]+)\x06', found))

    assert len(names) > 10_000
    for name in names:
        assert identify(name.decode()).registry_name == name.decode()


@pytest.mark.parametrize("filename", sorted(GOLDEN))
def test_a_recorded_gem_gives_the_names_that_were_read_from_it_by_hand(filename: str) -> None:
    found = RubyGems.archive_names(str(FIXTURES / "archives" / filename), filename, LIMITS)

    assert found.error is None
    assert list(found.names) == GOLDEN[filename]


def test_every_recorded_gem_has_a_golden_list() -> None:
    assert {path.name for path in (FIXTURES / "archives").glob("*.gem")} == set(GOLDEN)


@pytest.mark.parametrize(
    ("filename", "repository"),
    [
        ("statesman-1.2.1.gem", "https://github.com/gocardless/statesman"),
        ("flurin-ticgit-0.3.7.gem", "https://github.com/schacon/ticgit"),
        ("fastercsv-1.5.5.gem", None),
        ("aliases-0.0.0.gem", None),
    ],
)
def test_the_repository_that_a_recorded_gem_names_itself(filename: str, repository: str | None) -> None:
    assert RubyGems.archive_names(str(FIXTURES / "archives" / filename), filename, LIMITS).repository_url == repository


@pytest.mark.parametrize(
    ("advisory", "name", "versions", "affected"),
    [
        (
            "GHSA-h4h5-3hr4-j3g2",
            "google-protobuf",
            ["3.20.2", "3.20.3", "3.21.0", "3.21.0.pre", "3.21.0.rc.1", "3.21.6", "3.21.7"],
            ["3.20.2", "3.21.0", "3.21.0.rc.1", "3.21.6"],
        ),
        (
            "GHSA-3hhc-qp5v-9p2j",
            "activerecord",
            ["7.0.0.rc1", "7.0.0", "7.0.3", "7.0.3.1", "7.0.10", "6.1.6", "6.1.6.1"],
            ["7.0.0", "7.0.3", "6.1.6"],
        ),
    ],
)
def test_a_recorded_advisory_affects_by_the_order_of_gems(
    advisory: str, name: str, versions: list[str], affected: list[str]
) -> None:
    document = orjson.loads((FIXTURES / "advisories/osv" / f"{advisory}.json").read_bytes())

    ratings = rate(identify(name), versions, [document])

    assert [version for version in versions if ratings[version].vulnerabilities == (advisory,)] == affected


def test_the_recorded_pairs_of_versions_are_in_their_native_order() -> None:
    text = (FIXTURES / "metadata/version-order/rubygems-versions-generated.txt").read_text()
    pairs = re.findall(r"^(\S+) ([<=>]) (\S+)$", text, re.MULTILINE)

    assert len(pairs) > 4000
    for one, relation, other in pairs:
        keys = version_key(one), version_key(other)
        holds = {"<": keys[0] < keys[1], "=": keys[0] == keys[1], ">": keys[0] > keys[1]}[relation]
        assert holds, (one, relation, other)
