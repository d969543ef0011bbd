"""This tests which of two releases is the newer one."""

from __future__ import annotations

import pytest

from securechain_ingest.registries import declaration_of
from securechain_ingest.worker.release_changes import is_newer


@pytest.mark.parametrize(
    ("ecosystem", "trial", "release"),
    [
        ("pypi", "2.0rc1", "2.0"),
        ("npm", "2.0.0-rc.1", "2.0.0"),
        ("maven", "2.0-rc-1", "2.0"),
        ("cargo", "2.0.0-rc.1", "2.0.0"),
        ("rubygems", "2.0.rc1", "2.0"),
        ("nuget", "2.0.0-rc.1", "2.0.0"),
    ],
)
def test_a_release_is_newer_than_its_pre_release_and_not_than_itself(ecosystem: str, trial: str, release: str) -> None:
    order = declaration_of(ecosystem).ecosystem
    assert is_newer(order, release, trial)
    assert not is_newer(order, trial, release)
    assert not is_newer(order, release, release)
    assert is_newer(order, trial, "1.9.0")
