"""This module lets a user log in by the token, and out again."""

from __future__ import annotations

import time
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from securechain_ingest.web import security
from securechain_ingest.web.parts import Parts
from securechain_ingest.web.shell import Form, Shell, back, read_form


def routes(parts: Parts, shell: Shell, attempts: security.Attempts) -> list[Route]:
    """Return the routes of this room."""
    token = parts.token

    async def login(request: Request) -> Response:
        given: Mapping[str, str] = request.query_params
        if request.method == "POST":
            form = await read_form(request)
            given = {name: form.one(name) for name in ("token", "next")} if form else {}
        asked, following = given.get("token", ""), _local(given.get("next", ""))
        if not asked:
            status = 403 if request.method == "POST" else 200
            return shell.page(request, "login.html", status=status, failed=False, next=following)
        address = security.address_of(request)
        if wait_s := attempts.wait_s(address):
            return security.too_many(wait_s)
        if not security.is_token(asked, token):
            attempts.failed(address)
            return shell.page(request, "login.html", status=403, failed=True, next=following)
        answer = RedirectResponse(following, 303)
        answer.set_cookie(
            security.COOKIE,
            security.new_session(token, time.time()),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
            max_age=security.SESSION_S,
        )
        return answer

    async def logout(_: Request, __: Form) -> Response:
        answer = back("/login", "out")
        answer.delete_cookie(security.COOKIE, httponly=True, samesite="strict")
        return answer

    return [
        Route("/login", login, methods=["GET", "POST"]),
        Route("/logout", shell.action(logout), methods=["POST"]),
    ]


def _local(path: str) -> str:
    """Return a path of this page, so that no link can send a user elsewhere after the log-in."""
    is_local = path.startswith("/") and path.isprintable() and not path.startswith("//") and "\\" not in path
    return path if is_local else "/"
