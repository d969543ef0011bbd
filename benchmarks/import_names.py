"""This compares import names with what recorded archives hold, and measures how fast archives are parsed and how long
each ecosystem's code is.

`python -m benchmarks.import_names`. It needs the recorded archives beside the checkout (../shared/fixtures). The right
names are those of tests/recorded/goldens, written by reading the archives. Recall and wrong are means over archives:
the share of the right names that is found, and the share of the found names that is not right.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import mean

from benchmarks.harness import print_header, print_table
from securechain_ingest.registries.building import REGISTRIES
from securechain_ingest.registries.protocol import RegistryClass
from tests.registries.asking import LIMITS

CHECKOUT = Path(__file__).resolve().parents[1]
FIXTURES = CHECKOUT.parent / "shared" / "fixtures"
GOLDENS = CHECKOUT / "tests" / "recorded" / "goldens"
FOLDERS = {"cargo": "crates"}
"""This says where the fixtures' folder has another name than the ecosystem."""


def main() -> None:
    if not FIXTURES.is_dir():
        sys.exit("the recorded archives (../shared/fixtures) are not beside this checkout")
    print_header("Import names", "recorded archives against the goldens; parsed in this process, one after the other")
    print_table([measured(registry) for registry in REGISTRIES])


def measured(registry: RegistryClass) -> dict[str, object]:
    """Return one row about an ecosystem."""
    name = registry.ecosystem.name
    golden: dict[str, list[str]] = json.loads((GOLDENS / f"{name}.json").read_text())
    folder = FIXTURES / FOLDERS.get(name, name) / "archives"
    recalls, wrongs, size_bytes, elapsed_s = [], [], 0, 0.0
    for filename, right in golden.items():
        path = folder / filename
        started_at = time.perf_counter()
        found = set(registry.archive_names(str(path), filename, LIMITS).names)
        elapsed_s += time.perf_counter() - started_at
        size_bytes += path.stat().st_size
        recalls.append(len(found & set(right)) / len(right) if right else 1.0)
        wrongs.append(len(found - set(right)) / len(found) if found else 0.0)
    code = CHECKOUT / "securechain_ingest" / "registries" / name
    lines = sum(len(file.read_text().splitlines()) for file in code.glob("*.py"))
    return {
        "ecosystem": name,
        "archives": len(golden),
        "recall %": 100 * mean(recalls),
        "wrong %": 100 * mean(wrongs),
        "archives/s": len(golden) / elapsed_s,
        "MB/s": size_bytes / 1e6 / elapsed_s,
        "lines of code": lines,
    }


if __name__ == "__main__":
    main()
