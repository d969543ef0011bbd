"""This measures how long somebody waits for a package while very many others wait to be done by the clock.

`python -m benchmarks.overtaking [--waiting 100000] [--in-one-line 2000] [--asked 20]`

Made npm packages, 20 ms a response, no rate limits, the embedded graph server. The old way is one line for all: the
package waits behind `--in-one-line` others in the same stream. It is taken up when its registry gets the first request.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from itertools import cycle, islice

import redis

from benchmarks.harness import STREAM, arcadedb, other_stores, print_header, print_table, work_dir
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import Lane
from tests.end_to_end.daemon_process import DaemonProcess, daemon
from tests.forked_product import SCRIPT
from tests.registry_server import Server, Shape, World, generate, npm, serve
from tests.waiting import block_until

LATENCY_S = 0.02
LANE = Keys(STREAM).lane("npm", Lane.LISTED)
SHAPE = Shape(packages=300, seed=1, median_versions=5, odd_share=0.0, ecosystems=("npm",))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overtaking")
    parser.add_argument("--waiting", type=int, default=100_000, help="bulk messages")
    parser.add_argument("--in-one-line", type=int, default=2_000, help="messages before the one of the old way")
    parser.add_argument("--asked", type=int, default=20, help="packages that somebody waits for")
    options = parser.parse_args()
    print_header("Overtaking", f"{options.asked} packages asked for, one after the other, 20 ms a response")
    print_table(
        [
            measure("one line for all", STREAM, options.in_one_line, 1),
            measure("on demand first", LANE, options.in_one_line, options.asked),
            measure("on demand first", LANE, options.waiting, options.asked),
        ]
    )


def measure(way: str, stream: str, waiting: int, asked: int, *, paused: int = 0) -> dict[str, object]:
    """Return a row: medians over `asked` packages that come while `waiting` messages of `stream` are worked off.

    `paused`: so many messages of Maven wait for the end of its pause meanwhile.
    """
    others = generate(SHAPE).packages
    wanted = [npm.Package(f"wanted-{number}", (npm.Version("1.0.0"),)) for number in range(asked)]
    with (
        work_dir() as folder,
        serve(World((*wanted, *others)), latency_s=LATENCY_S) as server,
        arcadedb(folder / "graph") as graph,
        other_stores(folder, graph) as stores,
        redis.Redis.from_url(stores["REDIS_URL"]) as queue,
    ):
        fill(queue, stream, [package.truth().registry_name for package in others], waiting)
        if paused:
            queue.hset(Keys(STREAM).pauses, "maven", "for the benchmark")
            fill(queue, Keys(STREAM).lane("maven", Lane.LISTED), ["org.made:paused"], paused)
        no_limits = {
            "SECURECHAIN_RATES__NPM_REGISTRY": "unlimited",
            "SECURECHAIN_QUEUE__LANE_MAX_LENGTH": str(max(waiting, 100_000)),
        }
        with daemon(stores | server.environment() | no_limits, command=(SCRIPT,)) as process:
            block_until(lambda: len(server.requests) >= 100, "bulk work under way")
            times = [ask(queue, server, process, package.name) for package in wanted]
            left = queue.xlen(stream)
    return {
        "way": way,
        "waiting": waiting,
        "taken up after s": statistics.median(taken_up for taken_up, _ in times),
        "at most s": max(taken_up for taken_up, _ in times),
        "stored after s": statistics.median(stored for _, stored in times),
        "still waiting then": left,
    }


def fill(queue: redis.Redis, stream: str, names: list[str], count: int) -> None:
    node_type = "MavenPackage" if ":maven:" in stream else "NPMPackage"
    with queue.pipeline(transaction=False) as pipeline:
        for number, name in enumerate(islice(cycle(names), count), start=1):
            message = {"node_type": node_type, "package": name, "refresh": True}
            pipeline.xadd(stream, {"data": json.dumps(message)})
            if number % 10_000 == 0:
                pipeline.execute()
        pipeline.execute()


def ask(queue: redis.Redis, server: Server, process: DaemonProcess, name: str) -> tuple[float, float]:
    """Return seconds until the registry was asked for the package, and until it was stored."""
    purl = f"pkg:npm/{name}"
    began_at = time.perf_counter()
    queue.xadd(STREAM, {"data": json.dumps({"node_type": "NPMPackage", "package": name})})
    block_until(
        lambda: any(request.target == f"/{name}" for request in server.requests[-200:]), f"a request for {name}", 600
    )
    taken_up = time.perf_counter() - began_at
    block_until(
        lambda: any(event["package"] == purl for event in process.events("package_stored")), f"{name} stored", 600
    )
    return taken_up, time.perf_counter() - began_at


if __name__ == "__main__":
    main()
