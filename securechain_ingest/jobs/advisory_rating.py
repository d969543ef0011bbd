"""Rates the packages that advisories are about. No registry is asked.

Which packages a record is about is remembered in Redis before the record is written, and forgotten when their versions
have been rated. A worker may have read the advisories of a package before a record was written, and write its versions
after they were rated; so whatever was rated is rated once more by the next sync.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import anyio.lowlevel
import orjson
import structlog
from redis.asyncio import Redis

from securechain_ingest.advisories.matching import RULE, rated
from securechain_ingest.advisories.names import lookup_key, packages, spellings, variants
from securechain_ingest.advisories.store import AdvisoryStore, Affected
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.errors import ConfigError, IngestError, InvalidName, StoreError
from securechain_ingest.graph.store import Graph
from securechain_ingest.model import KnownPackage, Link, PackageRef, Rating
from securechain_ingest.redis_errors import store_errors
from securechain_ingest.registries.protocol import Registry
from securechain_ingest.runs import Run

LOOKED_UP: Final = 1_000
"""How many names one query asks of the graph, and how many documents one step of a walk reads."""

_RATED: Final = 50
_VERSIONS: Final = 20_000
_AFFECTED: Final = 500
"""One transaction writes so many packages, about so many versions, of which so many have vulnerabilities."""

_YIELD_EVERY: Final = 50

logger = structlog.get_logger(__name__)

Known = tuple[PackageRef, KnownPackage]


@dataclass(frozen=True, slots=True)
class AdvisoryRating:
    """The stores that ratings are read from and written to."""

    store: AdvisoryStore
    graph: Graph
    redis: Redis
    stream: str
    registries: Collection[Registry]
    pool: ParserPool | None
    reported: set[str] = field(default_factory=set)
    """The ids of documents that the log has already named as unreadable."""

    async def remember(self, affected: set[Affected]) -> None:
        """Have packages rated by `rate_remembered`, whatever becomes of this process."""
        members = [orjson.dumps(package) for package in sorted(affected)]
        with store_errors():
            for start in range(0, len(members), LOOKED_UP):
                await self.redis.sadd(self._unrated, *members[start : start + LOOKED_UP])

    async def rate_remembered(self, run: Run) -> None:
        """Rate what is remembered. Raises StoreError; what is left is then rated by the next sync."""
        await self._rate(run, self._unrated, self._rated_before)

    async def rate_again(self, run: Run) -> None:
        """Rate once more what the last sync has rated. Raises StoreError."""
        await self._rate(run, self._rated_before, None)

    async def rate_by_new_rule(self, run: Run) -> None:
        """If ratings are made otherwise than those in the graph, rate every package that a document names.

        That is done in portions, and gone on with by the next sync if it is broken off. Raises StoreError.
        """
        with store_errors():
            held: Any = await self.redis.hmget(self._rule, ["rule", "position"])
        rule, position = held
        if _number(rule) >= RULE:
            return
        walked, _, after = position.decode().partition(":") if position else ("", "", "")
        after = after if _number(walked) == RULE else ""
        while (portion := await self.store.portion(after, LOOKED_UP)) is not None:
            logger.info("rating_by_new_rule", rule=RULE, packages=len(portion.affected), behind=after or None)
            after = portion.last
            await self.remember(portion.affected)
            await self.rate_remembered(run)
            with store_errors():
                await self.redis.hset(self._rule, "position", f"{RULE}:{after}")
        with store_errors():
            await self.redis.hset(self._rule, "rule", RULE)
            await self.redis.hdel(self._rule, "position")

    @property
    def _unrated(self) -> str:
        """Set: the packages that written records affect or have affected."""
        return f"{self.stream}-unrated"

    @property
    def _rated_before(self) -> str:
        """Set: the packages that the last sync has rated."""
        return f"{self.stream}-rated"

    @property
    def _rule(self) -> str:
        """Hash: by which `rule` the graph is rated, and the `position` of a walk through all documents."""
        return f"{self.stream}-rating"

    async def _rate(self, run: Run, key: str, then: str | None) -> None:
        """Rate the packages of a set and take them out of it, into `then` if that is given."""
        while members := await self._members(key):
            await self._rate_some([each for each in map(_affected, members) if each is not None], run)
            with store_errors():
                async with self.redis.pipeline() as pipeline:
                    if then is not None:
                        pipeline.sadd(then, *members)
                    pipeline.srem(key, *members)
                    await pipeline.execute()

    async def _members(self, key: str) -> list[Any]:
        with store_errors():
            return list(await self.redis.srandmember(key, LOOKED_UP) or ())

    async def _rate_some(self, affected: list[Affected], run: Run) -> None:
        refs = await self._refs(affected)
        known = await self.graph.known(list(refs.values()))
        named: list[Known] = [
            (replace(refs[purl], registry_name=package.registry_name or refs[purl].registry_name), package)
            for purl, package in known.items()
        ]
        for portion in _portions(named):
            await self._rate_portion(portion, run)

    async def _rate_portion(self, portion: Sequence[Known], run: Run) -> None:
        """Packages whose advisories are read by one query and whose ratings are written in one transaction."""
        documents = await self._documents([ref for ref, _ in portion])
        links: list[Link] = []
        affected = 0
        for ref, package in portion:
            try:
                ratings = await rated(self.pool, ref, package.versions, documents[ref.purl], self.reported)
            except (StoreError, ConfigError):
                raise
            except IngestError as error:
                _report_unrated(ref, error, run)
                continue
            links.append(_link(ref, ratings))
            affected += sum(1 for rating in ratings.values() if rating.vulnerabilities)
            await anyio.lowlevel.checkpoint()
            if affected > _AFFECTED:
                await self._write(links, run)
                links, affected = [], 0
        await self._write(links, run)

    async def _write(self, links: Sequence[Link], run: Run) -> None:
        try:
            await self.graph.link(links)
        except StoreError as error:
            if error.transient:
                raise
            await self._link_singly(links, run)
        run.metrics["packages_rated"] += len(links)

    async def _link_singly(self, links: Sequence[Link], run: Run) -> None:
        """What the graph refuses of one package costs that one alone."""
        for link in links:
            try:
                await self.graph.link([link])
            except StoreError as error:
                if error.transient:
                    raise
                _report_unrated(link.ref, error, run)

    async def _documents(self, refs: Sequence[PackageRef]) -> Mapping[str, list[dict[str, Any]]]:
        """By purl the documents that may be about a package."""
        wanted = {name for ref in refs for name in spellings(ref)}
        by_name: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for number, document in enumerate(await self.store.of_package(wanted)):
            if number % _YIELD_EVERY == 0:
                await anyio.lowlevel.checkpoint()
            for each in {(ecosystem, lookup_key(name)) for ecosystem, name in packages(document)}:
                by_name.setdefault(each, []).append(document)
        return {ref.purl: by_name.get((ref.ecosystem.osv, lookup_key(ref.registry_name)), []) for ref in refs}

    async def _refs(self, affected: list[Affected]) -> Mapping[str, PackageRef]:
        """By purl the packages of our ecosystems that are meant by names in whichever spelling.

        Names that no package can have are left out.
        """
        registries = {registry.ecosystem.osv: registry for registry in self.registries}
        refs: dict[str, PackageRef] = {}
        for number, (ecosystem, name) in enumerate(affected):
            if number % _YIELD_EVERY == 0:
                await anyio.lowlevel.checkpoint()
            if ecosystem in registries:
                try:
                    refs |= _meant(registries[ecosystem], name)
                except InvalidName as error:
                    logger.debug("advisory_name_invalid", ecosystem=ecosystem, name=name, reason=str(error))
        return refs


def _meant(registry: Registry, name: str) -> dict[str, PackageRef]:
    """Where a purl keeps separators that the registry takes for the same, each that there may be."""
    ref = registry.identify(name)
    found = {ref.purl: ref}
    for spelling in variants(registry.ecosystem, name):
        try:
            ref = registry.identify(spelling)
        except InvalidName:
            continue
        found.setdefault(ref.purl, ref)
    return found


def _portions(known: Sequence[Known]) -> Iterator[list[Known]]:
    portion: list[Known] = []
    versions = 0
    for ref, package in known:
        if portion and (len(portion) == _RATED or versions + len(package.versions) > _VERSIONS):
            yield portion
            portion, versions = [], 0
        portion.append((ref, package))
        versions += len(package.versions)
    if portion:
        yield portion


def _link(ref: PackageRef, ratings: Mapping[str, Rating]) -> Link:
    return Link(ref, (), follow=False, repeat_follow=False, checked_at=None, ratings=ratings)


def _report_unrated(ref: PackageRef, error: IngestError, run: Run) -> None:
    logger.warning("package_not_rated", package=ref.purl, kind=error.kind, reason=str(error))
    run.metrics["errors"] += 1


def _affected(member: bytes) -> Affected | None:
    """Read a member of the sets; None for one that another release has written."""
    try:
        match orjson.loads(member):
            case [str(ecosystem), str(name)]:
                return ecosystem, name
    except orjson.JSONDecodeError:
        pass
    logger.warning("package_not_rated", member=member.decode("utf-8", "replace")[:200], reason="it is no package")
    return None


def _number(text: bytes | str | None) -> int:
    try:
        return int(text) if text else 0
    except ValueError:
        return 0
