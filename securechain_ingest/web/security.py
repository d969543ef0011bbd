"""This module decides who may see the page and who may act on it, because both names and requests come from strangers.

On loopback everybody may look; elsewhere the token is needed for everything but /healthz and /readyz. An action needs
the token everywhere, in a session that a form has opened, and a word that only the page's own forms contain (against
requests that another site makes a browser send).
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
    """Return the configured token, or else one that is made once and kept in the state directory, where only its
    owner can read it."""
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
    """Return whether only programs on this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """This ASGI middleware checks the Host header and the token, and sets the headers of every answer."""

    def __init__(self, app: ASGIApp, *, host: str, token: str) -> None:
        self._app = app
        self._token = token
        self._is_local = is_loopback(host)
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection, as ASGI specifies."""
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
        """Return whether the Host header is one of this machine's names. An IP address is accepted, because it
        cannot be another site's name."""
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
    """Return the content of a session's cookie. It opens the page and does not reveal the token."""
    return hmac.new(token.encode(), b"session", hashlib.sha256).hexdigest()


def form_word(token: str) -> str:
    """Return the word that the page's own forms contain and that another site cannot know."""
    return hmac.new(token.encode(), b"form", hashlib.sha256).hexdigest()


def is_bearer(connection: HTTPConnection, token: str) -> bool:
    """Return whether the request carries the token itself."""
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and _equal(given.strip(), token)


def is_session(connection: HTTPConnection, token: str) -> bool:
    """Return whether the request comes from a user who has logged in."""
    return _equal(connection.cookies.get(COOKIE, ""), session_of(token))


def may_act(connection: HTTPConnection, token: str, word: object) -> bool:
    """Return whether a user who has logged in has sent one of the page's own forms."""
    return is_session(connection, token) and isinstance(word, str) and _equal(word, form_word(token))


def is_token(given: object, token: str) -> bool:
    """Return whether `given` is the token."""
    return isinstance(given, str) and _equal(given.strip(), token)


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
