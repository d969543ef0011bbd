"""This measures how long a new version takes from its registry to the graph when the feeds are followed.

`python -m benchmarks.follow_lag [--period 30] [--minutes 5] [--publications 20] [--packages 40] [--seed 1]`

Six made registries publish one version after the other, at moments that are spread at random over the minutes; the
daemon looks at every feed once a period, or with `--period real` as often as config.toml says that the registries can
bear. A version's time runs from the moment at which its registry shows it until the graph has it, and is exact to a
second. The requests of an empty look are those of the last period, in which nothing happens; with real periods they are
not counted.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.harness import Queue, arcadedb, other_stores, print_header, print_table, work_dir
from securechain_ingest.registries import DECLARATIONS
from tests.end_to_end.daemon_process import daemon
from tests.end_to_end.graph_contents import PlainCypher
from tests.forked_product import SCRIPT
from tests.registry_server import Server, Shape, serve
from tests.registry_server.life import Life

_LOOK_EVERY_S: Final = 1.0

_GRACE_S: Final = 60.0
"""The goal is a median of at most the period and this."""

_REAL: Final = {"pypi": 1800.0, "npm": 300.0, "maven": 3600.0, "cargo": 600.0, "rubygems": 300.0, "nuget": 300.0}
"""The registries can bear these. PyPI's feed of newest releases is then read every five minutes."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.follow_lag")
    parser.add_argument("--period", default="30", help="seconds between two looks, or `real`")
    parser.add_argument("--minutes", type=float, default=5.0, help="as long something is published now and then")
    parser.add_argument("--publications", type=int, default=20, help="versions that each registry publishes meanwhile")
    parser.add_argument("--packages", type=int, default=40, help="in each registry")
    parser.add_argument("--seed", type=int, default=1, help="of the registries and of the moments")
    options = parser.parse_args()
    is_real = options.period == "real"
    periods = _REAL if is_real else {declared.name: float(options.period) for declared in DECLARATIONS}
    print_header(
        "Lag from publication to the graph",
        f"{options.packages} packages in each registry, {options.publications} publications in {options.minutes:g}"
        f" minutes, seed {options.seed}",
    )
    with work_dir() as folder:
        life = Life(
            Shape(packages=options.packages, seed=options.seed, median_versions=8, odd_share=0.0, large_share=0.0)
        )
        print_table(
            measure(
                folder, life, periods, moments(options.seed, options.publications, options.minutes), counts=not is_real
            )
        )


def moments(seed: int, publications: int, minutes: float) -> list[tuple[float, str]]:
    """Return when each ecosystem publishes, in seconds from the beginning, in order."""
    chance = random.Random(f"moments {seed}")
    return sorted(
        (chance.uniform(0, minutes * 60), declared.name) for declared in DECLARATIONS for _ in range(publications)
    )


def measure(
    folder: Path, life: Life, periods: Mapping[str, float], due: list[tuple[float, str]], *, counts: bool
) -> list[dict[str, object]]:
    """Return one row for each ecosystem."""
    follow = {f"SECURECHAIN_FOLLOW__{name.upper()}": str(seconds) for name, seconds in periods.items()}
    with (
        arcadedb(folder / "graph") as target,
        other_stores(folder, target) as stores,
        Queue(stores) as queue,
        serve(life.world()) as server,
    ):
        reader = PlainCypher(target)
        with daemon(stores | server.environment() | follow, command=(SCRIPT,)):
            queue.submit(life.truth().values())
            queue.wait_until_settled()
            # The first look at each feed has no cursor and compares everything.
            time.sleep(min(*periods.values(), 30.0) + 5)
            lags = _Watch(reader, server, life, periods).run(due)
            requests = _requests_of_an_empty_look(server, max(periods.values())) if counts else {}
        reader.close()
    return [
        {
            "ecosystem": name,
            "period s": periods[name],
            "versions": len(seconds),
            "median s": median(seconds) if seconds else None,
            "longest s": max(seconds, default=None),
            "requests of an empty look": requests.get(name),
        }
        for name, seconds in lags.items()
    ]


@dataclass(frozen=True, slots=True)
class _Watch:
    """This publishes what is due and looks for it in the graph."""

    reader: PlainCypher
    server: Server
    life: Life
    periods: Mapping[str, float]

    def run(self, due: list[tuple[float, str]]) -> dict[str, list[float]]:
        """Return the seconds of each version by ecosystem. One that does not come counts twice the period and the
        grace."""
        lags: dict[str, list[float]] = {name: [] for name in self.periods}
        waiting: dict[str, tuple[str, float]] = {}
        began_at, left = time.monotonic(), list(due)
        while left or waiting:
            while left and left[0][0] <= time.monotonic() - began_at:
                _, ecosystem = left.pop(0)
                if (purl := self.life.publish(ecosystem)) is not None:
                    self.server.replace(self.life.world())
                    waiting[purl] = ecosystem, time.monotonic()
            rows = self.reader.rows("MATCH (v:Version) WHERE v.purl IN $purls RETURN v.purl AS purl", purls=[*waiting])
            found, now = {row["purl"] for row in rows}, time.monotonic()
            for purl, (ecosystem, since) in list(waiting.items()):
                if purl in found or now - since > 2 * (self.periods[ecosystem] + _GRACE_S):
                    lags[ecosystem].append(now - since)
                    del waiting[purl]
            time.sleep(_LOOK_EVERY_S)
        return lags


def _requests_of_an_empty_look(server: Server, period_s: float) -> Mapping[str, int]:
    time.sleep(period_s)
    before = server.counters()["requests"]
    time.sleep(period_s)
    after = server.counters()["requests"]
    return {
        declared.name: sum(after.get(each.key, 0) - before.get(each.key, 0) for each in declared.endpoints)
        for declared in DECLARATIONS
    }


if __name__ == "__main__":
    main()
