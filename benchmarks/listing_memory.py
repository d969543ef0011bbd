"""This measures how much memory a daemon needs to list a whole registry; the second half of `benchmarks.first_load`."""

from __future__ import annotations

import subprocess

from benchmarks.harness import arcadedb, most_resident_mb, other_stores, work_dir
from benchmarks.simulated_day import past
from tests.end_to_end.daemon_process import daemon, without_settings
from tests.forked_product import SCRIPT
from tests.registry_server import World, serve
from tests.waiting import block_until

JOB = "npm_package_ingestion"
HOUR_S = 3600.0


def memory(names: int) -> dict[str, object]:
    """Return the most resident memory of a daemon, in MB, that has compared so many listed names with the graph and
    queued them. Its ecosystem is paused meanwhile.
    """
    with (
        serve(World(histories={"npm": past("npm", names)}), keep_requests=False) as server,
        work_dir() as folder,
        arcadedb(folder / "graph") as graph,
        other_stores(folder, graph) as stores,
    ):
        room = {"SECURECHAIN_QUEUE__LANE_MAX_LENGTH": "10000000"}
        environment = {**stores, **server.environment(), **room}

        def command(*words: str) -> None:
            subprocess.run([SCRIPT, *words], env=without_settings() | environment, check=True, capture_output=True)

        command("pause", "npm")
        with daemon(environment, command=(SCRIPT,)) as process:
            at_first = most_resident_mb(process.process.pid)
            command("schedules", "run", JOB)
            [ended] = block_until(lambda: process.events("job_finished"), "the end of the listing", HOUR_S)
            assert ended["queued"] == names
            return {
                "names": names,
                "pages": -(-names // 10_000),
                "MB before": at_first,
                "most MB": most_resident_mb(process.process.pid),
            }
