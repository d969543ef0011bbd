"""Import names of package versions, kept in Redis for days so that a repeated visit moves no archive.

Two ecosystems can have a package of one name and version, so the value says whose names it
holds; an entry of another ecosystem, or of another version of its parser, is a miss.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import structlog
from redis.asyncio import Redis

from securechain_ingest.bounds import bounded_names
from securechain_ingest.errors import ConfigError, StoreFull, StoreRefused
from securechain_ingest.model import ImportNames, Package
from securechain_ingest.queue.keys import import_names_key
from securechain_ingest.redis_errors import store_errors

logger = structlog.get_logger(__name__)


class ImportNamesCache:
    """Successful extractions only; failures are never remembered. Every error is a StoreError.

    A Redis that is there and refuses (another program's value under the key, no room, no permission) costs the memory
    of these names, not the names.
    """

    def __init__(self, redis: Redis, ttl_s: float) -> None:
        self._redis = redis
        self._ttl_s = int(ttl_s)

    async def names(
        self, package: Package, extract: Callable[[Package], Awaitable[ImportNames]], *, remember: bool = True
    ) -> ImportNames:
        """Those remembered, else those that `extract` finds, which may be remembered; raises what it raises.

        Either way within the bounds of `bounds.bounded_names`.
        """
        names = await self._get(package)
        if names is None:
            names = bounded_names(await extract(package))
            if remember:
                await self._put(package, names)
        return names

    async def _get(self, package: Package) -> ImportNames | None:
        """The names of the version that a user gets by default; None if they are not remembered."""
        key = _key(package)
        if key is None:
            return None
        try:
            with store_errors():
                raw = await self._redis.get(key)
        except (StoreRefused, ConfigError) as error:
            logger.warning("import_names_not_remembered", key=key, reason=str(error))
            return None
        ecosystem = package.ref.ecosystem
        match _loads(raw):
            case {
                "ecosystem": ecosystem.name,
                "parser": ecosystem.import_names_version,
                "import_names": list(names),
                **more,
            }:
                repository, license_name = more.get("repository_url"), more.get("license")
                found = ImportNames(
                    tuple(map(str, names)),
                    repository_url=str(repository) if repository else None,
                    license=str(license_name) if license_name else None,
                )
                # One of a release without bounds is read anew, so that what is left out stands on the package.
                return found if bounded_names(found) == found else None
        return None

    async def _put(self, package: Package, names: ImportNames) -> None:
        """Remember names that were extracted without an error."""
        key = _key(package)
        if key is None or names.error is not None:
            return
        entry: dict[str, Any] = {
            "ecosystem": package.ref.ecosystem.name,
            "parser": package.ref.ecosystem.import_names_version,
            "import_names": names.names,
        }
        if names.repository_url is not None:
            entry["repository_url"] = names.repository_url
        if names.license is not None:
            entry["license"] = names.license
        try:
            with store_errors():
                await self._redis.set(key, orjson.dumps(entry), ex=self._ttl_s)
        except (StoreRefused, StoreFull, ConfigError) as error:
            logger.warning("import_names_not_remembered", key=key, reason=str(error))


def _loads(raw: bytes | str | None) -> Any:
    """None for what is no JSON: other programs write under such keys, too."""
    try:
        return orjson.loads(raw or b"null")
    except orjson.JSONDecodeError:
        return None


def _key(package: Package) -> str | None:
    if not package.artifacts:
        return None
    return import_names_key(package.ref.registry_name, package.artifacts[0].version)
