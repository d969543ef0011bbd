"""This module has the pages about packages."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.registries.naming import named_version
from securechain_ingest.reports.package import report_on
from securechain_ingest.web.addresses import path_of
from securechain_ingest.web.parts import Parts
from securechain_ingest.web.shell import Shell


def routes(parts: Parts, shell: Shell) -> list[Route]:
    """Return the routes of this room."""
    stores = parts.stores

    async def package(request: Request) -> Response:
        ref, version = named_version(f"{request.path_params['ecosystem']}:{request.path_params['name']}")
        cursors = Cursors(stores.redis, parts.settings.queue.stream)
        report = await report_on(stores.graph.reader, stores.advisories, stores.changes, cursors, ref, version)
        paths = {each.name: path_of(ref, each.name) for each in report.package.versions}
        return shell.page(request, "package.html", report=report, paths=paths, now=datetime.now(UTC))

    return [Route("/packages/{ecosystem}/{name:path}", package)]
