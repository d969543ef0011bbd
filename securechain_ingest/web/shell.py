"""This module has what all pages share: their frame, their forms, the check before an action, and live figures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from securechain_ingest.bounds import sentence
from securechain_ingest.errors import IngestError
from securechain_ingest.web import security
from securechain_ingest.web.parts import Parts
from securechain_ingest.web.rendering import render, rendered

Values: TypeAlias = Mapping[str, Any]

LIVE_EVERY_S: Final = 2.0
_SAID_AGAIN_S: Final = 15.0
"""A connection over which nothing is said for so many seconds gets a comment, so that nothing between takes it for
dead."""
_LIVE_FOR_S: Final = 600.0
"""After so many seconds a browser has to ask again, so a page that nobody looks at any more stops costing anything."""

_FORM_BYTES: Final = 65_536
_FORM_S: Final = 10.0
_FIELDS: Final = 1_000
_LONGEST_SENTENCE: Final = 500
_LONGEST_PATH: Final = 2_000
"""In characters. No page has a longer path; whoever asks for one does not come back to it by the log-in."""

NOTICES: Final = {
    "replayed": "{count} sent again.",
    "dropped": "{count} deleted.",
    "cancelled": "{count} taken out of the queue. What is in work is finished.",
    "paused": "Paused. What is in work is handed back.",
    "resumed": "It goes on.",
    "enabled": "The job runs at its times again.",
    "disabled": "The job does not run at its times any more.",
    "asked": "A run is asked for. A daemon begins it as soon as no other run of the job is under way.",
    "chosen": "Nothing was chosen, so nothing was done.",
    "out": "You are logged out.",
}
"""These sentences may follow an action. Only the words before them stand in an address, so that no link can put a
sentence of its own onto the page."""


@dataclass(frozen=True, slots=True)
class Form:
    """These are the fields of a form that was sent."""

    fields: Mapping[str, Sequence[str]]

    def one(self, name: str) -> str:
        """Return the first value of a field without the spaces around it; it is empty if there is none."""
        return self.many(name)[0].strip() if self.many(name) else ""

    def many(self, name: str) -> Sequence[str]:
        """Return all values of a field."""
        return self.fields.get(name, ())


class Shell:
    """Each room of the page gets this to answer with."""

    def __init__(self, parts: Parts) -> None:
        self._token = parts.token

    def page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
        """Return a whole page that is made from a template."""
        return render(template, status=status, **values, **self._frame(request))

    def message(self, request: Request, status: int, title: str, text: str, *, has_login: bool = False) -> Response:
        """Return a page that has one sentence, and a link to the form's login if `has_login`. The end of a text that is
        too long is left out, because it may repeat what a stranger has asked for."""
        shown = sentence(text, _LONGEST_SENTENCE)
        return self.page(request, "message.html", status=status, title=title, text=shown, has_login=has_login)

    def unknown_action(self, request: Request) -> Response:
        """Return the answer to a form that does not say what the page could do."""
        return self.message(request, 400, "Not known", "The page has no such action.")

    def action(self, handler: Callable[[Request, Form], Awaitable[Response]]) -> Callable[[Request], Any]:
        """Return the endpoint of an action. `handler` is called only for a user who has logged in and who has sent
        one of the page's own forms."""

        async def endpoint(request: Request) -> Response:
            form = await read_form(request)
            if form is None:
                return self.message(request, 413, "Too much", "The form is larger than any form of this page.")
            if not security.may_act(request, self._token, form.one("word")):
                text = "Log in first, and use the form of the page."
                return self.message(request, 403, "Not allowed", text, has_login=True)
            return await handler(request, form)

        return endpoint

    def live(
        self, request: Request, template: str, read: Callable[[], Awaitable[Values]], *, is_over: str = ""
    ) -> Response:
        """Return events that have the template anew whenever what `read` returns looks different.

        If `is_over` names a value, no event follows the first in which that value is true.
        """

        async def events() -> AsyncIterator[str]:
            frame, last, silent_s = self._frame(request), "", 0.0
            for _ in range(int(_LIVE_FOR_S / LIVE_EVERY_S)):
                try:
                    values = await read()
                    text = rendered(template, **values, **frame)
                except IngestError:
                    return  # The browser asks again, and then gets the error.
                if text != last:
                    last, silent_s = text, 0.0
                    yield "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"
                elif silent_s >= _SAID_AGAIN_S:
                    silent_s = 0.0
                    yield ": nothing new\n\n"
                if is_over and values[is_over]:
                    yield "event: over\ndata: over\n\n"
                    return
                await asyncio.sleep(LIVE_EVERY_S)
                silent_s += LIVE_EVERY_S

        return StreamingResponse(events(), media_type="text/event-stream")

    def _frame(self, request: Request) -> dict[str, Any]:
        """Return what every template needs to know about the visitor and the address."""
        session, path = security.session(request, self._token), request.url.path
        done, count = request.query_params.get("done", ""), request.query_params.get("count", "")
        notice = NOTICES.get(done, "").format(count=f"{int(count):,}" if count.isdecimal() and len(count) < 10 else "0")
        return {
            "is_logged_in": session is not None,
            "form_word": security.form_word(self._token, session) if session else "",
            "path": path if len(path) <= _LONGEST_PATH else "/",
            "notice": notice,
        }


def back(path: str, done: str, count: int | None = None, **query: str) -> Response:
    """Return the answer to an action: the browser asks for `path`, which shows the notice `done`."""
    asked = {**{name: value for name, value in query.items() if value}, "done": done}
    if count is not None:
        asked["count"] = str(count)
    return RedirectResponse(f"{path}?{urlencode(asked)}", 303)


async def read_form(request: Request) -> Form | None:
    """Return the fields of a form. It is None if the form is larger, or comes more slowly, than any of the page's own
    does."""
    body = b""
    try:
        async with asyncio.timeout(_FORM_S):
            async for piece in request.stream():
                body += piece
                if len(body) > _FORM_BYTES:
                    return None
        return Form(parse_qs(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=_FIELDS))
    except (TimeoutError, ValueError):
        return None
