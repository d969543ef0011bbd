"""These are short words for asking a server under test."""

from __future__ import annotations

from typing import Any

import httpx

from tests.registry_server import Server
from tests.waiting import PATIENCE_S


def ask(server: Server, endpoint: str, path: str, *, method: str = "GET", **headers: str) -> httpx.Response:
    """Send one request on a connection of its own; `if_none_match="…"` sends that header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with httpx.Client(trust_env=False, timeout=PATIENCE_S) as client:
        return client.request(method, server.endpoints()[endpoint] + path, headers=named)


def ask_json(server: Server, endpoint: str, path: str, **headers: str) -> Any:
    response = ask(server, endpoint, path, **headers)
    assert response.status_code == 200, response.text
    return response.json()
