"""This module has the pages of the dead letters: all of them, one kind, and one with its payload and its history."""

from __future__ import annotations

from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from securechain_ingest.queue.dead_letters import (
    DeadLetter,
    drop_dead_letters,
    list_dead_letters,
    replay_dead_letters,
    show_dead_letter,
)
from securechain_ingest.queue.entries import read_entry
from securechain_ingest.queue.lanes import Lane
from securechain_ingest.registries import ECOSYSTEMS
from securechain_ingest.web.addresses import path_of_message
from securechain_ingest.web.collected import Collected
from securechain_ingest.web.parts import Parts
from securechain_ingest.web.shell import Form, Shell, back

PATH: Final = "/dead-letters"
_PAGE: Final = 50
_ECOSYSTEM_OF: Final = {ecosystem.label: ecosystem.name for ecosystem in ECOSYSTEMS}


def routes(parts: Parts, shell: Shell, collected: Collected) -> list[Route]:
    """Return the routes of the pages of dead letters."""
    redis, queue = parts.stores.redis, parts.settings.queue

    async def everything(request: Request) -> Response:
        kind, after = request.query_params.get("kind", ""), request.query_params.get("after", "")
        found = await list_dead_letters(redis, queue, limit=_PAGE + 1, after=after or None, kind=kind or None)
        letters = [_shown(letter) for letter in found[:_PAGE]]
        return shell.page(
            request,
            "dead_letters.html",
            letters=letters,
            kinds=await collected.dead_letters(),
            kind=kind,
            after=after,
            following=letters[-1]["letter"].entry_id if len(found) > _PAGE else "",
        )

    async def one(request: Request) -> Response:
        entry_id = request.path_params["entry_id"]
        letter = await show_dead_letter(redis, queue, entry_id)
        if letter is None:
            return shell.message(request, 404, "Not there", f"There is no dead letter {entry_id} any more.")
        return shell.page(request, "dead_letter.html", **_shown(letter), payload=_pretty(letter.data))

    async def act(request: Request, form: Form) -> Response:
        if form.one("action") not in ("replay", "drop"):
            return shell.unknown_action(request)
        ids, kind, scope = list(form.many("id")), form.one("kind"), form.one("scope")
        chosen: dict[str, Any] = {"ids": ids}
        if scope == "kind" and kind:
            chosen = {"kind": kind}
        elif scope == "all":
            chosen = {}
        elif not ids:
            return back(PATH, "chosen", kind=kind)
        if form.one("action") == "drop":
            count, done = await drop_dead_letters(redis, queue, **chosen), "dropped"
        else:
            count, done = await replay_dead_letters(redis, queue, ecosystems=_ECOSYSTEM_OF, **chosen), "replayed"
        collected.forget_dead_letters()
        return back(PATH, done, count, kind="" if scope in ("kind", "all") else kind)

    return [
        Route(PATH, everything),
        Route(PATH, shell.action(act), methods=["POST"]),
        Route(f"{PATH}/{{entry_id}}", one),
    ]


def _shown(letter: DeadLetter) -> dict[str, Any]:
    entry = read_entry("", Lane.ASKED, letter.entry_id.encode(), {b"data": letter.data.encode()})
    return {"letter": letter, "target": path_of_message(entry.asks), "asks": entry.asks}


def _pretty(data: str) -> str:
    """Return JSON with a line for each key, and any other text as it is."""
    try:
        return orjson.dumps(orjson.loads(data), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        return data
