"""`python -m tests.demo` starts the demonstration, says what to open and what to type, and ends with Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from tests.demo.running import Demo, DemoFailed, demo
from tests.demo.world import KNOWN, names, world

_PATIENCE_S = 300.0


def main() -> int:
    arguments = _parser().parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    began = time.monotonic()
    print("The demonstration starts: a made registry, local stores, a daemon and its page.", flush=True)
    try:
        with demo(world(arguments.packages), arguments.state_dir, arguments.port) as running:
            fill(running)
            print(_what_to_do(running, time.monotonic() - began), flush=True)
            running.daemon.wait()
            print(f"The daemon has ended by itself; its log is {running.log}.", file=sys.stderr)
            return 1
    except DemoFailed as error:
        print(f"demo: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("\nAll parts have ended.", flush=True)
        return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def fill(running: Demo) -> None:
    """Put the well-known packages into the graph, and something that goes wrong among the dead letters."""
    # One command: each takes a second of a processor to start.
    _checked(running, "submit", *names(KNOWN), "npm:left-padd", "pypi:reqeusts")
    _wait(running, "package_stored", "package", len(KNOWN))
    _checked(running, "schedules", "run", "npm_packages_updates")
    _wait(running, "job_finished", "job", 1, "advisory_sync")


def _wait(running: Demo, event: str, field: str, count: int, only: str | None = None) -> None:
    """Wait until the daemon has told of `count` different values of a field."""
    give_up_at = time.monotonic() + _PATIENCE_S
    while len({told[field] for told in running.told(event) if only in (None, told[field])}) < count:
        if time.monotonic() > give_up_at:
            raise DemoFailed(f"the daemon has not told of {count} {event}; its log is {running.log}")
        time.sleep(0.1)


def _checked(running: Demo, *arguments: str) -> str:
    done = running.command(*arguments)
    if done.returncode:
        raise DemoFailed(f"{' '.join(arguments[:2])}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout


def _what_to_do(running: Demo, seconds: float) -> str:
    script = Path(sys.executable).with_name("securechain-ingest")
    here = os.path.relpath(script) if script.is_relative_to(Path.cwd()) else str(script)
    option = f"--config {running.config}"
    return f"""
Ready after {seconds:.0f} s. Open (the address has the token, with which you may also act):

    {running.address}

In another terminal, in this folder: which versions of a package are vulnerable, and where is each fixed?

    {here} submit {option} --wait pypi:jinja2
    {here} show {option} pypi:jinja2
    {here} find advisory {option} CVE-2021-44228

Ctrl-C ends everything. No public host is asked; the packages only bear the names of real ones."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--state-dir", type=Path, default=Path(".demo"), help="emptied at each start")
    parser.add_argument("--port", type=int, default=3000, help="of the page; if it is taken, a free one")
    parser.add_argument("--packages", type=int, default=12, help="made-up packages of each ecosystem besides")
    return parser


if __name__ == "__main__":
    sys.exit(main())
