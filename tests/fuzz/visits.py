"""This keeps all that an ecosystem's registry answers to a visit, so that the visit can be made again without it,
spoiled.

Whatever a registered client or feed asks for is kept, and whatever it gives to a parser is noted: a new ecosystem and a
new reader are fuzzed without a word about them here.
"""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import BinaryIO, ClassVar, TypeVar

import anyio

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import ArchiveReader
from securechain_ingest.ecosystem_settings import ConnectionSettings, EndpointSettings, RateSettings
from securechain_ingest.errors import IngestError, NotFound
from securechain_ingest.http.client import HttpClient, Range, Response
from securechain_ingest.model import Package
from securechain_ingest.registries import declaration_of
from securechain_ingest.registries.feed import Feed, HintingFeed, unpack
from securechain_ingest.registries.kit.kept_documents import KeptDocuments
from securechain_ingest.registries.protocol import Registry
from securechain_ingest.settings import ArchiveSettings, HttpSettings
from tests.fuzz.mutations import mutated
from tests.registry_server import Server, Shape, generate, serve
from tests.registry_server.history import What, history_of
from tests.registry_server.world import World

T = TypeVar("T")

MAX_BYTES = 10_000_000


class InlinePool(ParserPool):
    """This parses here; an exception that a parser did not mean to raise leaves it as it is."""

    async def run(self, parse: Callable[..., T], *args: object, timeout_s: float | None = None) -> T:
        del timeout_s
        return self._parse(parse, args)

    async def parse_document(
        self, parse: Callable[..., T], body: bytes, *args: object, timeout_s: float | None = None
    ) -> T:
        del timeout_s
        return self._parse(parse, (body, *args))

    @staticmethod
    def _parse(parse: Callable[..., T], args: tuple[object, ...]) -> T:
        with warnings.catch_warnings():
            # Of the compiler, about foreign code; the daemon shows none.
            warnings.simplefilter("ignore")
            return parse(*args)


@dataclass
class Visit:
    """This is what an ecosystem's registry has answered, and who has read it."""

    FEED: ClassVar[str] = "the feed"

    word: str
    endpoints: EndpointSettings
    names: tuple[str, ...] = ()
    """These are the names of its packages."""
    cursor: str = ""
    """This is the cursor of its feed, before the newest changes."""
    answers: dict[str, Response] = field(default_factory=dict)
    """These are the answers by URL and Accept, to the first asking."""
    files: dict[str, bytes] = field(default_factory=dict)
    """These are artifacts by their URLs."""
    places: dict[str, list[str]] = field(default_factory=dict)
    """These are the keys of what was asked for: by the name of the package, and of FEED."""
    called: set[str] = field(default_factory=set)
    """These are the registries' functions that have run."""


def _client_settings(
    endpoints: EndpointSettings,
) -> tuple[HttpSettings, EndpointSettings, RateSettings, ConnectionSettings]:
    unlimited = dict.fromkeys(RateSettings.model_fields, "unlimited")
    rates, connections = RateSettings.model_validate(unlimited), ConnectionSettings.model_validate(unlimited)
    return HttpSettings(retries=0), endpoints, rates, connections


class _Keeping(HttpClient):
    """This keeps what it is answered."""

    def __init__(self, visit: Visit, *, knows_ranges: bool = True) -> None:
        super().__init__(*_client_settings(visit.endpoints))
        self._visit = visit
        self._whole: set[str] = set()
        self._knows_ranges = knows_ranges
        self.subject = Visit.FEED

    async def get(
        self, url: str, *, accept: str | None = None, validator: str | None = None, limit_bytes: int | None = None
    ) -> Response:
        response = await super().get(url, accept=accept, limit_bytes=limit_bytes)
        self._visit.answers[f"{url} {accept}"] = response
        self._note(f"{url} {accept}")
        return response

    async def get_range(self, url: str, first: int, last: int) -> Range | None:
        if url not in self._whole:
            await self._keep(url)
        return await super().get_range(url, first, last) if self._knows_ranges else None

    async def download(self, url: str, file: BinaryIO, *, limit_bytes: int | None = None) -> int:
        await self._keep(url)
        return await super().download(url, file, limit_bytes=limit_bytes)

    async def _keep(self, url: str) -> None:
        self._whole.add(url)
        whole = io.BytesIO()
        await super().download(url, whole, limit_bytes=MAX_BYTES)
        self._visit.files[url] = whole.getvalue()
        self._note(url)

    def _note(self, place: str) -> None:
        places = self._visit.places.setdefault(self.subject, [])
        if place not in places:
            places.append(place)


