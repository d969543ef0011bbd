"""This module has the page of the queue: what waits, what is in work, what is tried again and why."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from securechain_ingest.drivers.redis_errors import store_errors
from securechain_ingest.errors import InvalidName
from securechain_ingest.queue.breakers import pause, resume
from securechain_ingest.queue.inspection import (
    IN_WORK,
    RETRYING,
    STATES,
    WAITING,
    Queued,
    messages_in_work,
    queued_messages,
    remove_keys,
)
from securechain_ingest.queue.keys import Keys
from securechain_ingest.queue.lanes import LANES, Lane
from securechain_ingest.registries import DECLARATIONS, declaration_of
from securechain_ingest.web.addresses import path_of_message
from securechain_ingest.web.collected import Collected
from securechain_ingest.web.parts import Parts
from securechain_ingest.web.shell import Form, Shell, back

PATH: Final = "/queue"
_SHOWN: Final = 100
"""So many messages are shown at most."""

_NAMES: Final = tuple(declaration.name for declaration in DECLARATIONS)


def routes(parts: Parts, shell: Shell, collected: Collected) -> list[Route]:
    """Return the routes of this room."""
    room = _QueueRoom(parts, shell, collected)
    return [
        Route(PATH, room.messages),
        Route("/queue/cancel", shell.action(room.cancel), methods=["POST"]),
        Route("/pauses", shell.action(room.pauses), methods=["POST"]),
    ]


class _QueueRoom:
    def __init__(self, parts: Parts, shell: Shell, collected: Collected) -> None:
        self._redis = parts.stores.redis
        self._graph = parts.stores.graph
        self._queue = parts.settings.queue
        self._shell = shell
        self._collected = collected

    async def messages(self, request: Request) -> Response:
        asked = request.query_params
        ecosystem = asked.get("ecosystem", "")
        lane, state = asked.get("lane", ""), asked.get("state", "")
        ecosystems = [declaration_of(ecosystem).name] if ecosystem else list(_NAMES)
        lanes = [Lane(lane)] if lane in LANES else list(LANES)
        found = await self._found(ecosystems, lanes, state)
        return self._shell.page(
            request,
            "queue.html",
            rows=[
                {
                    "queued": each,
                    "target": path_of_message(each.entry.asks),
                    "where": _where(each),
                    "since": _since(each),
                }
                for each in found[:_SHOWN]
            ],
            has_more=len(found) > _SHOWN,
            most=_SHOWN,
            declarations=DECLARATIONS,
            lanes=LANES,
            states=STATES,
            chosen={"ecosystem": ecosystem, "lane": lane, "state": state},
            snapshot=await self._collected.snapshot(),
        )

    async def _found(self, ecosystems: list[str], lanes: list[Lane], state: str) -> list[Queued]:
        """Return the messages to show, and one more if there are more."""
        limit = _SHOWN + 1
        found: list[Queued] = []
        if state in ("", IN_WORK):
            in_work = await messages_in_work(
                self._redis, self._queue.stream, self._queue.group, ecosystems, lanes, limit=limit
            )
            found += in_work[:limit]
        for pair in ((name, lane) for name in ecosystems for lane in lanes):
            for only_retrying in (True, False):
                if len(found) >= limit or state not in ("", RETRYING if only_retrying else WAITING):
                    continue
                async for each in queued_messages(
                    self._redis,
                    self._queue.stream,
                    self._queue.group,
                    [pair[0]],
                    [pair[1]],
                    only_retrying=only_retrying,
                ):
                    if len(found) >= limit or (each.state == RETRYING and not only_retrying):
                        break  # Those that wait come before those that are tried again.
                    if each.state == (RETRYING if only_retrying else WAITING):
                        found.append(each)
        return found

    async def cancel(self, _: Request, form: Form) -> Response:
        chosen: dict[tuple[str, Lane], dict[str, tuple[str, str]]] = defaultdict(dict)
        for text in form.many("message"):
            match _read_choice(text):
                case [str(ecosystem), str(lane), str(state), str(key), str(package)] if lane in LANES:
                    chosen[declaration_of(ecosystem).name, Lane(lane)][key] = state, package
        count = 0
        for (ecosystem, lane), named in chosen.items():
            gone = await remove_keys(
                self._redis,
                self._queue.stream,
                self._queue.group,
                ecosystem,
                lane,
                word="cancelled",
                ids=[key for key, (state, _) in named.items() if state == WAITING],
                tokens=[key for key, (state, _) in named.items() if state == RETRYING],
            )
            count += len(gone)
            if lane.may_be_required:
                # Without this mark in the graph the next package that requires one of them queues it again.
                purls = [purl for key in gone if (purl := _purl(ecosystem, named[key][1]))]
                await self._graph.forget_queued(purls)
        if not chosen:
            return back(PATH, "chosen")
        return back(PATH, "cancelled", count)

    async def pauses(self, request: Request, form: Form) -> Response:
        name, action = declaration_of(form.one("ecosystem")).name, form.one("action")
        if action not in ("pause", "resume"):
            return self._shell.unknown_action(request)
        is_pause = action == "pause"
        with store_errors():
            await (pause if is_pause else resume)(self._redis, Keys(self._queue.stream), name)
        self._collected.forget_snapshot()
        return back(form.one("from") if form.one("from") in ("/", PATH) else "/", "paused" if is_pause else "resumed")


def _where(queued: Queued) -> str:
    package = queued.message.package if queued.message else ""
    return orjson.dumps([queued.entry.ecosystem, queued.entry.lane, queued.state, queued.key, package]).decode()


def _since(queued: Queued) -> datetime:
    """Return when the message came: the ids of entries begin with the time, in milliseconds."""
    milliseconds = queued.entry.origin_id.partition("-")[0]
    # Another release may have written the id.
    is_time = milliseconds.isdecimal() and milliseconds.isascii() and len(milliseconds) <= len("9999999999999")
    return datetime.fromtimestamp(int(milliseconds) / 1000 if is_time else 0, UTC)


def _read_choice(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _purl(ecosystem: str, package: str) -> str | None:
    try:
        return declaration_of(ecosystem).identify(package).purl
    except InvalidName:
        return None
