"""This module makes the page a part of the daemon: its settings become a loop that serves it."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

import structlog

from securechain_ingest.configuration import Settings
from securechain_ingest.progress import Progress
from securechain_ingest.stores import Stores
from securechain_ingest.web.app import Website, build_app
from securechain_ingest.web.parts import Parts
from securechain_ingest.web.security import token_of
from securechain_ingest.web.server import listen, serve

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """This is a page that has an address."""

    app: Website
    listener: socket.socket
    address: str
    """A browser opens the page at this address; it includes the token that allows actions."""

    async def serve(self) -> None:
        """Serve until cancelled. A fault is logged and ends only the page."""
        preparing = asyncio.create_task(self._prepare(), name="page-preparation")
        try:
            await serve(self.app, self.listener)
        finally:
            preparing.cancel()
            await asyncio.wait([preparing])
            await self.app.close()

    async def _prepare(self) -> None:
        try:
            await self.app.prepare()
        except Exception as error:  # noqa: BLE001 - a first look that is slow is no reason to end anything
            logger.warning("page_not_prepared", reason=f"{type(error).__name__}: {error}")


def open_page(stores: Stores, settings: Settings, progress: Progress) -> Page | None:
    """Return the page that `[web]` asks for. It is None if `[web]` asks for none, or, after a warning, if its port is
    taken or its token cannot be kept."""
    web = settings.web
    if web.port == 0 or (listener := listen(web.host, web.port)) is None:
        return None
    try:
        token = token_of(web.token.get_secret_value() if web.token else None, settings.daemon.state_dir)
    except OSError as error:
        listener.close()
        reason = f"the token cannot be kept in {settings.daemon.state_dir} ({error.strerror}): set [web] token"
        logger.warning("page_not_served", address=f"{web.host}:{web.port}", reason=reason)
        return None
    host = f"[{web.host}]" if ":" in web.host else web.host
    return Page(
        build_app(Parts(stores, settings, progress, token)), listener, f"http://{host}:{web.port}/login?token={token}"
    )
