"""This module has the pages about packages: to look one up, to see what is known of it, and to ask for one and follow
that to its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from securechain_ingest.errors import InvalidName, NotFound
from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.queue.dead_letters import KINDS
from securechain_ingest.queue.messages import Message
from securechain_ingest.queue.outcomes import Outcomes, PackageOutcome
from securechain_ingest.queue.submission import submit
from securechain_ingest.registries import DECLARATIONS, ECOSYSTEMS, declaration_of, named_package
from securechain_ingest.registries.naming import named_version
from securechain_ingest.reports.package import report_on
from securechain_ingest.reports.requirements import requirement_tree
from securechain_ingest.runs import new_run_id, utc_now
from securechain_ingest.web.addresses import path_of, path_of_advisory, path_of_purl
from securechain_ingest.web.collected import Collected
from securechain_ingest.web.parts import Parts
from securechain_ingest.web.picture import HEIGHT, WIDTH, picture_of
from securechain_ingest.web.shell import Form, Shell, Values

PATH: Final = "/packages"
_FOUND: Final = 20
_SHORTEST: Final = 2
_ADVISORIES: Final = ("CVE-", "GHSA-", "MAL-", "PYSEC-", "RUSTSEC-")
"""What begins so and is the beginning of no package's name is looked up among the advisories."""
_LONGEST: Final = 214
"""No registry lets a name be longer than about this; whatever is longer is not looked for."""


def routes(parts: Parts, shell: Shell, collected: Collected) -> list[Route]:
    """Return the routes of this room."""
    room = _PackageRoom(parts, shell, collected)
    return [
        Route(PATH, room.search),
        Route(f"{PATH}/{{ecosystem}}/{{name:path}}", room.package),
        Route("/submissions", shell.action(room.submit), methods=["POST"]),
        Route("/submissions/{run}", room.submission),
        Route("/submissions/{run}/events", room.submission_live),
    ]


class _PackageRoom:
    def __init__(self, parts: Parts, shell: Shell, collected: Collected) -> None:
        self._stores = parts.stores
        self._queue = parts.settings.queue
        self._shell = shell
        self._collected = collected

    async def search(self, request: Request) -> Response:
        text = request.query_params.get("package", "").strip()
        reason = ""
        if ":" in text:
            try:
                return RedirectResponse(path_of(*named_version(text)), 303)
            except InvalidName as error:
                reason = str(error)
        found: list[tuple[str, str | None]] = []
        if not reason and _SHORTEST <= len(text) <= _LONGEST:
            purls = await self._stores.graph.lookups.named(ECOSYSTEMS, text.lower(), _FOUND)
            found = [(purl, path_of_purl(purl)) for purl in sorted(purls, key=lambda purl: (len(purl), purl))]
        if not found and text.upper().startswith(_ADVISORIES):
            return RedirectResponse(path_of_advisory(text), 303)
        return self._packages(request, status=404 if reason else 200, text=text, reason=reason, found=found)

    def _packages(self, request: Request, **values: Any) -> Response:
        """Return the page with both forms, and what was typed into them."""
        shown = {"text": "", "reason": "", "found": (), "asked": "", "wrong": "", **values}
        return self._shell.page(request, "packages.html", declarations=DECLARATIONS, shortest=_SHORTEST, **shown)

    async def package(self, request: Request) -> Response:
        ref, version = named_version(f"{request.path_params['ecosystem']}:{request.path_params['name']}")
        stores = self._stores
        cursors = Cursors(stores.redis, self._queue.stream)
        try:
            report = await report_on(stores.graph.reader, stores.advisories, stores.changes, cursors, ref, version)
        except NotFound as error:
            has_others = version is not None and await stores.graph.reader.package(ref.ecosystem, ref.purl) is not None
            return self._shell.page(
                request,
                "package_missing.html",
                status=404,
                reason=str(error),
                asked=f"{ref.ecosystem.name}:{ref.registry_name}",
                path_of_package=path_of(ref) if has_others else "",
            )
        if report.package.purl != ref.purl:
            return RedirectResponse(path_of(named_package(report.package.purl), version), 303)
        shown = report.version
        tree = await requirement_tree(
            stores.graph.lookups, ref.ecosystem, report.package.purl, shown.purl, shown.vulnerabilities
        )
        return self._shell.page(
            request,
            "package.html",
            report=report,
            asked=f"{ref.ecosystem.name}:{ref.registry_name}",
            paths={each.name: path_of(ref, each.name) for each in report.package.versions},
            path_of=path_of_purl,
            path_of_advisory=path_of_advisory,
            now=datetime.now(UTC),
            tree=tree,
            picture=picture_of(tree),
            box={"width": WIDTH, "height": HEIGHT},
        )

    async def submit(self, request: Request, form: Form) -> Response:
        asked = form.one("package").strip()
        try:
            ref, _ = named_version(asked)  # A package is read with all its versions.
        except InvalidName as error:
            return self._packages(request, status=400, asked=asked, wrong=str(error))
        run = f"submission-{new_run_id(utc_now())}"
        asked = f"{ref.ecosystem.name}:{ref.registry_name}"
        message = Message(node_type=ref.ecosystem.label, package=ref.registry_name, refresh=bool(form.one("refresh")))
        about = orjson.dumps({"package": asked, "at": utc_now().timestamp()}).decode()
        await self._outcomes(run).begin(about)
        await submit(self._stores.redis, self._queue, [replace(message, run=run)])
        return RedirectResponse(f"/submissions/{run}", 303)

    async def submission(self, request: Request) -> Response:
        run = request.path_params["run"]
        values = await self._progress(run)
        if values is None:
            text = "This submission is not known, or was made more than a day ago."
            return self._shell.message(request, 404, "Not there", text)
        return self._shell.page(request, "submission.html", **values)

    async def submission_live(self, request: Request) -> Response:
        run = request.path_params["run"]

        async def read() -> Values:
            found = await self._progress(run)
            if found is None:
                raise NotFound("this submission is not known any more", url=run)
            return found

        return self._shell.live(request, "submission_live.html", read, is_over="is_over")

    def _outcomes(self, run: str) -> Outcomes:
        return Outcomes(self._stores.redis, self._queue.stream, run, wait=True)

    async def _progress(self, run: str) -> dict[str, Any] | None:
        found = await self._outcomes(run).so_far()
        if found is None:
            return None
        about, outcomes = found
        try:
            document = orjson.loads(about)
            ref, since = named_package(document["package"]), float(document["at"])
        except (orjson.JSONDecodeError, InvalidName, KeyError, TypeError, ValueError):
            return None
        snapshot = await self._collected.figures()
        name = ref.ecosystem.name
        outcome = _of(ref.registry_name, outcomes)
        took_s = None if outcome else max(0.0, utc_now().timestamp() - since)
        return {
            "run": run,
            "asked": f"{name}:{ref.registry_name}",
            "path_of_package": path_of(ref),
            "registry": declaration_of(name).title,
            "outcome": outcome,
            "waiting_s": took_s,
            "is_paused": name in snapshot.queue.paused,
            "breaker": snapshot.queue.breakers.get(ref.ecosystem.endpoint),
            "lane": snapshot.queue.lanes[name]["asked"],
            "daemons": sum(daemon.is_up for daemon in snapshot.daemons),
            "is_over": outcome is not None,
            "kinds": KINDS,
        }


def _of(name: str, outcomes: list[PackageOutcome]) -> PackageOutcome | None:
    """Return the outcome of the package that was asked for. What it requires may end under the same run."""
    return next((each for each in outcomes if each.package.lower() == name.lower()), None)
