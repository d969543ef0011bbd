"""This tests which version a file belongs to where only the list of a project's files tells."""

from __future__ import annotations

import pytest

from securechain_ingest.registries.pypi.documents import File, SimplePage, releases_of


def file(filename: str) -> File:
    return File(filename, "", None, None, yanked=False, requires_python=None, has_metadata=False)


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("own-1.0-1.tar.gz", "1.0.post1"),
        ("own-0.1-dev-20.tar.gz", "0.1.dev20"),
        ("own-1.0-beta-1.zip", "1.0b1"),
        ("own-2-2.0.tar.gz", "2.0"),
        ("own-2-1.tar.gz", "1"),
        ("own-1.0-r-x.tar.gz", "1.0-r-x"),
    ],
)
def test_a_file_belongs_to_a_listed_version_however_its_name_spells_it(filename: str, version: str) -> None:
    """Nothing becomes a version of its own: 20 would be the newest of all."""
    files = (file(filename),)

    assert releases_of(SimplePage((version,), files)) == {version: files}


def test_a_file_of_no_listed_version_tells_its_own() -> None:
    assert set(releases_of(SimplePage(("1.0",), (file("own-2.0.tar.gz"), file("own-x-3.0-py3-none-any.whl"))))) == {
        "1.0",
        "2.0",
    }
