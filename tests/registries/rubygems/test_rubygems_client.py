"""This tests the RubyGems registry, asked over real HTTP: the index, once the API, and the first bytes of the newest
gem.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from securechain_ingest.errors import ArchiveRefused, Malformed, NotFound, RateLimited, Unavailable
from securechain_ingest.model import Package
from securechain_ingest.registries.protocol import Unchanged
from securechain_ingest.registries.rubygems.client import RubyGems
from tests.registries.asking import RegistrySite, connected, known, registry_site
from tests.registry_server import ExpectedPackage, Fault, FaultKind, Server, Shape, World, generate, rubygems, serve
from tests.registry_server.rubygems import Version, need

LINKS = {"homepage_uri": "https://example.org/", "source_code_uri": "https://github.com/some-owner/some-repo/tree/main"}
OWNED = {"vendor": "some-owner", "repository_url": "https://github.com/some-owner/some-repo"}

CLOTH = rubygems.Gem(
    "RedCloth",
    (
        Version("1.0.0.beta1"),
        Version("1.0.0", (need("rack", ">= 1.0.2&~> 1.0", ">= 1.0.2, < 2.A"), need("JSON"))),
        Version("1.0.1", yanked=True),
        Version(
            "1.2.0",
            (need("rack", "~> 1.2"),),
            platforms=("java", "ruby", "x86_64-linux"),
            platform_needs={"java": (need("rack", "~> 1.2"), need("jruby-openssl"))},
            files=("lib/RedCloth.rb", "lib/redcloth/textile.rb", "lib/redcloth/textile_spec.rb", "test/all.rb"),
        ),
        Version("2.0.0.rc1"),
    ),
    links=LINKS,
    **OWNED,  # type: ignore[arg-type]  # two texts
)
LARGE = rubygems.Gem("large", (Version("1.0", padding_bytes=1_500_000),), links=LINKS, **OWNED)  # type: ignore[arg-type]
OLD = rubygems.Gem("old", (Version("0.1", padding_bytes=1_500_000, layout="2008"),))
UNLISTED = rubygems.Gem("unlisted", (Version("0.1", padding_bytes=300_000, lists_files=False),))
NATIVE = rubygems.Gem("native", (Version("1.0", platforms=("x86_64-linux",)),))
LONG = rubygems.Gem("long", tuple(Version(f"1.0.{patch}", (need("rack"),)) for patch in range(1000)))
QUIET = rubygems.Gem("quiet", (Version("1.0"),), links=LINKS, api=False, **OWNED)  # type: ignore[arg-type]
UNDATED = rubygems.Gem("undated", (Version("1.0"), Version("1.1")), links=LINKS, index_has_dates=False, **OWNED)  # type: ignore[arg-type]
GONE = rubygems.Gem("gone", (Version("1.0", yanked=True),))
BROKEN = rubygems.Gem("broken", (Version("1.0", gem=False),))
WORLD = World((CLOTH, LARGE, OLD, UNLISTED, NATIVE, LONG, QUIET, UNDATED, GONE, BROKEN))


Site = RegistrySite[RubyGems]


@pytest_asyncio.fixture
async def site(server: Server, tmp_path: Path) -> AsyncIterator[Site]:
    async with registry_site(RubyGems, server, tmp_path, WORLD) as site:
        yield site


def found_versions(package: Package) -> dict[str, object]:
    ranks = package.ref.ecosystem.rank(version.name for version in package.versions)
    return {
        version.name: (
            version.purl,
            version.release_date,
            ranks[version.name],
            {need.target.purl: need.constraints for need in version.requirements or ()},
        )
        for version in package.versions
    }


def expected_versions(truth: ExpectedPackage) -> dict[str, object]:
    return {
        version.name: (version.purl, version.release_date, version.serial_number, version.requirements)
        for version in truth.versions
    }


async def test_a_new_gem_takes_two_requests_and_one_for_the_beginning_of_its_file(site: Site) -> None:
    package = await site.fetched("RedCloth")
    names = await site.registry.import_names(package)

    assert site.targets() == ["/info/RedCloth", "/api/v1/gems/RedCloth.json", "/gems/RedCloth-1.2.0.gem"]
    assert [request.defect for request in site.server.requests] == [None] * 3
    assert site.server.requests[2].headers["range"] == "bytes=0-65535"
    assert names.names == ("RedCloth", "redcloth/textile", "redcloth::textile")


@pytest.mark.parametrize("expected", [CLOTH, LARGE, NATIVE, LONG, UNDATED], ids=lambda gem: gem.name)
async def test_a_gem_is_what_its_author_published(site: Site, expected: rubygems.Gem) -> None:
    package = await site.fetched(expected.name)
    truth = expected.truth()

    assert (package.ref.name, package.ref.purl, package.ref.registry_name) == (
        truth.name,
        truth.purl,
        truth.registry_name,
    )
    assert (package.vendor or "n/a", package.repository_url or "n/a") == (truth.vendor, truth.repository_url)
    assert found_versions(package) == expected_versions(truth)


async def test_every_gem_of_a_generated_registry_is_what_it_was_made_as(tmp_path: Path) -> None:
    world = generate(Shape(packages=25, seed=7, odd_share=0.4, ecosystems=("rubygems",)))
    with serve(world) as server:
        async with connected(RubyGems, server, tmp_path) as gems:
            for truth in world.truth().values():
                package = await gems.fetch(gems.identify(truth.registry_name), None)
                assert isinstance(package, Package)
                names = await gems.import_names(package)

                assert names.names == truth.import_names
                assert (package.repository_url or names.repository_url or "n/a") == truth.repository_url
                assert found_versions(package) == expected_versions(truth)


async def test_a_gem_that_did_not_change_is_confirmed_by_the_index_alone(site: Site) -> None:
    package = await site.fetched("long")
    site.server.requests.clear()
    answer = await site.registry.fetch(package.ref, known(package))

    assert answer == Unchanged(package.ref)
    assert [(request.target, request.status) for request in site.server.requests] == [("/info/long", 304)]


async def test_a_known_gem_that_changed_keeps_its_links_without_asking_for_them(site: Site) -> None:
    package = await site.fetched("RedCloth")
    site.server.requests.clear()
    later = await site.registry.fetch(
        site.registry.identify("redcloth"), replace(known(package), validator='"of another document"')
    )

    assert isinstance(later, Package)
    assert (later.repository_url, later.vendor) == (None, None)
    assert site.targets() == ["/info/RedCloth"]


async def test_an_index_without_dates_has_them_from_the_api(site: Site) -> None:
    package = await site.fetched("undated")

    assert site.targets() == ["/info/undated", "/api/v1/versions/undated.json"]
    assert [version.release_date for version in package.versions] == ["2015-01-01T12:00:00Z", "2015-01-31T12:00:00Z"]


async def test_what_the_api_does_not_know_the_gem_itself_tells(site: Site) -> None:
    package = await site.fetched("quiet")
    names = await site.registry.import_names(package)

    assert package.repository_url is None
    assert names.repository_url == "https://github.com/some-owner/some-repo"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("/api/v1/gems/*", FaultKind.STATUS, status=503),
        Fault("/api/v1/gems/*", FaultKind.STATUS, status=404),
        Fault("/api/v1/gems/*", FaultKind.HTML),
        Fault("/api/v1/gems/*", FaultKind.DROP),
    ],
    ids=lambda fault: f"{fault.kind} {fault.status}",
)
async def test_an_api_that_fails_costs_neither_the_gem_nor_its_links(site: Site, fault: Fault) -> None:
    site.server.faults.add(fault)

    package = await site.fetched("large")
    names = await site.registry.import_names(package)

    assert [version.name for version in package.versions] == ["1.0"]
    assert names.repository_url == "https://github.com/some-owner/some-repo"


async def test_an_api_that_wants_a_pause_costs_no_gem_and_puts_its_file_off(site: Site) -> None:
    """The API and the files are one host, which is asked for nothing in the pause."""
    site.server.faults.add(Fault("/api/v1/gems/*", FaultKind.STATUS, status=429, retry_after="3600"))

    package = await site.fetched("large")
    with pytest.raises(RateLimited):
        await site.registry.import_names(package)

    assert [version.name for version in package.versions] == ["1.0"]
    assert not [request for request in site.server.requests if request.target.startswith("/gems/")]


async def test_of_a_large_gem_only_the_beginning_is_fetched(site: Site) -> None:
    names = await site.registry.import_names(await site.fetched("large"))

    assert names.names == ("large",)
    assert [request.headers.get("range") for request in site.server.requests[2:]] == ["bytes=0-65535"]


async def test_of_an_old_gem_its_end_is_fetched_too(site: Site) -> None:
    """Until 2009 metadata.gz came after the data."""
    names = await site.registry.import_names(await site.fetched("old"))

    assert names.names == ("old",)
    assert len(site.server.requests[2:]) == 2
    assert all("range" in request.headers for request in site.server.requests[2:])


async def test_a_gem_whose_gemspec_lists_no_files_is_fetched_whole(site: Site) -> None:
    names = await site.registry.import_names(await site.fetched("unlisted"))

    assert names.names == ("unlisted",)
    assert len(site.server.requests[2:]) == 2


async def test_a_server_that_ignores_ranges_gives_the_whole_gem(site: Site) -> None:
    package = await site.fetched("old")
    site.server.faults.add(Fault("/gems/*", FaultKind.IGNORED_RANGE))

    assert (await site.registry.import_names(package)).names == ("old",)
    assert ["range" in request.headers for request in site.server.requests[2:]] == [True, False]


async def test_a_gem_for_one_platform_only_is_read_from_that_file(site: Site) -> None:
    package = await site.fetched("native")
    names = await site.registry.import_names(package)

    assert [artifact.filename for artifact in package.artifacts] == ["native-1.0-x86_64-linux.gem"]
    assert names.names == ("native",)


@pytest.mark.parametrize("name", ["never_published", "redcloth", "gone"])
async def test_a_gem_that_the_registry_does_not_have_is_not_found(site: Site, name: str) -> None:
    with pytest.raises(NotFound):
        await site.fetched(name)
    assert site.targets() == [f"/info/{name}"]


async def test_a_gem_in_the_wrong_case_has_its_spelling_among_the_near_names(site: Site) -> None:
    assert await site.registry.near_names(site.registry.identify("redcloth")) == ("RedCloth",)
    assert site.targets() == ["/api/v1/search.json?query=redcloth"]


async def test_what_the_search_finds_is_named_the_same_in_another_case_first(site: Site) -> None:
    assert await site.registry.near_names(site.registry.identify("lo")) == ("RedCloth", "long")
    assert await site.registry.near_names(site.registry.identify("nothing-like-it")) == ()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("/info/*", FaultKind.STATUS, status=429, retry_after="3600"), RateLimited),
        (Fault("/info/*", FaultKind.STATUS, status=503), Unavailable),
        (Fault("/info/*", FaultKind.HTML), Malformed),
    ],
)
async def test_an_index_that_fails_is_an_error(site: Site, fault: Fault, error: type[Exception]) -> None:
    site.server.faults.add(fault)

    with pytest.raises(error):
        await site.fetched("long")


@pytest.mark.parametrize("kind", [FaultKind.STATUS, FaultKind.HTML])
async def test_a_search_that_fails_is_an_error_and_no_empty_answer(site: Site, kind: FaultKind) -> None:
    site.server.faults.add(Fault("/api/v1/search.json*", kind))

    with pytest.raises((Unavailable, Malformed)):
        await site.registry.near_names(site.registry.identify("redcloth"))


async def test_a_gem_that_has_not_the_digest_of_its_line_cannot_be_read_now(site: Site) -> None:
    """It is so if it is read whole; of a large one only its beginning is."""
    package = await site.fetched("RedCloth")
    assert package.artifacts[0].sha256
    other = replace(package, artifacts=(replace(package.artifacts[0], sha256="0" * 64),))
    with pytest.raises(Unavailable, match="SHA-256"):
        await site.registry.import_names(other)
    assert await site.registry.import_names(package)


async def test_a_file_that_is_missing_is_an_error_and_not_an_empty_list(site: Site) -> None:
    package = await site.fetched("broken")

    with pytest.raises(NotFound):
        await site.registry.import_names(package)
    assert site.registry.fallback_names(package.ref) == ("broken",)


async def test_a_page_in_place_of_a_gem_is_told_by_its_digest_from_a_gem_that_is_damaged(site: Site) -> None:
    package = await site.fetched("large")
    unknown = replace(package, artifacts=(replace(package.artifacts[0], sha256=None),))
    site.server.faults.add(Fault("/gems/*", FaultKind.HTML, times=None))
    for each, error in ((package, Unavailable), (unknown, ArchiveRefused)):
        with pytest.raises(error):
            await site.registry.import_names(each)


async def test_a_package_without_artifacts_is_known_by_its_name(site: Site) -> None:
    package = Package(site.registry.identify("RedCloth"), None, None, (), (), None)

    assert (await site.registry.import_names(package)).names == ("RedCloth",)
    assert site.targets() == []
