"""The list of upstream's defects names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

from securechain_ingest.settings import QueueSettings

TESTS = Path(__file__).resolve().parents[1]


def test_each_test_of_the_list_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", Path(__file__).with_name("README.md").read_text()))
    defined = {name for file in TESTS.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert named
    assert named <= defined


def test_the_default_stream_is_the_one_that_depex_writes() -> None:
    queue = QueueSettings()
    assert (queue.stream, queue.group) == ("package-extraction", "extractors")
