"""This tests PyPI's parsers over recorded documents, archives and version orders."""

from __future__ import annotations

import json
import re
from itertools import chain
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from packaging.requirements import Requirement
from univers.version_range import PypiVersionRange
from univers.versions import PypiVersion

from securechain_ingest.errors import Malformed
from securechain_ingest.model import Package
from securechain_ingest.registries.pypi.client import PyPI
from securechain_ingest.registries.pypi.documents import parse_project, parse_simple, parse_version, releases_of
from securechain_ingest.registries.pypi.names import PYPI, identify, version_key
from securechain_ingest.registries.pypi.package import assemble
from tests.registries.asking import LIMITS

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "pypi"
GOLDEN: dict[str, list[str]] = json.loads((Path(__file__).parents[1] / "goldens" / "pypi.json").read_text())

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recorded payloads (shared/fixtures) are not at hand")

URL = "https://registry.example/"
# Answers about one version, and one that is empty.
NOT_PROJECTS = {"asgiref-3.11.0.json", "siuba-0.3.0.json", "yiban-0.1.2.32.json", "empty.json"}
PROJECTS = sorted(path.name for path in (FIXTURES / "metadata/json").glob("*.json") if path.name not in NOT_PROJECTS)
PAGES = sorted(
    path.name for path in (FIXTURES / "metadata/simple-json").glob("*.json") if not path.name.endswith(".headers.json")
)


def body(folder: str, filename: str) -> bytes:
    return (FIXTURES / "metadata" / folder / filename).read_bytes()


def document(folder: str, filename: str) -> dict[str, Any]:
    return orjson.loads(body(folder, filename))  # type: ignore[no-any-return]


def package(filename: str) -> Package:
    recorded = document("json", filename)
    project = parse_project(body("json", filename), identify(recorded["info"]["name"]), URL)
    assert project.releases is not None
    declared = {} if project.latest is None or project.requires is None else {project.latest: project.requires}
    return assemble(
        project, project.releases, {version: found.requirements for version, found in declared.items()}, None
    )


@pytest.mark.parametrize("filename", PROJECTS)
def test_every_version_of_a_recorded_project_is_there_with_its_date(filename: str) -> None:
    releases = document("json", filename)["releases"]
    versions = {version.name: version for version in package(filename).versions}

    assert versions.keys() == releases.keys()
    for name, files in releases.items():
        dates = sorted(file["upload_time"] for file in files)
        assert versions[name].release_date == (f"{dates[0]}Z" if dates else None)
        assert versions[name].yanked == (bool(files) and all(file.get("yanked") for file in files))


@pytest.mark.parametrize("filename", PROJECTS)
def test_the_versions_of_a_recorded_project_are_in_the_order_of_the_clients(filename: str) -> None:
    names = [version.name for version in package(filename).versions]
    ranks = PYPI.rank(names)

    assert sorted(ranks.values()) == list(range(len(names)))
    assert sorted(names, key=ranks.__getitem__) == sorted(names, key=lambda name: (PypiVersion(name), name))


@pytest.mark.parametrize("filename", PROJECTS)
def test_what_the_latest_version_of_a_recorded_project_requires_is_read_from_its_document(filename: str) -> None:
    info = document("json", filename)["info"]
    lines = [Requirement(line) for line in info.get("requires_dist") or []]
    wanted = {line.name.lower() for line in lines if line.marker is None}
    optional = {line.name.lower() for line in lines if line.marker is not None}
    latest = [version for version in package(filename).versions if version.name == info.get("version")]
    requirements = [requirement for version in latest for requirement in version.requirements or ()]

    found = {requirement.target.name for requirement in requirements}
    assert wanted <= found <= wanted | optional
    for requirement in requirements:
        if requirement.constraints != "any":
            assert PypiVersionRange.from_native(requirement.constraints).constraints  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("filename", "repository", "vendor"),
    [
        ("django-split-settings.json", "https://github.com/xxxxx/django-split-settings", "xxxxx"),
        ("flask.json", "https://github.com/pallets/flask", "pallets"),
        ("luigi.json", "https://github.com/spotify/luigi", "spotify"),
        ("luigi-bitbucket.json", "https://bitbucket.org/spotify/luigi", "spotify"),
        ("numpy.trimmed.json", "https://github.com/numpy/numpy", "numpy"),
        ("six.json", "n/a", "n/a"),
    ],
)
def test_the_recorded_repository_and_vendor(filename: str, repository: str, vendor: str) -> None:
    found = package(filename)

    assert (found.repository_url, found.vendor) == (repository, vendor)


