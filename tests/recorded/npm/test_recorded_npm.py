"""This tests npm's parsers over recorded packuments, tarballs and version orders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from univers.version_range import NpmVersionRange
from univers.versions import SemverVersion

from securechain_ingest.errors import Malformed, NotFound
from securechain_ingest.model import Package
from securechain_ingest.registries.kit.semver import version_key
from securechain_ingest.registries.npm.client import Npm
from securechain_ingest.registries.npm.names import NPM, identify
from securechain_ingest.registries.npm.packument import parse_packument
from tests.recorded.version_order import assert_order
from tests.registries.asking import LIMITS

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "npm"
GOLDEN: dict[str, list[str]] = json.loads((Path(__file__).parents[1] / "goldens" / "npm.json").read_text())

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recorded payloads (shared/fixtures) are not at hand")

UNPUBLISHED = "unpublished.babel-plugin-autocss.json"
PACKUMENTS = sorted(path.name for path in (FIXTURES / "metadata/packument").glob("*.json") if path.name != UNPUBLISHED)
VERBATIM = {"beta", "github:soldotno/aurora-deep-slice-merge"}
"""This is what the recorded packages declare that is no range."""


def document(filename: str) -> dict[str, Any]:
    return orjson.loads((FIXTURES / "metadata/packument" / filename).read_bytes())  # type: ignore[no-any-return]


def package(filename: str) -> Package:
    body = (FIXTURES / "metadata/packument" / filename).read_bytes()
    return parse_packument(body, identify(document(filename)["name"]), "https://registry.example/")


@pytest.mark.parametrize("filename", PACKUMENTS)
def test_every_version_of_a_recorded_package_is_there_in_order(filename: str) -> None:
    listed = document(filename)["versions"]
    names = [version.name for version in package(filename).versions]
    ranks = NPM.rank(names)

    assert names == list(listed)
    assert sorted(ranks.values()) == list(range(len(names)))
    assert sorted(names, key=ranks.__getitem__) == sorted(names, key=lambda name: (SemverVersion(name), name))


@pytest.mark.parametrize("filename", PACKUMENTS)
def test_every_date_and_deprecation_of_a_recorded_package_is_there(filename: str) -> None:
    recorded = document(filename)
    times = recorded.get("time", {})

    for version in package(filename).versions:
        assert version.release_date == (times[version.name][:19] + "Z" if version.name in times else None)
        assert version.deprecated == bool(recorded["versions"][version.name].get("deprecated"))


@pytest.mark.parametrize("filename", PACKUMENTS)
def test_every_dependency_of_a_recorded_package_is_required(filename: str) -> None:
    recorded = document(filename)

    for version in package(filename).versions:
        assert version.requirements is not None
        declared = recorded["versions"][version.name].get("dependencies") or {}
        assert [requirement.target.registry_name for requirement in version.requirements] == list(declared)


@pytest.mark.parametrize("filename", PACKUMENTS)
def test_the_clients_can_read_every_recorded_constraint(filename: str) -> None:
    written = {
        requirement.constraints for version in package(filename).versions for requirement in version.requirements or ()
    }

    for constraints in written - VERBATIM - {"any"}:
        accepted = NpmVersionRange.from_native(constraints)  # type: ignore[no-untyped-call]
        boundaries = [constraint.version for constraint in accepted.constraints if constraint.comparator in ("=", ">=")]
        assert any(version in accepted for version in boundaries), constraints


@pytest.mark.parametrize(
    ("filename", "repository", "vendor"),
    [
        ("0flux.json", "https://github.com/reissbaker/0flux", "reissbaker"),
        ("2112.json", "https://github.com/ostera/2112", "ostera"),
        ("org.visit1.json", "https://github.com/mooz/org-js", "mooz"),
        ("jammit-express.json", "https://github.com/neyric/jammit-express", "neyric"),
        ("repository_link.json", "https://github.com/jshttp/etag", "jshttp"),
        ("@types__jquery.json", "https://github.com/DefinitelyTyped/DefinitelyTyped", "DefinitelyTyped"),
        ("@aller__shared.json", "n/a", "@aller"),
        ("no_source.json", "n/a", "n/a"),
        ("install_scripts.json", "https://github.com/example/install-scripts-pkg", "example"),
    ],
)
def test_the_recorded_repository_and_vendor(filename: str, repository: str, vendor: str) -> None:
    found = package(filename)

    assert (found.repository_url, found.vendor) == (repository, vendor)


def test_a_recorded_package_of_which_everything_was_unpublished_is_not_found() -> None:
    with pytest.raises(NotFound, match="unpublished"):
        package(UNPUBLISHED)


def test_a_recorded_page_in_place_of_a_document_is_malformed() -> None:
    body = (FIXTURES / "metadata/errors/200-html-instead-of-json.html").read_bytes()

    with pytest.raises(Malformed):
        parse_packument(body, identify("etag"), "https://registry.example/etag")


def test_every_recorded_name_is_a_package() -> None:
    for listing in ("names.json", "recent-names.json"):
        for name in json.loads((FIXTURES / "enumeration" / listing).read_text()):
            assert identify(name).registry_name == name


@pytest.mark.parametrize("filename", sorted(GOLDEN))
def test_a_recorded_tarball_gives_the_names_that_were_read_from_it_by_hand(filename: str) -> None:
    found = Npm.archive_names(str(FIXTURES / "archives" / filename), filename, LIMITS)

    assert found.error is None
    assert list(found.names) == GOLDEN[filename]


def test_every_recorded_tarball_has_a_golden_list() -> None:
    assert {path.name for path in (FIXTURES / "archives").glob("*.tgz")} == set(GOLDEN)


def test_the_hand_picked_order_cases_hold() -> None:
    assert_order(version_key, FIXTURES / "metadata/version-order/semver-versions.txt", more_than=60)
