"""This tests crates on which the product was wrong (shared/cases/README.md), and the names that rustdoc gives for
them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from securechain_ingest.registries.cargo.import_names import read_crate
from tests.registries.asking import LIMITS

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "cargo"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases (shared/cases) are not at hand")


@pytest.mark.parametrize(
    ("filename", "names"),
    [
        ("bigmac-0.1.0.crate", ["bigmac", *sorted(f"bigmac::Kw{number}" for number in range(70))]),
        (
            "incl_one-0.1.0.crate",
            [
                *("incl_one", "incl_one::FromIn", "incl_one::FromManifestDir", "incl_one::shared"),
                *("incl_one::shared::sh", "incl_one::two", "incl_one::two::FromConcat"),
            ],
        ),
        ("lowcase-1.0.0.crate", ["lowcase", "lowcase::f"]),
        ("wasmx-1.0.0.crate", ["wasmx", "wasmx::Array", "wasmx::free_function"]),
    ],
)
def test_a_crate_of_a_report_has_all_its_names(filename: str, names: list[str]) -> None:
    with (CASES / filename).open("rb") as file:
        found = read_crate(file, LIMITS)

    assert (list(found.names), found.error) == (names, None)
