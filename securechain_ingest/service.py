"""This module builds and connects the parts that both the daemon and the one-shot `ingest` use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import ArchiveReader
from securechain_ingest.configuration import Settings
from securechain_ingest.embedded.addresses import make_directory
from securechain_ingest.graph.batch import GraphBatcher
from securechain_ingest.http.client import HttpClient
from securechain_ingest.model import Ecosystem
from securechain_ingest.queue.breakers import Breakers, why_stopped
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.rates import EndpointTurns
from securechain_ingest.queue.room import RequiredRoom
from securechain_ingest.queue.unfinished_import import refuse_unfinished_import
from securechain_ingest.registries import DECLARATIONS, ECOSYSTEMS, PARSERS
from securechain_ingest.registries.building import build_registries
from securechain_ingest.registries.kit.kept_documents import KeptDocuments
from securechain_ingest.registries.protocol import Registry
from securechain_ingest.stores import Stores
from securechain_ingest.worker.archives import Archives
from securechain_ingest.worker.import_names_cache import ImportNamesCache
from securechain_ingest.worker.lag import LagMeter
from securechain_ingest.worker.ratings import Ratings
from securechain_ingest.worker.refused_archives import RefusedArchives
from securechain_ingest.worker.visitor import Visitor
from securechain_ingest.worker.worker import Worker

PRELOADED: Final = (
    *PARSERS,
    "securechain_ingest.archives.remote",
    "securechain_ingest.advisories.matching",
    "securechain_ingest.advisories.osv",
)
"""The parser processes of a daemon import these modules."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service has a worker and those of its parts that a reload or a status report needs."""

    worker: Worker
    http: HttpClient
    room: RequiredRoom
    registries: Mapping[str, Registry]
    """This maps graph labels to registries."""
    pool: ParserPool
    import_names: ImportNamesCache
    lags: LagMeter
    why_stopped: Callable[[Ecosystem], Awaitable[str | None]]
    """This says why an ecosystem's registry may not be asked now (`breakers.why_stopped`). The lanes obey it in any
    case; a command that goes past them has to ask. It raises StoreError."""


@asynccontextmanager
async def build_service(stores: Stores, settings: Settings, depth: Callable[[], int | None]) -> AsyncIterator[Service]:
    """Build the parts on open stores, and make sure of the graph's schema and the advisories' indexes.

    It raises StoreError, or ConfigError while the import of a snapshot into the stores is unfinished.
    """
    await refuse_unfinished_import(stores.redis, settings.queue.stream)
    spool_dir = make_directory(settings.daemon.state_dir, "spool")
    kept = KeptDocuments(make_directory(settings.daemon.state_dir, "documents"), settings.http.kept_documents_bytes)
    async with (
        HttpClient(
            settings.http,
            settings.endpoints,
            settings.rates,
            settings.connections,
            slow_down={each.key: each.slow_down for declared in DECLARATIONS for each in declared.endpoints},
            shared=lambda endpoint: EndpointTurns(stores.redis, settings.queue.stream, endpoint),
        ) as http,
        ParserPool(settings.archives, preload=PRELOADED) as pool,
        GraphBatcher(stores.graph, settings.graph) as batcher,
    ):
        keys = Keys(settings.queue.stream)
        refusals = RefusedArchives(stores.redis, keys.refused_archives, settings.archives.refused_ttl_s)
        archives = ArchiveReader(http, pool, spool_dir, settings.http.max_artifact_bytes, refusals)
        registries = build_registries(http, archives, pool, kept)
        await stores.graph.ensure_schema(ECOSYSTEMS)
        await stores.advisories.ensure_indexes()
        names = ImportNamesCache(stores.redis, settings.queue.stream, settings.packages.import_names_ttl_s)
        lags = LagMeter(
            stores.redis, settings.queue.stream, {declared.name: declared.watched for declared in DECLARATIONS}
        )
        max_versions = settings.packages.max_versions
        room = RequiredRoom(stores.redis, settings.queue)
        worker = Worker(
            registries,
            Visitor(
                batcher,
                Ratings(stores.advisories, pool),
                stores.changes,
                names,
                Archives(Breakers(stores.redis, keys)),
                max_versions=max_versions,
                written=lags.note,
            ),
            max_strikes=settings.archives.max_strikes,
            depth=depth,
            has_room=room,
        )
        try:
            yield Service(worker, http, room, registries, pool, names, lags, partial(why_stopped, stores.redis, keys))
        finally:
            await names.close()
