"""This module runs the page's server in the daemon's own event loop. If the server fails, only the page is lost and
the daemon goes on."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import structlog
import uvicorn
from starlette.types import ASGIApp

logger = structlog.get_logger(__name__)

_GRACE_S = 2


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the daemon."""
        yield


def listen(host: str, port: int) -> socket.socket | None:
    """Return a listening socket. It is None, after a warning, if the address is taken or is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=64)
    except OSError as error:
        logger.warning(
            "page_not_served",
            address=f"{host}:{port}",
            reason=f"{error.strerror or error}: choose another [web] port, or 0 for none",
        )
        return None


async def serve(app: ASGIApp, listener: socket.socket) -> None:
    """Serve until cancelled."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=_GRACE_S,
        limit_concurrency=200,
        ws="none",
        http="h11",
        loop="none",
    )
    server = _Server(config)
    try:
        await server.serve(sockets=[listener])
    except Exception as error:
        logger.exception("page_failed", reason=f"{type(error).__name__}: {error}")
    finally:
        listener.close()
