"""This module has the front page, which shows everything at a glance and stays up to date by itself."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from securechain_ingest.registries.naming import named_version
from securechain_ingest.web.addresses import path_of
from securechain_ingest.web.collected import Collected
from securechain_ingest.web.overview import overview
from securechain_ingest.web.shell import Shell, Values


def routes(shell: Shell, collected: Collected) -> list[Route]:
    """Return the routes of this room."""

    async def read() -> Values:
        return {"shown": await overview(collected)}

    async def front(request: Request) -> Response:
        if named := request.query_params.get("package", "").strip():
            return RedirectResponse(path_of(*named_version(named)), 303)
        return shell.page(request, "overview.html", **await read())

    async def events(request: Request) -> Response:
        return shell.live(request, "overview_live.html", read)

    return [Route("/", front), Route("/events", events)]
