"""Who may see and do what on the page: names come from strangers, and so do requests.

On loopback everybody may look; off it the token is wanted for everything but /healthz and /readyz. What acts wants the
token everywhere, in a session that a form has opened, and a word that only our own forms know (against requests that
another site makes a browser send).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
from pathlib import Path
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE: Final = "securechain_session"
TOKEN_FILE: Final = "web-token"  # noqa: S105 - a file's name
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def token_of(configured: str | None, state_dir: Path) -> str:
    """The configured token, else one that is made once and kept in the state directory, readable by its owner only."""
    if configured:
        return configured
    file = state_dir / TOKEN_FILE
    if file.exists() and (kept := file.read_text().strip()):
        return kept
    made = secrets.token_urlsafe(24)
    file.touch(mode=0o600)
    file.write_text(made)
    return made


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """ASGI middleware: the Host header, the token, and the headers of every answer."""

    def __init__(self, app: ASGIApp, *, host: str, token: str) -> None:
        self._app = app
        self._token = token
        self._is_local = is_loopback(host)
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._refusal(connection)
        await (answer or self._app)(scope, receive, send_guarded)

    def _refusal(self, connection: HTTPConnection) -> Response | None:
        path = connection.url.path
        if path in OPEN_PATHS:
            return None
        if not self._is_ours(connection.headers.get("host", "")):
            return PlainTextResponse("this Host is not served here\n", 421)
        if self._is_local or path == "/login" or path.startswith("/static/"):
            return None
        if is_bearer(connection, self._token) or is_session(connection, self._token):
            return None
        if path == "/metrics":
            return PlainTextResponse("the token is wanted, as a bearer\n", 401, {"WWW-Authenticate": "Bearer"})
        return RedirectResponse("/login", 303)

    def _is_ours(self, header: str) -> bool:
        """Whether the Host is one of this machine's names; an address is no other site's name."""
        name = header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() else header
        name = name.strip("[]").lower()
        if self._is_local:
            return name == "localhost" or is_loopback(name)
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names or name == socket.getfqdn().lower()
        return True


def session_of(token: str) -> str:
    """What the cookie of a session holds: it opens the page and does not tell the token."""
    return hmac.new(token.encode(), b"session", hashlib.sha256).hexdigest()


def form_word(token: str) -> str:
    """What our own forms carry and another site cannot know."""
    return hmac.new(token.encode(), b"form", hashlib.sha256).hexdigest()


def is_bearer(connection: HTTPConnection, token: str) -> bool:
    """Whether the request carries the token itself."""
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and _equal(given.strip(), token)


def is_session(connection: HTTPConnection, token: str) -> bool:
    """Whether the request comes from somebody who has logged in."""
    return _equal(connection.cookies.get(COOKIE, ""), session_of(token))


def may_act(connection: HTTPConnection, token: str, word: object) -> bool:
    """Whether a form of ours was sent by somebody who has logged in."""
    return is_session(connection, token) and isinstance(word, str) and _equal(word, form_word(token))


def is_token(given: object, token: str) -> bool:
    """Whether somebody knows the token."""
    return isinstance(given, str) and _equal(given.strip(), token)


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
