"""This checks the order of versions by cases that were picked by hand, one a line, such as `1.0 < 1.1`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any


def assert_order(version_key: Callable[[str], Any], cases: Path, *, more_than: int) -> None:
    """Check each case of the file, of which there must be more than so many."""
    found = re.findall(r"^(\S+) ([<=>]) (\S+)$", cases.read_text(), re.MULTILINE)
    assert len(found) > more_than
    for one, relation, other in found:
        keys = version_key(one), version_key(other)
        holds = {"<": keys[0] < keys[1], "=": keys[0] == keys[1], ">": keys[0] > keys[1]}[relation]
        assert holds, (one, relation, other)
