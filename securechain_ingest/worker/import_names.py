"""This module reads the import names of a package, and decides when an archive that failed is tried again.

No failure removes import names: the failure is noted on the package beside the names that it has. The archive is tried
again after an hour, a day and a week, and from then on only when the package changes. A package whose packaging makes
no archive never fails.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from securechain_ingest.bounds import bounded_names, sentence
from securechain_ingest.errors import ArchiveRefused, ArchivesAway, IngestError, ParserLost, UpstreamError
from securechain_ingest.model import FailedAttempt, ImportNames, Package
from securechain_ingest.registries.protocol import Registry
from securechain_ingest.worker.import_names_cache import ImportNamesCache
from securechain_ingest.worker.request import Insistence

WAITS: Final = (timedelta(hours=1), timedelta(days=1), timedelta(weeks=1))
"""These are the waits before the second, third and fourth attempt at one archive. There is no fifth."""

logger = structlog.get_logger(__name__)


async def read_import_names(
    cache: ImportNamesCache,
    registry: Registry,
    package: Package,
    failed_before: FailedAttempt | None,
    now: datetime,
    insistence: Insistence,
    asking: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    *,
    remember: bool = True,
) -> tuple[ImportNames, IngestError | None]:
    """Return the names that the cache has or the registry finds, and None. If they cannot be read, return a stopgap and
    the error.

    The names are within the bounds of `bounds.bounded_names`. An archive is requested inside of `asking()`, and what is
    found is cached if `remember`. `failed_before` is what the graph knows of earlier attempts; `now` is aware, in UTC.
    An error that another attempt may mend is raised if `insistence` demands it. StoreError is raised if Redis is away.
    ArchivesAway is always raised, because it says nothing about the archive.
    """
    try:
        names = await cache.get(package)
        if names is None:
            async with asking() if package.artifacts else nullcontext():
                names = bounded_names(await registry.import_names(package))
            if remember:
                await cache.put(package, names)
    except ArchivesAway:
        raise
    except (UpstreamError, ArchiveRefused, ParserLost) as error:
        insists = insistence.on_readings or (insistence.on_parsers and isinstance(error, ParserLost))
        if error.transient and insists:
            raise
        failed = failed_attempt(failed_before, package, now)
        _log("import_names_failed", package, failed, kind=error.kind, reason=str(error))
        fallback = registry.fallback_names(package.ref)
        return ImportNames(fallback, error=sentence(str(error)), is_stopgap=True, failed=failed), error
    if names.retry:
        names = replace(names, failed=failed_attempt(failed_before, package, now))
    if names.error is not None:
        _log("import_names_incomplete", package, names.failed, reason=names.error)
    elif package.artifacts:
        names = replace(names, version=package.artifacts[0].version)
    return names, None


def is_due(failed: FailedAttempt | None, now: datetime) -> bool:
    """Return whether it is time to try a failed archive again, even if the package has not changed."""
    return failed is not None and failed.attempts <= len(WAITS) and now >= failed.tried_at + WAITS[failed.attempts - 1]


def failed_attempt(before: FailedAttempt | None, package: Package, now: datetime) -> FailedAttempt:
    """Return the record of one more attempt that has failed.

    An attempt before its time, because the package changed or somebody demanded it, does not raise the number of
    attempts. The wait for the next one then begins at this one. For an archive of another version the count begins
    anew.
    """
    version = package.artifacts[0].version if package.artifacts else ""
    attempts = 1
    if before is not None and before.version == version:
        attempts = before.attempts + is_due(before, now)
    retry_at = now + WAITS[attempts - 1] if attempts <= len(WAITS) else None
    return FailedAttempt(version, attempts, now, retry_at)


def _log(event: str, package: Package, failed: FailedAttempt | None, **fields: str) -> None:
    counted = {"tries": failed.attempts, "next_try": failed.retry_at and failed.retry_at.isoformat()} if failed else {}
    logger.warning(event, package=package.ref.purl, **fields, **counted)
