"""`python advisory_database.py PORT FOLDER CACHE [--auth]` runs SecantusDB on loopback until SIGTERM.

SecantusDB's own command waits for the signal in a lock, which only a signal to its first thread ends. The kernel may
give a SIGTERM to another of its threads, and then the command runs for ever. Here the first thread wakes up each second
instead, so that the signal is handled. This is run as a file, and imports nothing but SecantusDB and the standard
library, because importing our package would make each start a second longer.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from typing import NoReturn

from secantus import SecantusDBServer


def main(arguments: list[str]) -> None:
    port, folder, cache, *flags = arguments
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    server = SecantusDBServer(
        "127.0.0.1",
        int(port),
        folder,
        replica_set_name=None,
        require_auth="--auth" in flags,
        enable_test_commands=False,
        cache_size=cache,
        # Without this, the last acknowledged writes are lost if the process is killed.
        sync_on_commit=True,
    )
    signal.signal(signal.SIGTERM, _end)
    server.start()
    try:
        while True:
            time.sleep(1)
    finally:
        server.stop()


def _end(*_: object) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
