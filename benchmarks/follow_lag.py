"""This measures how long a new version takes from its registry to the graph when the feeds are followed.

`python -m benchmarks.follow_lag [--period 30] [--rounds 6] [--packages 40]`

Six made registries publish at a random moment of each period; the daemon looks at every feed once a period. A version's
time runs from the moment at which its registry shows it until the graph has it. The requests of an empty look are those
of the last period, in which nothing happens.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from benchmarks.harness import Queue, arcadedb, other_stores, print_header, print_table, work_dir
from securechain_ingest.registries import DECLARATIONS
from tests.end_to_end.daemon_process import daemon
from tests.end_to_end.graph_contents import GraphReader
from tests.registry_server import Server, Shape, serve
from tests.registry_server.life import Life

_LOOK_EVERY_S = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.follow_lag")
    parser.add_argument("--period", type=float, default=30.0, help="seconds between two looks")
    parser.add_argument("--rounds", type=int, default=6, help="times at which something is published")
    parser.add_argument("--packages", type=int, default=40, help="in each registry")
    options = parser.parse_args()
    given = f"{options.packages} packages in each registry, {options.rounds} times of publication, {options.period:g} s"
    print_header("Lag from publication to the graph", given)
    with work_dir() as folder:
        print_table(measure(folder, options.period, options.rounds, options.packages))


def measure(folder: Path, period_s: float, rounds: int, packages: int) -> list[dict[str, object]]:
    """Return one row for each ecosystem."""
    chance = random.Random(1)
    life = Life(Shape(packages=packages, seed=1, median_versions=8, odd_share=0.0, large_share=0.0))
    follow = {f"SECURECHAIN_FOLLOW__{declared.name.upper()}": str(period_s) for declared in DECLARATIONS}
    with (
        arcadedb(folder / "graph") as target,
        other_stores(folder, target) as stores,
        Queue(stores) as queue,
        serve(life.world()) as server,
    ):
        reader = GraphReader(target)
        with daemon(stores | server.environment() | follow):
            queue.submit(life.truth().values())
            queue.wait_until_settled()
            # The first look at each feed has no cursor and compares everything.
            time.sleep(period_s + 5)
            lags: dict[str, list[float]] = {declared.name: [] for declared in DECLARATIONS}
            for _ in range(rounds):
                time.sleep(chance.uniform(0, period_s))
                life.next_day()
                server.replace(life.world())
                for ecosystem, seconds in _arrivals(reader, life, period_s + 60):
                    lags[ecosystem].append(seconds)
            requests = _requests_of_an_empty_look(server, period_s)
        reader.close()
    return [
        {
            "ecosystem": name,
            "versions": len(seconds),
            "median s": median(seconds) if seconds else 0.0,
            "longest s": max(seconds, default=0.0),
            "requests of an empty look": requests[name],
        }
        for name, seconds in lags.items()
    ]


def _arrivals(reader: GraphReader, life: Life, within_s: float) -> list[tuple[str, float]]:
    """Yield the ecosystem and the seconds of each version that comes from now on; `within_s` for one that does not
    come.
    """
    published_at = time.monotonic()
    known = {row["purl"] for row in reader.rows("MATCH (p)-[:HAVE]->(:Version) RETURN DISTINCT p.purl AS purl")}
    held = {row["purl"] for row in reader.rows("MATCH (v:Version) RETURN v.purl AS purl")}
    missing = {
        version.purl: package.ecosystem
        for purl, package in life.truth().items()
        if purl in known
        for version in package.versions
        if version.purl not in held
    }
    found: list[tuple[str, float]] = []
    while missing and (elapsed_s := time.monotonic() - published_at) < within_s:
        time.sleep(_LOOK_EVERY_S)
        rows = reader.rows("MATCH (v:Version) WHERE v.purl IN $purls RETURN v.purl AS purl", purls=list(missing))
        found += [(missing.pop(row["purl"]), elapsed_s + _LOOK_EVERY_S) for row in rows if row["purl"] in missing]
    return found + [(ecosystem, within_s) for ecosystem in missing.values()]


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
