"""The process that parses: `python -m securechain_ingest.archives.child FD MEMORY_BYTES [MODULE...]`.

It reads pickled (parse, args) from the socket FD, writes back pickled (succeeded, value or exception), and ends when
the other side of the socket does.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import pickle
import resource
import signal
import socket
import sys
from collections.abc import Callable

from securechain_ingest.archives.sparse import MissingBytes
from securechain_ingest.errors import ArchiveRefused, IngestError

_PR_SET_PDEATHSIG = 1
# The event loop comes first where processors are scarce.
_NICENESS = 10


def main(arguments: list[str]) -> None:
    descriptor, memory_bytes, *modules = arguments
    # A busy child would see the end of its socket only when it is done: the kernel kills it with the daemon.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Draining goes on after the terminal's or the service manager's signal to the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(_NICENESS)
    for module in modules:
        importlib.import_module(module)
    resource.setrlimit(resource.RLIMIT_AS, (int(memory_bytes), int(memory_bytes)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with socket.socket(fileno=int(descriptor)) as channel, channel.makefile("rb") as requests:
        while requests.peek(1):
            parse, args = pickle.load(requests)  # noqa: S301  # from our own parent
            channel.sendall(answer(parse, args))


def answer(parse: Callable[..., object], args: tuple[object, ...]) -> bytes:
    """The pickled outcome of a call; always one that the daemon can load."""
    try:
        return pickle.dumps((True, parse(*args)), pickle.HIGHEST_PROTOCOL)
    except (IngestError, MissingBytes, ValueError) as error:
        return pickled_error(error)
    except MemoryError:
        return pickled_error(ArchiveRefused("parsing it takes more memory than allowed", reason="memory"))
    except Exception as error:  # noqa: BLE001  # whatever hostile input provokes is that input's result
        return pickled_error(unexpected(error))


def unexpected(error: Exception) -> ArchiveRefused:
    return ArchiveRefused(f"the parser failed: {type(error).__name__}: {error}"[:500], reason="parser_error")


def pickled_error(error: Exception) -> bytes:
    try:
        pickled = pickle.dumps((False, error), pickle.HIGHEST_PROTOCOL)
        pickle.loads(pickled)  # noqa: S301  # our own, a line ago
    except Exception:  # noqa: BLE001  # an exception of foreign make may not survive the journey
        return pickle.dumps((False, unexpected(error)), pickle.HIGHEST_PROTOCOL)
    return pickled


if __name__ == "__main__":
    main(sys.argv[1:])
