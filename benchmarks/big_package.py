"""A package of 10,000 versions with 50,000 requirements through the whole daemon: time and peak memory.

`python -m benchmarks.big_package [--versions 10000]`
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.harness import (
    Queue,
    arcadedb,
    most_resident_mb,
    neo4j,
    other_stores,
    print_header,
    print_table,
    seconds,
    work_dir,
)
from tests.end_to_end.daemon_process import daemon
from tests.registry_server import ExpectedPackage, Shape, Spawned, generate, spawn
from tests.stores import GraphTarget

Launch = Callable[[Path], AbstractContextManager[GraphTarget]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.big_package")
    parser.add_argument("--versions", type=int, default=10_000)
    options = parser.parse_args()
    print_header(
        "One big package",
        f"npm, {options.versions:,} versions with five requirements each; `again`: a refresh that changes nothing",
    )
    shape = Shape(packages=6, seed=1, ecosystems=("npm",), giant_versions=options.versions)
    giant = generate(shape).truth()["pkg:npm/giant"]
    arguments = ("--packages", "6", "--seed", "1", "--ecosystems", "npm", "--giant-versions", str(options.versions))
    with spawn(*arguments) as registry, work_dir() as folder:
        print_table([_measured(launch, folder / launch.__name__, registry, giant) for launch in (neo4j, arcadedb)])


def _measured(launch: Launch, folder: Path, registry: Spawned, giant: ExpectedPackage) -> dict[str, object]:
    with (
        launch(folder / "graph") as graph,
        other_stores(folder, graph) as environment,
        Queue(environment) as queue,
        daemon(environment | registry.environment()) as process,
    ):
        idle_mb = most_resident_mb(process.process.pid)
        queue.submit([giant])
        first_s = seconds(queue.wait_until_settled)
        peak_mb = most_resident_mb(process.process.pid)
        queue.submit([giant], refresh=True)
        again_s = seconds(queue.wait_until_settled)
        [stored, *_] = process.events("package_stored")
        assert stored["versions"] == len(giant.versions)
        return {
            "graph": graph.kind,
            "first s": first_s,
            "again s": again_s,
            "idle MB": idle_mb,
            "peak MB": peak_mb,
        }


if __name__ == "__main__":
    main()
