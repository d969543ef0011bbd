"""This module is the console script, and it serves `python -m securechain_ingest`."""

import signal


def main() -> None:
    """Run the command line. A Ctrl-C while it is still being imported ends the process at once, without a traceback."""
    # Python's own handler would raise KeyboardInterrupt in the midst of an import, where nobody can catch it in order.
    # A parent that lets the signal be ignored (a shell's background job) is obeyed.
    is_listening = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_listening:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from securechain_ingest import cli

    if is_listening:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
