"""This tests PyPI's archives of the collected cases on which the product was wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from securechain_ingest.registries.pypi.client import PyPI
from tests.registries.asking import LIMITS

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "pypi"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the collected cases (shared/cases) are not at hand")


@pytest.mark.parametrize(
    ("filename", "names"),
    [
        ("bz2meta-1.0-py3-none-any.whl", {"bz2meta", "bz2meta.a"}),
        ("pkgdir-1.0.tar.gz", {"pkgdir", "pkgdir.extras"}),
        ("pymod-1.0.tar.gz", {"pymod", "readline_x"}),
        ("pysrc-1.0.tar.gz", {"pysrc", "pysrc.a"}),
    ],
)
def test_a_case_gives_the_names_that_python_imports(filename: str, names: set[str]) -> None:
    found = PyPI.archive_names(str(CASES / filename), filename, LIMITS)

    assert (set(found.names), found.error) == (names, None)


def test_the_folders_of_a_path_file_are_where_people_import_from() -> None:
    filename = "pthdir-1.0-py3-none-any.whl"

    assert {"winapi_x", "wincon_x"} <= set(PyPI.archive_names(str(CASES / filename), filename, LIMITS).names)
