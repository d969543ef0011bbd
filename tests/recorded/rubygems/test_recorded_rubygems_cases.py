"""This tests index files on which the product was wrong (shared/cases/README.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from securechain_ingest.registries.rubygems.info import parse_info
from securechain_ingest.registries.rubygems.names import identify

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "rubygems"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases (shared/cases) are not at hand")


def test_pre_releases_that_are_written_with_a_dash_are_versions_of_their_own() -> None:
    body = (CASES / "asciidoctor-reducer").read_bytes()
    found = parse_info(body, identify("asciidoctor-reducer"), "https://index.example/", "https://files.example/gems")

    assert [(version.name, version.release_date) for version in found.versions] == [
        ("1.0.0-beta.1", "2022-01-01T00:00:00Z"),
        ("1.0.0-rc.1", "2022-02-01T00:00:00Z"),
        ("1.0.0", "2022-02-23T00:00:00Z"),
    ]
    assert found.artifacts[0].filename == "asciidoctor-reducer-1.0.0.gem"
