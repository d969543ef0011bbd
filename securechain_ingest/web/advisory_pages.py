"""This module has the pages of the advisories: the newest, and one."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from securechain_ingest.reports.advisories import advisory_named, newest_advisories
from securechain_ingest.web.addresses import path_of_advisory, path_of_purl
from securechain_ingest.web.parts import Parts
from securechain_ingest.web.shell import Shell

PATH: Final = "/advisories"
_PAGE: Final = 30


def routes(parts: Parts, shell: Shell) -> list[Route]:
    """Return the routes of this room."""
    store, lookups = parts.stores.advisories, parts.stores.graph.lookups

    async def newest(request: Request) -> Response:
        if identifier := request.query_params.get("id", "").strip():
            return RedirectResponse(path_of_advisory(identifier), 303)
        before = request.query_params.get("before") or None
        found = await newest_advisories(store, lookups, _PAGE + 1, before)
        return shell.page(
            request,
            "advisories.html",
            advisories=found[:_PAGE],
            following=found[_PAGE - 1].modified if len(found) > _PAGE else "",
            path_of=path_of_purl,
            path_of_advisory=path_of_advisory,
        )

    async def one(request: Request) -> Response:
        identifier = request.path_params["identifier"]
        found = await advisory_named(store, lookups, identifier)
        return shell.page(
            request,
            "advisory.html",
            identifier=identifier,
            advisories=found,
            path_of=path_of_purl,
            path_of_advisory=path_of_advisory,
        )

    return [Route(PATH, newest), Route(f"{PATH}/{{identifier:path}}", one)]
