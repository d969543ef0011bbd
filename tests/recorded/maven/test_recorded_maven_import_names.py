"""This tests the packages of the recorded jars.

The golden lists were made without the product: `unzip -Z1` of each archive (and of the classes.jar inside the aar), the
folders of its classes, and of these by hand and eye those that lie below no other and that `import` can name.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.registries.maven.import_names import read_jar
from securechain_ingest.settings import ArchiveSettings

ARCHIVES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "maven" / "archives"
GOLDEN: dict[str, list[str]] = json.loads((Path(__file__).parents[1] / "goldens" / "maven.json").read_text())
LIMITS = ArchiveLimits.from_settings(ArchiveSettings())

pytestmark = pytest.mark.skipif(not ARCHIVES.is_dir(), reason="the recorded payloads (shared/fixtures) are not at hand")


@pytest.mark.parametrize("filename", sorted(GOLDEN))
def test_a_recorded_jar_gives_the_packages_that_were_read_from_it_by_hand(filename: str) -> None:
    with (ARCHIVES / filename).open("rb") as file:
        found = read_jar(file, LIMITS, ("the.fallback",))

    assert found.error is None
    assert list(found.names) == (GOLDEN[filename] or ["the.fallback"])


def test_every_recorded_jar_has_a_golden_list() -> None:
    assert {path.name for path in ARCHIVES.iterdir() if path.suffix != ".txt"} == set(GOLDEN)
