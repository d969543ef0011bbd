"""This module has the front page, which shows everything at a glance and stays up to date by itself, and the page of
one registry, which has the numbers behind its plots."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from securechain_ingest.registries import declaration_of
from securechain_ingest.registries.naming import named_version
from securechain_ingest.web.addresses import path_of
from securechain_ingest.web.overview import OverviewReader
from securechain_ingest.web.shell import Shell, Values


def routes(shell: Shell, reader: OverviewReader) -> list[Route]:
    """Return the routes of this room."""

    async def read() -> Values:
        return {"shown": await reader.overview()}

    async def front(request: Request) -> Response:
        if named := request.query_params.get("package", "").strip():
            return RedirectResponse(path_of(*named_version(named)), 303)
        return shell.page(request, "overview.html", **await read())

    async def events(request: Request) -> Response:
        return shell.live(request, "overview_live.html", read)

    async def registry(request: Request) -> Response:
        name = declaration_of(request.path_params["ecosystem"]).name
        shown = await reader.overview()
        found = next(each for each in shown.registries if each.name == name)
        return shell.page(
            request, "registry.html", registry=found, at=lambda slot: datetime.fromtimestamp(slot.starts_at, UTC)
        )

    return [Route("/", front), Route("/events", events), Route("/registries/{ecosystem}", registry)]