def test_versions_without_a_file_are_versions() -> None:
    found = package("cage.json")

    assert len(found.versions) == 3
    assert found.artifacts == ()


@pytest.mark.parametrize("filename", ["asgiref-3.11.0.json", "siuba-0.3.0.json", "yiban-0.1.2.32.json"])
def test_a_recorded_document_of_one_version_tells_its_requirements(filename: str) -> None:
    info = document("json", filename)["info"]
    declared = parse_version(body("json", filename), identify(info["name"]), URL)
    wanted = {
        Requirement(line).name.lower() for line in info["requires_dist"] or [] if Requirement(line).marker is None
    }

    assert wanted <= {requirement.target.name for requirement in (declared.requirements if declared else ())}


def test_a_recorded_document_of_one_version_is_no_list_of_releases() -> None:
    assert parse_project(body("json", "siuba-0.3.0.json"), identify("siuba"), URL).releases is None


def test_an_empty_object_is_malformed() -> None:
    with pytest.raises(Malformed):
        parse_project(body("json", "empty.json"), identify("any"), URL)


@pytest.mark.parametrize("filename", PAGES)
def test_every_file_of_a_recorded_simple_page_is_there(filename: str) -> None:
    recorded = document("simple-json", filename)
    page = parse_simple(body("simple-json", filename), identify(recorded["name"]), URL)

    assert [file.filename for file in page.files] == [file["filename"] for file in recorded["files"]]
    for file, entry in zip(page.files, recorded["files"], strict=True):
        assert file.has_metadata == bool(entry.get("core-metadata", entry.get("data-dist-info-metadata")))
        assert file.yanked == bool(entry.get("yanked"))


@pytest.mark.parametrize("filename", PAGES)
def test_the_files_of_a_recorded_simple_page_belong_to_its_versions(filename: str) -> None:
    recorded = document("simple-json", filename)
    page = parse_simple(body("simple-json", filename), identify(recorded["name"]), URL)
    releases = releases_of(page)

    assert releases.keys() >= set(recorded.get("versions", ()))
    for version, files in releases.items():
        for file in files:
            assert re.search(rf"[-.]{re.escape(version)}", file.filename.replace("_", "-")), (version, file.filename)
    named = set(chain.from_iterable((file.filename for file in files) for files in releases.values()))
    assert {file.filename for file in page.files if _has_modern_version(file.filename)} <= named


def _has_modern_version(filename: str) -> bool:
    return re.fullmatch(r"[a-z0-9_]+-[0-9.]+(-py.*\.whl|\.tar\.gz)", filename, re.IGNORECASE) is not None


@pytest.mark.parametrize("filename", sorted(GOLDEN))
def test_a_recorded_archive_gives_the_names_that_were_read_from_its_listing_by_hand(filename: str) -> None:
    found = PyPI.archive_names(str(FIXTURES / "archives" / filename), filename, LIMITS)

    assert found.error is None
    assert list(found.names) == GOLDEN[filename]


def test_every_recorded_archive_has_a_golden_list() -> None:
    archives = {path.name for path in (FIXTURES / "archives").iterdir() if not path.name.endswith(".contents.txt")}

    assert archives == set(GOLDEN)


def test_the_recorded_pairs_of_versions_are_in_the_recorded_order_and_in_the_clients() -> None:
    text = (FIXTURES / "metadata/version-order/pypi-versions-generated.txt").read_text()
    pairs = re.findall(r"^(\S+) ([<=>]) (\S+)$", text, re.MULTILINE)

    assert len(pairs) == 12_375
    compared = 0
    for one, relation, other in pairs:
        if PypiVersion.is_valid(one) and PypiVersion.is_valid(other):  # type: ignore[no-untyped-call]
            compared += 1
            ours, theirs = (version_key(one), version_key(other)), (PypiVersion(one), PypiVersion(other))
            for low, high in cast(list[tuple[Any, Any]], [ours, theirs]):
                assert {"<": low < high, "=": low == high, ">": low > high}[relation], (one, relation, other)
        else:
            # Names from before PEP 440: what the clients cannot order has no order.
            assert -1 in PYPI.rank([one, other]).values()
    assert compared > 12_000


def test_every_recorded_name_is_a_project() -> None:
    names = re.findall(r">([^<]+)</a>", (FIXTURES / "enumeration/simple-index.slice-2000.html").read_text())

    assert len(names) > 1_500
    for name in names:
        assert identify(name).registry_name == name
