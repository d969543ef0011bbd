"""This module decides who may see the page and who may act on it, because both names and requests come from strangers.

On loopback everybody may look; elsewhere the token is needed for everything but /healthz and /readyz. An action needs
the token everywhere, in a session that a form has opened, and a word that only the page's own forms contain (against
requests that another site makes a browser send).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
import os
import secrets
import socket
import time
import traceback
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE: Final = "securechain_session"
SESSION_S: Final = 7 * 86_400
FAILURES: Final = 10
RECOVERY_S: Final = 6.0
_ADDRESSES: Final = 1_000
TOKEN_FILE: Final = "web-token"  # noqa: S105 - a file's name
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})

logger = structlog.get_logger(__name__)

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
    owner can read it. Raise OSError if it cannot be kept there."""
    if configured:
        return configured
    file = state_dir / TOKEN_FILE
    if file.exists() and (kept := file.read_text(encoding="utf-8", errors="replace").strip()):
        return kept
    made = secrets.token_urlsafe(24)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        os.fchmod(opened.fileno(), 0o600)
        opened.write(made)
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
    """This ASGI middleware checks the Host header and the token, and sets the headers of every answer. A fault of a
    page becomes one warning and an answer that says so."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        names: Collection[str],
        token: str,
        attempts: Attempts,
        fault: Callable[[], Response],
    ) -> None:
        self._app = app
        self._token = token
        self._is_local = is_loopback(host)
        self._names = {"localhost", host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}
        if self._is_local:
            self._names = {"localhost"}
        self._names |= {name.lower() for name in names}
        self._fault = fault
        self._attempts = attempts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection, as ASGI specifies."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def send_guarded(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        connection = HTTPConnection(scope)
        try:
            await (self._refusal(connection) or self._app)(scope, receive, send_guarded)
        except ClientDisconnect:
            return  # It is no fault of the page, and nobody is left who could be answered.
        except Exception as error:  # noqa: BLE001 - no fault of a page may reach the daemon
            # Not the whole traceback: it is one line, and a frame of it could hold the token.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            at, reason = f"{Path(frame.filename).name}:{frame.lineno}", f"{type(error).__name__}: {error}"
            logger.warning("page_fault", path=scope["path"][:200], at=at, reason=reason[:500])
            if not has_begun:
                await self._fault()(scope, receive, send_guarded)

    def _refusal(self, connection: HTTPConnection) -> Response | None:
        path, address = connection.url.path, address_of(connection)
        is_open, has_bearer = path in OPEN_PATHS, bearer_of(connection) is not None
        if has_bearer and not is_open:
            if wait_s := self._attempts.wait_s(address):
                return too_many(wait_s)
            if is_bearer(connection, self._token):
                return None  # No other site can make a browser send that, so the Host does not matter.
            self._attempts.failed(address)
        if not self._is_ours(connection.headers.get("host", "")):
            return PlainTextResponse("this Host is not served here; [web] names can name it\n", 421)
        if self._is_local or is_open or path == "/login" or path.startswith("/static/"):
            return None
        if session(connection, self._token):
            return None
        if path == "/metrics" or has_bearer:
            return PlainTextResponse("the token is wanted, as a bearer\n", 401, {"WWW-Authenticate": "Bearer"})
        return RedirectResponse(f"/login?next={quote(path)}" if path != "/" else "/login", 303)

    def _is_ours(self, header: str) -> bool:
        """Return whether the Host header is one of this machine's names. An IP address is accepted off loopback,
        because it cannot be another site's name."""
        name = header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() else header
        name = name.strip("[]").lower()
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._is_local


def too_many(wait_s: float) -> Response:
    """Return the answer to an address that has tried too many wrong tokens."""
    seconds = math.ceil(wait_s)
    text = f"too many wrong tokens came from this address; try again in {seconds} s\n"
    return PlainTextResponse(text, 429, {"Retry-After": str(seconds)})


def new_session(token: str, now: float) -> str:
    """Return the content of a new session's cookie. It opens the page for SESSION_S seconds and does not reveal the
    token."""
    begun = f"{int(now)}"
    return f"{begun}.{_signed(token, f'session {begun}')}"


def session(connection: HTTPConnection, token: str) -> str | None:
    """Return the session of a user who has logged in, or None if the request belongs to none that is still good."""
    given = connection.cookies.get(COOKIE, "")
    begun, _, signature = given.partition(".")
    if not begun.isdecimal() or not _equal(signature, _signed(token, f"session {begun}")):
        return None
    return given if 0 <= time.time() - int(begun) < SESSION_S else None


def form_word(token: str, session: str) -> str:
    """Return the word that the page's own forms contain in a session, and that another site cannot know."""
    return _signed(token, f"form {session}")


def bearer_of(connection: HTTPConnection) -> str | None:
    """Return the token that a request carries as a bearer. It is None if it carries none, whatever else it says of
    its sender (a proxy may hand on its own users' Basic authentication)."""
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else None


def is_bearer(connection: HTTPConnection, token: str) -> bool:
    """Return whether the request carries the token itself."""
    return is_token(bearer_of(connection), token)


def may_act(connection: HTTPConnection, token: str, word: str) -> bool:
    """Return whether a user who has logged in has sent one of the page's own forms."""
    found = session(connection, token)
    return found is not None and _equal(word, form_word(token, found))


def is_token(given: object, token: str) -> bool:
    """Return whether `given` is the token."""
    return isinstance(given, str) and _equal(given.strip(), token)


class Attempts:
    """This bounds how often one address may try a wrong token: FAILURES times, and then once every RECOVERY_S
    seconds."""

    def __init__(self) -> None:
        self._failures: dict[str, tuple[float, float]] = {}
        """This maps an address to its failures, which decrease with time, and to the time of the last one."""

    def wait_s(self, address: str) -> float:
        """Return for how many seconds the address may not try again; 0 means that it may try."""
        failures = self._now(address)
        return max(0.0, (failures - FAILURES + 1) * RECOVERY_S) if failures > FAILURES - 1 else 0.0

    def failed(self, address: str) -> None:
        """Note a wrong token. Only the addresses that have failed last are remembered."""
        failures = self._now(address) + 1
        self._failures.pop(address, None)
        self._failures[address] = failures, time.monotonic()
        while len(self._failures) > _ADDRESSES:
            del self._failures[next(iter(self._failures))]

    def _now(self, address: str) -> float:
        failures, at = self._failures.get(address, (0.0, 0.0))
        return max(0.0, failures - (time.monotonic() - at) / RECOVERY_S)


def address_of(connection: HTTPConnection) -> str:
    """Return the address from which a request comes."""
    return connection.client.host if connection.client else ""


def _signed(token: str, text: str) -> str:
    return hmac.new(token.encode(), text.encode(), hashlib.sha256).hexdigest()


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="replace"), other.encode())
