"""This module rates the packages that advisories are about. It asks no registry.

The packages that a record is about are remembered in Redis before the record is written, and forgotten when their
versions have been rated. A worker may have read the advisories of a package before a record was written, and write the
package's versions after they were rated. Therefore the next sync rates once more what one sync has rated.
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
from securechain_ingest.advisories.names import variants
from securechain_ingest.advisories.store import AdvisoryStore, Affected
from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.errors import ConfigError, IngestError, InvalidName, LeftGraph, StoreError
from securechain_ingest.graph.store import Graph
from securechain_ingest.model import KnownPackage, Link, PackageRef, Rating
from securechain_ingest.queue.keys import Keys
from securechain_ingest.registries.protocol import Registry
from securechain_ingest.runs import Run

LOOKED_UP: Final = 1_000
"""One query asks the graph for so many names, and one step of a walk reads so many documents."""

_RATED: Final = 50
_VERSIONS: Final = 20_000
_AFFECTED: Final = 500
"""One transaction writes about so many packages (`_RATED`) with so many versions (`_VERSIONS`), of which so many have
vulnerabilities (`_AFFECTED`)."""

_YIELD_EVERY: Final = 50

logger = structlog.get_logger(__name__)

Known = tuple[PackageRef, KnownPackage]


async def unfinished_ratings(redis: Redis, stream: str) -> tuple[int, list[bytes]]:
    """Return the rule by which the graph is rated, and the packages that the next sync has to rate. It raises
    StoreError."""
    with store_errors():
        rule = _number(await redis.hget(Keys(stream).rating, "rule"))
        members: Any = await redis.sunion([Keys(stream).unrated, Keys(stream).rated])
    return rule, sorted(members)


async def note_unfinished_ratings(redis: Redis, stream: str, rule: int, members: Sequence[bytes]) -> None:
    """Note what `unfinished_ratings` of another installation has returned. It raises StoreError."""
    with store_errors():
        for start in range(0, len(members), LOOKED_UP):
            await redis.sadd(Keys(stream).unrated, *members[start : start + LOOKED_UP])
        await redis.hset(Keys(stream).rating, "rule", str(rule))


@dataclass(frozen=True, slots=True)
class AdvisoryRating:
    """This has the stores from which ratings are read and to which they are written."""

    store: AdvisoryStore
    graph: Graph
    redis: Redis
    stream: str
    registries: Collection[Registry]
    pool: ParserPool | None
    reported: set[str] = field(default_factory=set)
    """These are the ids of documents that the log has already named as unreadable."""

    async def remember(self, affected: set[Affected]) -> None:
        """Remember packages for `rate_remembered`. They are rated even if this process ends before that."""
        members = [orjson.dumps(package) for package in sorted(affected)]
        with store_errors():
            for start in range(0, len(members), LOOKED_UP):
                await self.redis.sadd(Keys(self.stream).unrated, *members[start : start + LOOKED_UP])

    async def rate_remembered(self, run: Run) -> None:
        """Rate the packages that are remembered. It raises StoreError; those that are left are then rated by the
        next sync."""
        await self._rate(run, Keys(self.stream).unrated, Keys(self.stream).rated)

    async def rate_again(self, run: Run) -> None:
        """Rate once more the packages that the last sync has rated. It raises StoreError."""
        await self._rate(run, Keys(self.stream).rated, None)

    async def rate_by_new_rule(self, run: Run) -> None:
        """Rate every package that a document names, if the rule for ratings is newer than the one that the graph's
        ratings follow.

        This is done in portions. If it is interrupted, the next sync continues it. It raises StoreError.
        """
        with store_errors():
            held: Any = await self.redis.hmget(Keys(self.stream).rating, ["rule", "position"])
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
                await self.redis.hset(Keys(self.stream).rating, "position", f"{RULE}:{after}")
        with store_errors():
            await self.redis.hset(Keys(self.stream).rating, "rule", RULE)
            await self.redis.hdel(Keys(self.stream).rating, "position")

    async def _rate(self, run: Run, key: str, then: str | None) -> None:
        """Rate the packages of a set and remove them from it. They are added to the set `then` if that is given."""
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
        """Rate packages whose advisories one query reads and whose ratings one transaction writes, or a few
        transactions if many versions have vulnerabilities."""
        documents = await self.store.of_packages([ref for ref, _ in portion])
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
            if error.transient and not isinstance(error, LeftGraph):
                raise
            await self._link_singly(links, run)
        run.metrics["packages_rated"] += len(links)

    async def _link_singly(self, links: Sequence[Link], run: Run) -> None:
        """Write the ratings of each package in a transaction of its own, so that a refusal by the graph affects only
        one package. One that has left the graph has nothing to be rated; whoever reads it again rates it."""
        for link in links:
            try:
                await self.graph.link([link])
            except LeftGraph as error:
                logger.info("package_left_graph", package=link.ref.purl, reason=str(error))
            except StoreError as error:
                if error.transient:
                    raise
                _report_unrated(link.ref, error, run)

    async def _refs(self, affected: list[Affected]) -> Mapping[str, PackageRef]:
        """Return the packages that the names mean, in any spelling, by purl. Packages of other ecosystems are left out.

        Names that no package can have are left out, too.
        """
        registries = {osv: registry for registry in self.registries if (osv := registry.ecosystem.osv) is not None}
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
    """Return each package that a name may mean, by purl. There are several where the registry treats separators
    alike and purls keep them."""
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
    """Return what a member of the sets says. It is None for a member that another release has written."""
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
