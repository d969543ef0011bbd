"""This tests what a release changes, on the page of its package."""

from __future__ import annotations

from datetime import UTC, datetime

from securechain_ingest.model import ImportNames, NamesChange, Package, PackageWrite, Version
from securechain_ingest.registries import named_package
from tests.web.conftest import WebSite

HOSTILE = '"><script>alert(1)</script>'


async def test_the_page_of_a_package_names_what_its_newest_release_takes_away(site: WebSite) -> None:
    ref = named_package("npm:changed")
    versions = tuple(Version(name, f"{ref.purl}@{name}", None, ()) for name in ("1.0.0", "2.0.0"))
    change = NamesChange("2.0.0", "1.0.0", added=("changed/new",), removed=("changed/old", HOSTILE))
    names = ImportNames(("changed",), version="2.0.0", change=change)
    package = Package(ref, None, None, versions, (), None)
    await site.stores.graph.write([PackageWrite(package, {}, names, datetime.now(UTC), (), False)])
    await site.stores.changes.keep(versions[1].purl, change, ref.ecosystem)

    text = (await site.client.get("/packages/npm/changed")).text

    assert "2.0.0 against 1.0.0" in text
    assert "2 import names taken away, 1 added" in text
    assert "<code>changed/old</code> <small>taken away</small>" in text
    assert "<code>changed/new</code> <small>added</small>" in text
    assert HOSTILE not in text
