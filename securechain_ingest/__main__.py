"""This module is the console script, and it serves `python -m securechain_ingest`."""

import signal
import sys
from typing import Final

_NOT_NEEDED: Final = ("numpy", "pandas", "pyarrow")
"""The driver of Neo4j imports these wherever they are installed, for values of their types. There are none here, and
numpy alone, which comes with the local server of advisories, takes a third of the driver's time and 12 MB."""


def main() -> None:
    """Run the command line. A Ctrl-C while it is still being imported ends the process at once, without a traceback."""
    # Python's own handler would raise KeyboardInterrupt in the midst of an import, where nobody can catch it in order.
    # A parent that lets the signal be ignored (a shell's background job) is obeyed.
    is_listening = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_listening:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    for library in _NOT_NEEDED:
        sys.modules[library] = None  # type: ignore[assignment]  # With None in its place it counts as not installed.
    from securechain_ingest import cli

    if is_listening:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
