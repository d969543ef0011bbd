"""This module is the console script, and it serves `python -m securechain_ingest`."""

import signal
import sys
from typing import Final

_NOT_NEEDED: Final = ("numpy", "pandas", "pyarrow")
"""The driver of Neo4j imports these wherever they are installed, for values of their types. There are none here, and
numpy alone, which comes with the local server of advisories, takes a third of the driver's time and 12 MB."""


def main() -> None:
    """Run the command line. Until a command's event loop runs, a Ctrl-C ends the process at once, without a
    traceback."""
    # Python's own handler would raise KeyboardInterrupt in the midst of an import, where nobody can catch it in order.
    # Commands import much of what they need only when they are called, so `run_async` brings it back.
    # A parent that lets the signal be ignored (a shell's background job) is obeyed.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    leave_out_what_is_not_needed()
    from securechain_ingest import cli

    cli.main()


def leave_out_what_is_not_needed() -> None:
    """Keep the drivers from importing libraries that no value here needs."""
    for library in _NOT_NEEDED:
        sys.modules[library] = None  # type: ignore[assignment]  # With None in its place it counts as not installed.


if __name__ == "__main__":
    main()
