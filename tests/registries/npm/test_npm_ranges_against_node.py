"""Our reading of ranges is that of node-semver itself, where npm is installed: over many odd strings."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from securechain_ingest.registries.kit.semver import version_key
from securechain_ingest.registries.npm.constraints import constraints
from securechain_ingest.registries.npm.ranges import normal_text, read_alternative
from tests.waiting import PATIENCE_S

_NPM = shutil.which("npm")
_NODE_SEMVER = Path(_NPM or "").resolve().parents[1] / "node_modules" / "semver" if _NPM else Path("nowhere")

pytestmark = pytest.mark.skipif(not _NODE_SEMVER.is_dir(), reason="npm, which carries node-semver, is not installed")

_VERSIONS = [f"{a}.{b}.{c}" for a in range(4) for b in range(4) for c in range(4)] + ["10.0.0", "0.12.0", "0.0.12"]
_PIECES = (
    *"123xX*^~><=-vVb,;'... \t\ufeff",
    *("00", "01", "~>", ">=", "<=", "==", "||", " || ", " - ", "  ", "+b", "-a", "-1", "-a.01", "latest", "&&"),
    *("1.2.3", "1.2", "0.0.1", "1.x", "9" * 20, "9007199254740991", "9007199254740992"),
)
_SCRIPT = """
const {Range} = require(process.argv[1]);
const {ranges, versions} = JSON.parse(require('fs').readFileSync(0, 'utf8'));
console.log(JSON.stringify(ranges.map(text => {
  try { const range = new Range(text, true); return versions.filter(version => range.test(version)); }
  catch { return null; }
})));
"""


def odd_ranges(count: int) -> list[str]:
    choose = random.Random(11)
    return ["".join(choose.choices(_PIECES, k=choose.randint(1, 9))) for _ in range(count)]


def node_reads(ranges: list[str]) -> list[list[str] | None]:
    asked = json.dumps({"ranges": ranges, "versions": _VERSIONS})
    command = ["node", "-e", _SCRIPT, str(_NODE_SEMVER)]
    answer = subprocess.run(command, input=asked, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    return json.loads(answer.stdout)  # type: ignore[no-any-return]


def we_read(text: str) -> list[str] | None:
    try:
        alternatives = [read_alternative(part.strip(" ")) for part in normal_text(text).split("||")]
    except ValueError:
        return None
    read = [alternative for alternative in alternatives if alternative is not None]
    return (
        [version for version in _VERSIONS if any(each.holds(version_key(version)) for each in read)] if read else None
    )


def test_an_odd_range_admits_what_node_semver_admits_or_is_none_there_either() -> None:
    greatest = "9007199254740991"
    ranges = [
        *odd_ranges(4000),
        f"~{greatest}.0.0",
        f"~{greatest}",
        f"~0.{greatest}.1",
        f"~0.1.{greatest}",
        f"^{greatest}.0.0",
    ]
    theirs = node_reads(ranges)

    assert sum(reading is not None for reading in theirs) > 900
    assert [(text, we_read(text)) for text in ranges] == list(zip(ranges, theirs, strict=True))
    # A tag is written to the blank.
    assert all(constraints(text) == text for text, reading in zip(ranges, theirs, strict=True) if reading is None)
