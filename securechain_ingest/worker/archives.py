"""The endpoint of an ecosystem's archives, where it is another than the one that every message needs.

While it is away no message waits for it: packages are written with the names that they have, and are completed later.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from securechain_ingest.errors import ArchivesAway, UpstreamError
from securechain_ingest.model import Ecosystem, PackageRef
from securechain_ingest.queue.breakers import Breakers, Permit
from securechain_ingest.redis_errors import store_errors

_GOOD_FOR_S: Final = 1.0


class Archives:
    """Asks and tells the endpoint's breaker, which all daemons share. Methods raise StoreError."""

    def __init__(self, breakers: Breakers) -> None:
        self._breakers = breakers
        self._known: dict[str, tuple[float, Permit]] = {}

    async def are_away(self, ecosystem: Ecosystem) -> bool:
        """Whether they cannot be read at the moment; a figure at most a second old."""
        return not _is_own(ecosystem) and await self._permit(ecosystem, is_look=True) is Permit.AWAY

    @asynccontextmanager
    async def asked(self, ref: PackageRef, *, has_waited: bool) -> AsyncIterator[None]:
        """What asks for an archive goes inside. Raises ArchivesAway if that may not be done now, or has failed so.

        An endpoint that cannot be reached is away if others have found the same, or for a message that `has_waited`.
        """
        ecosystem = ref.ecosystem
        if _is_own(ecosystem):
            yield
            return
        permit = await self._permit(ecosystem)
        if permit is Permit.AWAY:
            raise away(ref, "it wishes a pause")
        async with self._judged(ref, is_probe=permit is Permit.PROBE, has_waited=has_waited):
            yield
        if permit is not Permit.WELL:
            with store_errors():
                await self._breakers.succeeded(ecosystem.archives, is_probe=permit is Permit.PROBE)
            del self._known[ecosystem.archives]

    @asynccontextmanager
    async def needed(self, ref: PackageRef, *, has_waited: bool) -> AsyncIterator[None]:
        """What may ask that endpoint among others goes inside. Raises ArchivesAway likewise if it has failed so."""
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
            if error.endpoint != endpoint or not (error.is_registrys or not error.is_about_package):
                raise
            with store_errors():
                is_open = await self._breakers.failed(
                    endpoint, ref.purl, str(error), is_probe=is_probe, pause_s=error.pause_s
                )
            self._known.pop(endpoint, None)
            if is_open or (has_waited and not error.is_about_package):
                raise away(ref, str(error)) from error
            raise

    async def _permit(self, ecosystem: Ecosystem, *, is_look: bool = False) -> Permit:
        asked_at, permit = self._known.get(ecosystem.archives, (float("-inf"), Permit.PROBE))
        if permit is not Permit.PROBE and time.monotonic() - asked_at < _GOOD_FOR_S:
            return permit
        with store_errors():
            permit = await self._breakers.permit(ecosystem.archives, is_look=is_look)
        self._known[ecosystem.archives] = time.monotonic(), permit
        return permit


def _is_own(ecosystem: Ecosystem) -> bool:
    """Whether every message needs the endpoint; then its pause stops the lanes, and no message is in work."""
    return ecosystem.archives in {"", ecosystem.endpoint}


def away(ref: PackageRef, reason: str) -> ArchivesAway:
    """What is raised of a package whose archive cannot be asked for."""
    return ArchivesAway(f"{ref.ecosystem.archives} is away, which serves the archives: {reason}", url=ref.purl)
