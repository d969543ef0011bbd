"""This module puts the pages together, behind the guard. What they show is read from the stores; what they change is
changed in the same way as by the command line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from securechain_ingest.errors import ConfigError, InvalidName, NotFound, StoreError
from securechain_ingest.web import (
    advisory_pages,
    dead_letter_pages,
    login,
    overview_pages,
    package_pages,
    queue_pages,
    schedule_pages,
)
from securechain_ingest.web.collected import Collected, Snapshot
from securechain_ingest.web.exposition import CONTENT_TYPE, exposition
from securechain_ingest.web.health import health, readiness
from securechain_ingest.web.overview import OverviewReader
from securechain_ingest.web.parts import Parts
from securechain_ingest.web.rendering import compile_templates, render
from securechain_ingest.web.security import Attempts, Guard
from securechain_ingest.web.shell import Shell

PATIENCE_S: Final = 20.0
"""The drivers' own patience is longer than that of somebody before a browser."""

FIGURES_S: Final = 6.0

_TITLES: Final = {
    400: ("Not understood", "The request cannot be read."),
    405: ("Not done so", "This address is not used in this way: go back to the page and use its buttons."),
}


class Website(Starlette):
    """This is the ASGI application behind its guard."""

    def __init__(self, parts: Parts, routes: Sequence[BaseRoute], overview: OverviewReader, attempts: Attempts) -> None:
        web = parts.settings.web
        guard = Middleware(
            Guard, host=web.host, names=web.names, token=parts.token, attempts=attempts, fault=lambda: _bare(500)
        )
        super().__init__(routes=routes, middleware=[guard], exception_handlers=_handlers(Shell(parts)))
        self._overview = overview

    async def prepare(self) -> None:
        """Do what would otherwise make the first look at the overview slow: compile the templates, open a connection to
        each store, and ask for the figures once. A store that does not answer is asked again by that look."""
        await asyncio.to_thread(compile_templates)
        with suppress(StoreError):
            await self._overview.overview()

    async def close(self) -> None:
        """End what is still asked of the stores, so that they can be closed."""
        await self._overview.close()


def build_app(parts: Parts) -> Website:
    """Return the page, which nobody has looked at yet."""
    shell, collected, attempts = Shell(parts), Collected(parts.stores, parts.settings), Attempts()
    overview = OverviewReader(parts.stores, parts.settings, collected)
    pages = [
        *overview_pages.routes(shell, overview),
        *package_pages.routes(parts, shell, collected),
        *advisory_pages.routes(parts, shell),
        *queue_pages.routes(parts, shell, collected),
        *dead_letter_pages.routes(parts, shell, collected),
        *schedule_pages.routes(parts, shell),
        *login.routes(parts, shell, attempts),
    ]
    routes: list[BaseRoute] = [
        *_machine_routes(parts, collected),
        *map(_bounded, pages),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
    ]
    return Website(parts, routes, overview, attempts)


def _bounded(route: Route) -> Route:
    """Return a route on which nobody waits longer than `PATIENCE_S` seconds for a page. Actions take as long as they
    take."""
    methods = route.methods or set()
    if "GET" not in methods:
        return route

    async def endpoint(request: Request) -> Response:
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer: Response = await route.endpoint(request)
                return answer
        except TimeoutError as error:
            raise StoreError(f"the page has waited {PATIENCE_S:g} s for a store; /readyz tells which") from error

    return Route(route.path, endpoint, methods=sorted(methods))


def _machine_routes(parts: Parts, collected: Collected) -> list[Route]:
    """Return the routes that programs ask."""

    async def healthz(_: Request) -> Response:
        answer = health(parts.progress)
        return JSONResponse(answer.details, answer.status)

    async def readyz(_: Request) -> Response:
        answer = await readiness(parts.progress, parts.stores)
        return JSONResponse(answer.details, answer.status)

    async def in_time() -> Snapshot | None:
        """Return the figures of Redis, or None: the metrics then say so with securechain_store_up 0. A store that hangs
        must not cost the scrape that tells of it; scrapers wait 10 s as a rule."""
        try:
            async with asyncio.timeout(FIGURES_S):
                return await collected.snapshot()
        except (StoreError, TimeoutError):
            return None

    async def metrics(_: Request) -> Response:
        stores, snapshot = await asyncio.gather(collected.store_answers(), in_time())
        return Response(exposition(parts.progress, stores, snapshot), media_type=CONTENT_TYPE)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


def _handlers(shell: Shell) -> dict[Any, Callable[[Request, Any], Awaitable[Response]]]:
    async def not_found(request: Request, error: Exception) -> Response:
        return shell.message(request, 404, "Not there", str(error))

    async def away(request: Request, error: Exception) -> Response:
        return shell.message(request, 503, "A store does not answer", str(error))

    async def refused(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return shell.message(request, 404, "Not there", f"There is no page {request.url.path}")
        title, text = _TITLES.get(error.status_code, ("Not done", error.detail))
        answer = shell.message(request, error.status_code, title, text)
        answer.headers.update(error.headers or {})
        return answer

    return {NotFound: not_found, InvalidName: not_found, StoreError: away, ConfigError: away, HTTPException: refused}


def _bare(status: int) -> Response:
    """Return the page for a fault, which asks nothing of anything that may have failed."""
    return render(
        "message.html",
        status=status,
        title="A fault of the page",
        text="The page failed here; the daemon goes on. The log has what went wrong, under page_fault.",
        has_login=False,
        is_logged_in=False,
        form_word="",
        path="",
        notice="",
    )
