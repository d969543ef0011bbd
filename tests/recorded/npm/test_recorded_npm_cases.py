"""This tests npm's archives of the collected cases on which the product was wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from securechain_ingest.registries.npm.client import Npm
from tests.registries.asking import LIMITS

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "npm"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the collected cases (shared/cases) are not at hand")


@pytest.mark.parametrize(
    ("filename", "names"),
    [("dotslash-1.0.0.tgz", ("dotslash", "dotslash/lib/a")), ("nmtarget-1.0.0.tgz", ("nmtarget",))],
)
def test_a_case_gives_the_names_that_node_resolves(filename: str, names: tuple[str, ...]) -> None:
    found = Npm.archive_names(str(CASES / filename), filename, LIMITS)

    assert (found.names, found.error) == (names, None)
