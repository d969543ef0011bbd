"""This cache keeps the import names of package versions in Redis for days: a repeated visit downloads no archive.

Two ecosystems can have a package with the same name and version. So the value says to which ecosystem the names belong.
An entry of another ecosystem, or of another version of its parser, counts as missing.
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
    """The cache holds only names that were read successfully, and never a failure. Its own errors are StoreErrors.

    Redis may answer and refuse (another program's value is under the key, there is no room or no permission). Then the
    names are not cached, but they are still returned.
    """

    def __init__(self, redis: Redis, ttl_s: float) -> None:
        self._redis = redis
        self._ttl_s = int(ttl_s)

    async def names(
        self, package: Package, extract: Callable[[Package], Awaitable[ImportNames]], *, remember: bool = True
    ) -> ImportNames:
        """Return the cached names. If there are none, return those that `extract` finds, and cache them if `remember`.

        In both cases the names are within the bounds of `bounds.bounded_names`. Every error of `extract` is raised.
        """
        names = await self._get(package)
        if names is None:
            names = bounded_names(await extract(package))
            if remember:
                await self._put(package, names)
        return names

    async def _get(self, package: Package) -> ImportNames | None:
        """Return the names of the version that a user gets by default, or None if they are not cached."""
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
                # An entry of an older release can be out of bounds. It counts as missing: reading the names again
                # notes on the package what is left out.
                return found if bounded_names(found) == found else None
        return None

    async def _put(self, package: Package, names: ImportNames) -> None:
        """Cache names that were read without an error."""
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
    """Return the parsed JSON, or None if the text is not JSON: other programs write under such keys, too."""
    try:
        return orjson.loads(raw or b"null")
    except orjson.JSONDecodeError:
        return None


def _key(package: Package) -> str | None:
    if not package.artifacts:
        return None
    return import_names_key(package.ref.registry_name, package.artifacts[0].version)
