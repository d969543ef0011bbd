"""This module has the page's routes. What they show is read from the stores; what they change is changed in the same
way as by the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from securechain_ingest.configuration import Settings
from securechain_ingest.errors import InvalidName, NotFound, StoreError
from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.model import PackageRef
from securechain_ingest.progress import Progress
from securechain_ingest.queue.breakers import pause, resume
from securechain_ingest.queue.dead_letters import list_dead_letters
from securechain_ingest.queue.keys import Keys
from securechain_ingest.redis_errors import store_errors
from securechain_ingest.registries import declaration_of
from securechain_ingest.registries.naming import named_version
from securechain_ingest.reports.package import report_on
from securechain_ingest.stores import Stores
from securechain_ingest.web import security
from securechain_ingest.web.collected import Collected
from securechain_ingest.web.exposition import CONTENT_TYPE, exposition
from securechain_ingest.web.health import health, readiness
from securechain_ingest.web.overview import overview
from securechain_ingest.web.rendering import render

_LIVE_EVERY_S: Final = 5.0
_LIVE_FOR_S: Final = 600.0
"""After so many seconds a browser has to ask again, so a page that nobody looks at any more stops costing anything."""

_LETTERS: Final = 200
_FORM_BYTES: Final = 16_384
_SESSION_S: Final = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Parts:
    """These are the sources that the page reads from, and the token of those who may act on it."""

    stores: Stores
    settings: Settings
    progress: Progress
    token: str


def build_app(parts: Parts) -> Starlette:
    """Return the ASGI application behind its guard."""
    pages = _Pages(parts)
    routes = [
        Route("/healthz", pages.healthz),
        Route("/readyz", pages.readyz),
        Route("/metrics", pages.metrics),
        Route("/", pages.front),
        Route("/events", pages.events),
        Route("/packages/{ecosystem}/{name:path}", pages.package),
        Route("/dead-letters", pages.dead_letters),
        Route("/login", pages.login, methods=["GET", "POST"]),
        Route("/pauses", pages.pauses, methods=["POST"]),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
    ]
    guard = Middleware(security.Guard, host=parts.settings.web.host, token=parts.token)
    handlers: Any = {NotFound: _not_found, InvalidName: _not_found, StoreError: _away, 404: _no_page}
    return Starlette(routes=routes, middleware=[guard], exception_handlers=handlers)


class _Pages:
    """Each page has a method here."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._stores = parts.stores
        self._queue = parts.settings.queue
        self._collected = Collected(parts.stores, parts.settings)

    async def healthz(self, _: Request) -> Response:
        answer = health(self._parts.progress)
        return JSONResponse(answer.details, answer.status)

    async def readyz(self, _: Request) -> Response:
        answer = await readiness(self._parts.progress, self._stores)
        return JSONResponse(answer.details, answer.status)

    async def metrics(self, _: Request) -> Response:
        try:
            snapshot = await self._collected.snapshot()
        except StoreError:
            snapshot = None  # The metrics then say so with securechain_redis_up 0.
        return Response(exposition(self._parts.progress, snapshot), media_type=CONTENT_TYPE)

    async def front(self, request: Request) -> Response:
        if named := request.query_params.get("package", "").strip():
            return RedirectResponse(path_of(*named_version(named)), 303)
        return render("overview.html", shown=await overview(self._collected), **self._visitor(request))

    async def events(self, request: Request) -> Response:
        async def live() -> AsyncIterator[str]:
            for _ in range(int(_LIVE_FOR_S / _LIVE_EVERY_S)):
                try:
                    shown = await overview(self._collected)
                except StoreError:
                    return  # The browser asks again, and then gets the error.
                text = bytes(render("figures.html", shown=shown, **self._visitor(request)).body).decode()
                yield "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"
                await asyncio.sleep(_LIVE_EVERY_S)

        return StreamingResponse(live(), media_type="text/event-stream")

    async def package(self, request: Request) -> Response:
        ref, version = named_version(f"{request.path_params['ecosystem']}:{request.path_params['name']}")
        cursors = Cursors(self._stores.redis, self._queue.stream)
        stores = self._stores
        report = await report_on(stores.graph.reader, stores.advisories, stores.changes, cursors, ref, version)
        paths = {each.name: path_of(ref, each.name) for each in report.package.versions}
        return render("package.html", report=report, paths=paths, now=datetime.now(UTC), **self._visitor(request))

    async def dead_letters(self, request: Request) -> Response:
        found = await list_dead_letters(self._stores.redis, self._queue, limit=_LETTERS)
        return render("dead_letters.html", letters=found, limit=_LETTERS, **self._visitor(request))

    async def login(self, request: Request) -> Response:
        token = self._parts.token
        form = await _form(request) if request.method == "POST" else request.query_params
        given = form.get("token")
        if not security.is_token(given, token):
            return render("login.html", status=403 if given else 200, failed=bool(given), **self._visitor(request))
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            security.COOKIE, security.session_of(token), httponly=True, samesite="strict", max_age=_SESSION_S
        )
        return answer

    async def pauses(self, request: Request) -> Response:
        form = await _form(request)
        if not security.may_act(request, self._parts.token, form.get("word")):
            return PlainTextResponse("log in first, and use the form of the page\n", 403)
        name = declaration_of(str(form.get("ecosystem", ""))).name
        act = pause if form.get("action") == "pause" else resume
        with store_errors():
            await act(self._stores.redis, Keys(self._queue.stream), name)
        return RedirectResponse("/", 303)

    def _visitor(self, request: Request) -> dict[str, Any]:
        """Return what every template needs to know about the visitor."""
        is_logged_in = security.is_session(request, self._parts.token)
        return {
            "is_logged_in": is_logged_in,
            "form_word": security.form_word(self._parts.token) if is_logged_in else "",
        }


def path_of(ref: PackageRef, version: str | None = None) -> str:
    """Return the path of the page of a package, or of one of its versions."""
    name = ref.registry_name + (f"@{version}" if version else "")
    return f"/packages/{ref.ecosystem.name}/{quote(name, safe='/@:')}"


async def _form(request: Request) -> Mapping[str, str]:
    """Return the fields of one of the page's own forms. There are none if the form is larger than any of those can
    be."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _FORM_BYTES:
            return {}
    return dict(parse_qsl(body.decode(errors="replace")))


async def _not_found(_: Request, error: Exception) -> Response:
    return _message(404, "Not there", str(error))


async def _away(_: Request, error: Exception) -> Response:
    return _message(503, "A store does not answer", str(error))


async def _no_page(request: Request, _: Exception) -> Response:
    return _message(404, "Not there", f"There is no page {request.url.path}")


def _message(status: int, title: str, text: str) -> Response:
    return render("message.html", status=status, title=title, text=text, is_logged_in=False)
