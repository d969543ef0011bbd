"""This module handles the endpoint of an ecosystem's archives if it is not the endpoint that every message needs.

While the archives' endpoint is away, no message waits for it: packages are written with the import names that they
have, and are completed later.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.errors import ArchivesAway, UpstreamError
from securechain_ingest.model import Ecosystem, PackageRef
from securechain_ingest.queue.breakers import Breakers, Permit

_GOOD_FOR_S: Final = 1.0


class Archives:
    """This asks the endpoint's breaker, which all daemons share, and reports to it. Its methods raise StoreError."""

    def __init__(self, breakers: Breakers) -> None:
        self._breakers = breakers
        self._known: dict[str, tuple[float, Permit]] = {}

    async def are_away(self, ecosystem: Ecosystem) -> bool:
        """Return whether the archives cannot be read at the moment. The answer may be a second old, but not older."""
        return not _is_own(ecosystem) and await self._permit(ecosystem, is_peek=True) is Permit.AWAY

    @asynccontextmanager
    async def asked(self, ref: PackageRef, *, has_waited: bool) -> AsyncIterator[None]:
        """Watch over code that requests an archive: it runs within the block.

        It raises ArchivesAway if no archive may be requested now, or if the request has failed and the endpoint counts
        as away. An endpoint that cannot be reached counts as away if other requests have failed likewise, or if the
        message `has_waited` already. It raises every other error of the code inside unchanged.
        """
        ecosystem = ref.ecosystem
        if _is_own(ecosystem):
            yield
            return
        permit = await self._permit(ecosystem)
        if permit is Permit.AWAY:
            raise away(ref, "it wishes a pause")
        try:
            async with self._judged(ref, is_probe=permit is Permit.PROBE, has_waited=has_waited):
                yield
        except ArchivesAway:
            raise
        except Exception as error:
            if isinstance(error, UpstreamError) and _is_answer(error, ecosystem.archives):
                # The endpoint has answered, whatever it said about this archive.
                await self._succeeded(ecosystem, permit)
            elif permit is Permit.PROBE:
                with store_errors():
                    await self._breakers.unasked(ecosystem.archives)
            raise
        await self._succeeded(ecosystem, permit)

    @asynccontextmanager
    async def needed(self, ref: PackageRef, *, has_waited: bool) -> AsyncIterator[None]:
        """Watch over code that may request an archive, beside other things: it runs within the block.

        It raises ArchivesAway as `asked` does if the request has failed. It does not check before whether the endpoint
        is away.
        """
        if _is_own(ref.ecosystem):
            yield
            return
        async with self._judged(ref, is_probe=False, has_waited=has_waited):
            yield

    @asynccontextmanager
    async def _judged(self, ref: PackageRef, *, is_probe: bool, has_waited: bool) -> AsyncIterator[None]:
        endpoint = ref.ecosystem.archives
        try:
            yield
        except UpstreamError as error:
            if error.endpoint != endpoint or _is_answer(error, endpoint):
                raise
            with store_errors():
                is_open = await self._breakers.failed(
                    endpoint, ref.purl, str(error), is_probe=is_probe, pause_s=error.pause_s
                )
            self._known.pop(endpoint, None)
            if is_open or (has_waited and not error.is_about_package):
                raise away(ref, str(error)) from error
            raise

    async def _succeeded(self, ecosystem: Ecosystem, permit: Permit) -> None:
        if permit is Permit.WELL:
            return
        with store_errors():
            await self._breakers.succeeded(ecosystem.archives, is_probe=permit is Permit.PROBE)
        # Another message may have reported to the breaker meanwhile, too.
        self._known.pop(ecosystem.archives, None)

    async def _permit(self, ecosystem: Ecosystem, *, is_peek: bool = False) -> Permit:
        asked_at, permit = self._known.get(ecosystem.archives, (float("-inf"), Permit.PROBE))
        if permit is not Permit.PROBE and time.monotonic() - asked_at < _GOOD_FOR_S:
            return permit
        with store_errors():
            permit = await self._breakers.permit(ecosystem.archives, is_peek=is_peek)
        self._known[ecosystem.archives] = time.monotonic(), permit
        return permit


def _is_answer(error: UpstreamError, endpoint: str) -> bool:
    """Return whether the endpoint is well, and has only said something about an archive."""
    return error.endpoint == endpoint and error.is_about_package and not error.is_registrys


def _is_own(ecosystem: Ecosystem) -> bool:
    """Return whether every message needs the endpoint. Its pause then stops the lanes, and no message is in work."""
    return ecosystem.archives in {"", ecosystem.endpoint}


def away(ref: PackageRef, reason: str) -> ArchivesAway:
    """Return the error to raise for a package whose archive cannot be requested; `reason` says why."""
    return ArchivesAway(f"{ref.ecosystem.archives} is away, which serves the archives: {reason}", url=ref.purl)
