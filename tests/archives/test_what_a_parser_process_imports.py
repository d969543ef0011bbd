"""A daemon has several parser processes. Each of them starts sooner and takes less memory without what only the daemon
needs."""

from __future__ import annotations

import subprocess
import sys

from securechain_ingest.service import PRELOADED

ONLY_FOR_THE_DAEMON = {"httpx", "neo4j", "prometheus_client", "pydantic", "pymongo", "redis", "starlette", "structlog"}


def test_a_parser_process_imports_nothing_that_opens_a_connection() -> None:
    program = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    command = [sys.executable, "-c", program, "securechain_ingest.archives.child", *PRELOADED]
    imported = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert imported >= set(PRELOADED)
    assert not imported & ONLY_FOR_THE_DAEMON
