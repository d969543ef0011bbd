"""This tests RubyGems' list of all gems as the reference server wrote it, step by step, and as old gems stand in it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from securechain_ingest.errors import Malformed
from securechain_ingest.registries.feed import Change, unpack
from securechain_ingest.registries.rubygems.gem_list import parse_listing, parse_tail

FIXTURES = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "rubygems"
STEPS = FIXTURES / "changes" / "compact-index"
A_NOW = "734e7e961e968314d1b7c43d1bb332ea"
B_NOW = "86c02d3a3f4c31e6f47cec95dbb2109f"

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the recorded payloads (shared/fixtures) are not at hand")


def listed(file: Path) -> list[tuple[str, str | None]]:
    found = [entry for page in parse_listing(file, "/versions") for entry in unpack(page.packed)]
    return [(entry.name, entry.revision) for entry in found]


def test_a_gem_that_was_pushed_is_listed_until_its_only_version_is_yanked() -> None:
    assert listed(STEPS / "02_first_push.versions") == [("a", "3180abba623fbea41f7d85bc378cc11e")]
    assert listed(STEPS / "03_yank_only_gem.versions") == []


def test_the_lines_since_the_first_push_tell_of_the_yank() -> None:
    before = (STEPS / "02_first_push.versions").stat().st_size
    changes = parse_tail(STEPS / "03_yank_only_gem.versions", before, "/versions")
    assert changes == (Change("a", "6105347ebb9825ac754615ca55ff3b0c", True),)


def test_many_lines_of_a_gem_are_one_change_with_the_digest_of_its_file() -> None:
    before = (STEPS / "03_yank_only_gem.versions").stat().st_size
    changes = parse_tail(STEPS / "05_third_push.versions", before, "/versions")
    assert changes == (Change("a", A_NOW, False), Change("b", B_NOW, False))
    assert hashlib.md5((STEPS / "05_third_push.info-a").read_bytes()).hexdigest() == A_NOW


def test_a_list_that_was_rebuilt_names_the_same_gems_in_the_same_state() -> None:
    rebuilt = listed(STEPS / "06_rebuild_versions_list.versions")
    assert rebuilt == listed(STEPS / "05_third_push.versions") == [("a", A_NOW), ("b", B_NOW)]


def test_old_gems_and_a_list_without_any() -> None:
    assert listed(FIXTURES / "enumeration" / "versions.list") == [
        ("old_gem_one", "e63fe62df0f1f459d2f70986f79745c6"),
        ("old_gem_two", "c54e4b7e14861a5d8c225283b75075f4"),
    ]
    assert listed(FIXTURES / "enumeration" / "versions_v2.list") == []


def test_another_document_is_no_list() -> None:
    with pytest.raises(Malformed):
        listed(FIXTURES / "enumeration" / "db-dumps.xml")
