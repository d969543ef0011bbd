"""`python advisory_database.py PORT FOLDER CACHE [--auth]`: SecantusDB on loopback, until SIGTERM.

Its own command waits for the signal in a lock, which only a signal to its first thread ends; given to another of its
threads, as the kernel may, a SIGTERM leaves it running for good. Here the first thread looks around each second. Run as
a file and with nothing but SecantusDB, since importing the package would cost each start a second.
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
        # Without it the last acknowledged writes die with the process.
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
