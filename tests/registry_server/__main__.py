"""`python -m tests.registry_server` prints how to point the daemon here, then serves until it is told to stop.

With a command behind its options (`… --packages 100 make run`) it runs that, pointed here, and serves as long as it
runs: so no command meets a public registry because the made one was not up yet.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from tests.registry_server.generate import Shape, generate
from tests.registry_server.recorded import FIXTURES
from tests.registry_server.server import Server
from tests.registry_server.world import World


def main() -> None:
    arguments = _parser().parse_args()
    shape = Shape(
        packages=arguments.packages,
        seed=arguments.seed,
        median_versions=arguments.versions,
        requirements=arguments.requirements,
        odd_share=arguments.odd_share,
        large_share=arguments.large_share,
        ecosystems=tuple(arguments.ecosystems.split(",")),
        giant_versions=arguments.giant_versions,
    )
    if arguments.recorded is not None and not arguments.recorded.is_dir():
        raise SystemExit(f"no recorded payloads at {arguments.recorded}")
    world = World(generate(shape).packages, recorded=arguments.recorded)
    if arguments.names:
        print("\n".join(f"{package.ecosystem}:{package.registry_name}" for package in world.truth().values()))
        return
    sys.exit(asyncio.run(_serve(world, arguments)))


async def _serve(world: World, arguments: argparse.Namespace) -> int:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    server = Server(world, latency_s=arguments.latency_ms / 1000, keep_requests=False)
    try:
        await server.start(arguments.port)
        if arguments.command:
            return await _run(arguments.command, server.environment(), stopping)
        if arguments.json:
            print(json.dumps({"endpoints": server.endpoints(), "control": server.control}), flush=True)
        else:
            lines = [f"export {name}={value}" for name, value in server.environment().items()]
            print("\n".join([*lines, "# ready; counters: " + server.control + "/counters"]), flush=True)
        await stopping.wait()
        return 0
    finally:
        await server.stop()


async def _run(command: list[str], environment: dict[str, str], stopping: asyncio.Event) -> int:
    """Return its exit code. A terminal's Ctrl-C reaches it as well as us; whoever stops us alone stops it."""
    process = await asyncio.create_subprocess_exec(*command, env=os.environ | environment)

    async def stop() -> None:
        await stopping.wait()
        await asyncio.sleep(0.5)
        if process.returncode is None:
            process.terminate()

    stopper = asyncio.create_task(stop(), name="stop the command")
    code = await process.wait()
    stopper.cancel()
    return code


def _parser() -> argparse.ArgumentParser:
    defaults = Shape()
    parser = argparse.ArgumentParser(prog="python -m tests.registry_server", description=__doc__)
    parser.add_argument("--packages", type=int, default=defaults.packages, help="packages of each ecosystem")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="the same seed makes the same registries")
    parser.add_argument("--versions", type=int, default=defaults.median_versions, help="median versions of a package")
    parser.add_argument("--requirements", type=int, default=defaults.requirements, help="of a version, at most")
    parser.add_argument("--odd-share", type=float, default=defaults.odd_share, help="of packages, per odd case; 0-1")
    parser.add_argument("--large-share", type=float, default=defaults.large_share, help="wheels above 1 MB; 0-1")
    parser.add_argument("--giant-versions", type=int, default=0, help="adds a package of so many versions")
    parser.add_argument("--ecosystems", default=",".join(defaults.ecosystems), help="comma-separated")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="before every response")
    parser.add_argument("--port", type=int, default=0, help="the first of a row of ports; 0: free ones")
    parser.add_argument(
        "--recorded", type=Path, nargs="?", const=FIXTURES, help="serve recorded payloads too (of this folder)"
    )
    parser.add_argument("--names", action="store_true", help="print the names of the made packages and leave")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="run this, pointed here, instead of printing how")
    parser.add_argument("--json", action="store_true", help="one line of JSON when ready, for programs")
    return parser


if __name__ == "__main__":
    main()