class Spoiling(HttpClient):
    """This answers what was kept, but at one place something mutated; what it does not have is not found."""

    def __init__(self, visit: Visit, place: str, seeds: Sequence[int], *, knows_ranges: bool = True) -> None:
        # Without the base class's: connections that nobody uses would take most of the time.
        self._bases = visit.endpoints.model_dump()
        self._endpoints = {}
        self._visit = visit
        self._spoiled = place
        self._seeds = seeds
        self._knows_ranges = knows_ranges

    async def get(
        self, url: str, *, accept: str | None = None, validator: str | None = None, limit_bytes: int | None = None
    ) -> Response:
        key = f"{url} {accept}"
        if (kept := self._visit.answers.get(key)) is None:
            raise NotFound(f"{url} does not exist", url=url)
        if key != self._spoiled:
            return kept
        return Response(mutated(kept.body, self._seeds), kept.validator, False, kept.headers, kept.url)

    async def get_range(self, url: str, first: int, last: int) -> Range | None:
        data = self._file(url)
        if not self._knows_ranges:
            return None
        headers: Mapping[str, str] = {}
        return Range(data[first : last + 1], first, len(data), headers) if first < len(data) else None

    async def download(self, url: str, file: BinaryIO, *, limit_bytes: int | None = None) -> int:
        file.seek(0)
        file.truncate()
        return file.write(self._file(url))

    def _file(self, url: str) -> bytes:
        if (kept := self._visit.files.get(url)) is None:
            raise NotFound(f"{url} does not exist", url=url)
        return mutated(kept, self._seeds) if url == self._spoiled else kept


@asynccontextmanager
async def parts_of(visit: Visit, http: HttpClient, folder: Path) -> AsyncIterator[tuple[Registry, Feed]]:
    """Yield the ecosystem's client and feed."""
    registered, pool = declaration_of(visit.word).registry(), InlinePool(ArchiveSettings())
    await anyio.Path(folder).mkdir(exist_ok=True)
    # No document is kept: what is asked for again may be spoiled by then.
    kept = KeptDocuments(folder / "documents", limit_bytes=0)
    async with http:
        yield (
            registered(http, ArchiveReader(http, pool, folder, MAX_BYTES), pool, kept),
            registered.feed(http, pool, folder),
        )


async def visit_package(registry: Registry, name: str) -> None:
    """Ask all that is asked about a package, as the worker does."""
    ref = registry.identify(name)
    package = await registry.fetch(ref, None)
    if isinstance(package, Package):
        package.ref.ecosystem.rank(version.name for version in package.versions)
        await registry.import_names(package)


async def read_feed(feed: Feed, cursor: str) -> None:
    """Read all that a feed tells."""
    async for page in feed.changes(cursor):
        assert all(isinstance(change.name, str) for change in page.changes)
    await feed.head()
    if isinstance(feed, HintingFeed):
        await feed.hints("")
    async for listed in feed.listing(""):
        unpack(listed.packed)


@cache
def kept(word: str) -> Visit:
    """Return visits to some packages of a made registry with all oddities, its search and its feed."""
    world = generate(Shape(packages=12, seed=7, ecosystems=(word,), odd_share=0.5, large_share=0))
    names = tuple(package.registry_name for package in world.truth().values())
    with serve(world) as server, tempfile.TemporaryDirectory() as folder:
        visit = Visit(word, EndpointSettings(**server.endpoints()), names)

        sys.setprofile(partial(_note_call, visit.called))
        try:
            asyncio.run(_keep(visit, server, world, Path(folder)))
        finally:
            sys.setprofile(None)
    return visit


async def _keep(visit: Visit, server: Server, world: World, folder: Path) -> None:
    http = _Keeping(visit)
    past = [(name, "1.0.0", What.PUBLISHED) for name in visit.names]
    async with parts_of(visit, http, folder) as (registry, feed):
        for name in visit.names:
            http.subject = name
            await visit_package(registry, name)
            with suppress(IngestError):
                await registry.near_names(registry.identify(name.lower()))
        http.subject = Visit.FEED
        server.replace(World(world.packages, histories={visit.word: history_of(past)}))
        visit.cursor = await feed.head()
    later = [*past, *((name, "1.1.0", What.PUBLISHED) for name in visit.names[:4])]
    server.replace(World(world.packages, histories={visit.word: history_of(later)}))
    for knows_ranges in (True, False):
        http = _Keeping(visit, knows_ranges=knows_ranges)
        async with parts_of(visit, http, folder / str(knows_ranges)) as (_, feed):
            await read_feed(feed, visit.cursor)


def _note_call(called: set[str], frame: FrameType, event: str, _: object) -> None:
    if event == "call" and (module := frame.f_globals.get("__name__", "")).startswith("securechain_ingest.registries."):
        called.add(f"{module}.{frame.f_code.co_qualname}")
