"""This is a daemon's service and reader within the process of the tests, which can be ended as a kill would end
them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.configuration import load
from securechain_ingest.oneshot import find_stores
from securechain_ingest.progress import Progress
from securechain_ingest.queue.reader import Reader
from securechain_ingest.registries import ECOSYSTEMS
from securechain_ingest.service import build_service
from securechain_ingest.settings import QueueSettings
from tests.stores import AdvisoryTarget, GraphTarget


class SharedPool:
    """This stands in for the class ParserPool: parsers that outlive daemons, since to start them takes a second."""

    def __init__(self, pool: ParserPool) -> None:
        self._pool = pool

    def __call__(self, *_: Any, **__: Any) -> Self:
        return self

    async def __aenter__(self) -> ParserPool:
        return self._pool

    async def __aexit__(self, *_: object) -> None:
        pass


def store_variables(redis_url: str, graph: GraphTarget, advisories: AdvisoryTarget) -> dict[str, str]:
    """Return what leads a daemon to these stores."""
    return {
        "REDIS_URL": redis_url,
        "GRAPH_DB_URI": graph.uri,
        "GRAPH_DB_USER": graph.user,
        "GRAPH_DB_PASSWORD": graph.password,
        "VULN_DB_URI": advisories.uri,
        "SECURECHAIN_VULNERABILITIES__DATABASE": advisories.database,
    } | ({"SECURECHAIN_GRAPH__DATABASE": graph.database} if graph.database else {})


@asynccontextmanager
async def daemon_here(
    variables: Mapping[str, str], queue: QueueSettings, *, depth: int, begins: Callable[[], object] = lambda: None
) -> AsyncIterator[Reader]:
    """Run a daemon that works within the block; at its end it is cancelled, wherever it stands, and hands nothing back.

    `begins` is called when everything is open, before the first look at the queue.
    """
    configuration = load(environment=variables)
    async with find_stores(configuration) as stores, build_service(stores, configuration, lambda: depth) as service:
        reader = Reader(
            stores.redis,
            queue,
            configuration.workers,
            ECOSYSTEMS,
            service.worker.handle,
            service.worker.link_known,
            Progress(lambda: 600.0),
        )
        begins()
        running = asyncio.create_task(reader.run(), name="reader")
        try:
            yield reader
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
