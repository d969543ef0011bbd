"""This cache keeps the import names of package versions in Redis for days: a repeated visit downloads no archive.

An entry of another version of the ecosystem's parser counts as missing. New entries of all packages are written
together a moment later, in one command. A daemon that is killed before costs another download, and nothing else.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import orjson
import structlog
from redis.asyncio import Redis

from securechain_ingest.bounds import bounded_names
from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.errors import ConfigError, StoreError, StoreRefused
from securechain_ingest.model import ImportNames, Package
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.script import Script

_SAVED_AFTER_S: Final = 0.25
_SAVED_AT_ONCE: Final = 100
"""When so many entries are to be written, they are written at once. Each may have a megabyte of names."""

_SAVE: Final = Script(
    """
for i, name in ipairs(names) do redis.call('SET', name, values[i], 'EX', ttl_s) end
""",
    keys="names*",
    arguments="values* ttl_s",
)

logger = structlog.get_logger(__name__)


class ImportNamesCache:
    """The cache holds only names that were read successfully, and never a failure. Its errors are StoreErrors.

    Redis may answer and refuse (there is no room or no permission). That is no error, and the names are not cached. The
    cache must be closed at the end.
    """

    def __init__(self, redis: Redis, stream: str, ttl_s: float) -> None:
        self._redis = redis
        self._keys = Keys(stream)
        self._ttl_s = int(ttl_s)
        self._unsaved: dict[str, bytes] = {}
        self._saving: asyncio.Task[None] | None = None
        self._save_turn = asyncio.Lock()

    async def get(self, package: Package) -> ImportNames | None:
        """Return the names of the version that a user gets by default, or None if they are not cached."""
        key = self._key(package)
        if key is None:
            return None
        try:
            with store_errors():
                raw = self._unsaved.get(key) or await self._redis.get(key)
        except (StoreRefused, ConfigError) as error:
            logger.warning("import_names_not_remembered", key=key, reason=str(error))
            return None
        ecosystem = package.ref.ecosystem
        match _loads(raw):
            case {"parser": ecosystem.import_names_version, "import_names": list(names), **more}:
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

    async def put(self, package: Package, names: ImportNames) -> None:
        """Cache the names if they were read without an error. They must be within the bounds of
        `bounds.bounded_names`."""
        key = self._key(package)
        if key is None or names.error is not None:
            return
        entry: dict[str, Any] = {
            "parser": package.ref.ecosystem.import_names_version,
            "import_names": names.names,
        }
        if names.repository_url is not None:
            entry["repository_url"] = names.repository_url
        if names.license is not None:
            entry["license"] = names.license
        self._unsaved[key] = orjson.dumps(entry)
        if len(self._unsaved) >= _SAVED_AT_ONCE:
            await self._save()
        elif self._saving is None:
            self._saving = asyncio.create_task(self._save_soon(), name="import names")

    async def close(self) -> None:
        """Write what is not in Redis yet, and wait for what is being written. It raises nothing."""
        if self._saving is not None:
            self._saving.cancel()
        await self._save()

    async def _save(self) -> None:
        """Write the entries that are not in Redis yet. If that fails, they are lost, which costs a download."""
        async with self._save_turn:
            entries, self._unsaved = self._unsaved, {}
            if not entries:
                return
            try:
                with store_errors():
                    await _SAVE.run(self._redis, names=list(entries), values=list(entries.values()), ttl_s=self._ttl_s)
            except (StoreError, ConfigError) as error:
                logger.warning("import_names_not_remembered", packages=len(entries), reason=str(error))

    async def _save_soon(self) -> None:
        await asyncio.sleep(_SAVED_AFTER_S)
        self._saving = None
        await self._save()

    def _key(self, package: Package) -> str | None:
        if not package.artifacts:
            return None
        ref = package.ref
        return self._keys.import_names(ref.ecosystem.name, ref.registry_name, package.artifacts[0].version)


def _loads(raw: bytes | str | None) -> Any:
    """Return the parsed JSON, or None if the text is not JSON."""
    try:
        return orjson.loads(raw or b"null")
    except orjson.JSONDecodeError:
        return None
