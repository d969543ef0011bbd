"""This tests whatever an ecosystem must have, walked over all that are registered: a seventh one without a piece
fails here.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import pytest_asyncio

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import ArchiveReader
from securechain_ingest.errors import InvalidName, NotFound
from securechain_ingest.http.client import HttpClient
from securechain_ingest.model import Package
from securechain_ingest.registries import DECLARATIONS, declaration_of, named_package
from securechain_ingest.registries.building import build_registries
from securechain_ingest.registries.kit.kept_documents import KeptDocuments
from securechain_ingest.registries.kit.repository import vendor_of
from securechain_ingest.registries.protocol import Registry, RegistryClass, Unchanged
from tests.registries.asking import connected, first_visit, known
from tests.registry_server import ExpectedPackage, Server, Shape, generate, same_constraints, serve
from tests.registry_server.world import World

CHECKOUT = Path(__file__).resolve().parents[2]
WORDS = tuple(declared.name for declared in DECLARATIONS)
PIECES = ("declaration", "client", "names", "constraints", "import_names", "feed")
ARCHIVES_WITH_GOLDENS = 10
every_ecosystem = pytest.mark.parametrize("word", WORDS)


@every_ecosystem
def test_an_ecosystem_has_a_folder_with_all_its_pieces(word: str) -> None:
    for piece in PIECES:
        assert find_spec(f"securechain_ingest.registries.{word}.{piece}") is not None, piece


@every_ecosystem
def test_an_ecosystem_has_tests_over_made_and_recorded_documents(word: str) -> None:
    assert list((CHECKOUT / "tests" / "registries" / word).glob(f"test_{word}_*.py"))
    assert (CHECKOUT / "tests" / "registries" / word / f"test_{word}_feed.py").is_file()
    assert list((CHECKOUT / "tests" / "recorded" / word).glob(f"test_recorded_{word}*.py"))


@every_ecosystem
def test_an_ecosystem_has_tests_over_recorded_lists_or_changes(word: str) -> None:
    folder = CHECKOUT / "tests" / "recorded" / word
    files = [folder / f"test_recorded_{word}_{source}.py" for source in ("feed", "index", "dump")]
    assert any("\ndef test_" in file.read_text() for file in files if file.is_file())


@every_ecosystem
def test_the_readme_names_the_feed_of_an_ecosystem_where_it_tells_of_keeping_fresh(word: str) -> None:
    _, keeping_fresh = (CHECKOUT / "README.md").read_text().split("\n## Keeping fresh\n")
    assert declaration_of(word).feed in " ".join(keeping_fresh.split("\n## ")[0].split())


@every_ecosystem
def test_an_ecosystem_has_golden_names_of_recorded_archives(word: str) -> None:
    golden = json.loads((CHECKOUT / "tests" / "recorded" / "goldens" / f"{word}.json").read_text())
    assert len(golden) >= ARCHIVES_WITH_GOLDENS


def test_the_readme_has_the_table_of_what_is_declared() -> None:
    rows = ["| word | registry | a package, first visit | import names are |", "| --- | --- | --- | --- |"]
    for declared in DECLARATIONS:
        name, *others = [f"`{word}`" for word in declared.words]
        words = f"{name} ({', '.join(others)})" if others else name
        names = ", ".join(f"`{example}`" for example in declared.import_name_examples)
        rows.append(f"| {words} | {declared.title} | {declared.first_visit} | {names} |")
    assert "".join(f"{row}\n" for row in rows) in (CHECKOUT / "README.md").read_text()


@pytest.mark.parametrize(
    ("text", "purl"),
    [
        ("pypi:Flask", "pkg:pypi/flask"),
        ("npm:@babel/core", "pkg:npm/%40babel/core"),
        ("pkg:npm/%40babel/core", "pkg:npm/%40babel/core"),
        ("maven:org.antlr:ST4", "pkg:maven/org.antlr/ST4"),
        ("pkg:maven/org.antlr/ST4", "pkg:maven/org.antlr/ST4"),
        ("cargo:Serde", "pkg:cargo/serde"),
        ("crates:serde", "pkg:cargo/serde"),
        ("gem:RedCloth", "pkg:gem/RedCloth"),
        ("rubygems:rails", "pkg:gem/rails"),
        ("pkg:gem/rails", "pkg:gem/rails"),
        ("NuGet:Newtonsoft.Json", "pkg:nuget/newtonsoft.json"),
        ("pkg:nuget/Newtonsoft.Json?repository_url=x#y", "pkg:nuget/newtonsoft.json"),
    ],
)
def test_a_package_is_named_by_a_word_and_a_name_or_by_a_purl(text: str, purl: str) -> None:
    assert named_package(text).purl == purl


@pytest.mark.parametrize("text", ["six", "conda:six", "pkg:six", "pkg:pypi/six@1.0", "maven:org.antlr", "pypi:"])
def test_a_name_without_an_ecosystem_of_ours_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        named_package(text)


@pytest.fixture(scope="module", params=WORDS)
def made(request: pytest.FixtureRequest) -> Iterator[tuple[RegistryClass, World, Server]]:
    world = generate(Shape(packages=12, seed=4, ecosystems=(request.param,), odd_share=0.3))
    with serve(world) as server:
        yield declaration_of(request.param).registry(), world, server


@pytest_asyncio.fixture
async def registry(made: tuple[RegistryClass, World, Server], tmp_path: Path) -> AsyncIterator[Registry]:
    registered, _, server = made

    def make(http: HttpClient, archives: ArchiveReader, pool: ParserPool, kept: KeptDocuments) -> Registry:
        return build_registries(http, archives, pool, kept)[registered.ecosystem.label]

    async with connected(make, server, tmp_path) as registry:
        yield registry


async def test_what_is_fetched_of_a_made_package_is_the_truth_and_a_second_visit_moves_nothing(
    made: tuple[RegistryClass, World, Server], registry: Registry
) -> None:
    _, world, server = made
    truth = world.truth()
    assert truth
    for expected in truth.values():
        package = await first_visit(registry, expected.registry_name)
        names = await registry.import_names(package)
        repository = package.repository_url or names.repository_url or "n/a"
        vendor = package.vendor or vendor_of(repository) or "n/a"
        assert (package.ref.name, package.ref.purl, package.ref.registry_name, vendor, repository) == (
            expected.name,
            expected.purl,
            expected.registry_name,
            expected.vendor,
            expected.repository_url,
        )
        assert_versions(package, expected)
        if expected.import_names is not None:
            assert names.names == tuple(sorted(expected.import_names))

        server.requests.clear()
        assert isinstance(await registry.fetch(package.ref, known(package)), Unchanged)
        assert [request.status for request in server.requests] == [304]


async def test_documents_and_archives_come_from_the_endpoints_that_are_declared_for_them(
    made: tuple[RegistryClass, World, Server], registry: Registry
) -> None:
    registered, world, server = made
    declared = declaration_of(registered.ecosystem.name)
    archives = set()
    for expected in world.truth().values():
        server.requests.clear()
        package = await first_visit(registry, expected.registry_name)
        assert declared.ecosystem.endpoint in {request.endpoint for request in server.requests}
        server.requests.clear()
        await registry.import_names(package)
        archives |= {request.endpoint for request in server.requests}
    assert archives == {declared.ecosystem.archives}


async def test_a_package_that_a_registry_lacks_is_not_found(
    made: tuple[RegistryClass, World, Server], registry: Registry
) -> None:
    ecosystem = made[0].ecosystem
    ref = made[0].identify(f"made{ecosystem.namespace_separator}absent" if ecosystem.needs_namespace else "absent")
    with pytest.raises(NotFound):
        await registry.fetch(ref, None)
    assert registry.fallback_names(ref)
    assert await registry.near_names(ref) == ()


def assert_versions(package: Package, expected: ExpectedPackage) -> None:
    ranks = package.ref.ecosystem.rank(version.name for version in package.versions)
    held = {version.name: version for version in package.versions}
    assert sorted(held) == sorted(version.name for version in expected.versions)
    for version in expected.versions:
        found = held[version.name]
        assert (found.purl, ranks[found.name]) == (version.purl, version.serial_number)
        assert (found.release_date, found.yanked, found.deprecated) == (
            version.release_date,
            version.yanked,
            version.deprecated,
        ), version.purl
        if found.requirements is None:
            assert not version.requirements, version.purl
            continue
        edges = {requirement.target.purl: requirement.constraints for requirement in found.requirements}
        assert edges.keys() == version.requirements.keys(), version.purl
        for purl, constraints in version.requirements.items():
            assert same_constraints(edges[purl], constraints), (version.purl, purl)
