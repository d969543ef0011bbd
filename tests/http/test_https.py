"""This tests HTTPS as real registries speak it: HTTP/2 where it is offered, and no server whose certificate nobody
vouches for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from hypercorn.asyncio import serve
from hypercorn.config import Config, Sockets
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPResponseBodyEvent, HTTPResponseStartEvent, Scope

from securechain_ingest.ecosystem_settings import EndpointSettings
from securechain_ingest.errors import Unavailable
from securechain_ingest.http.client import HttpClient
from securechain_ingest.settings import HttpSettings
from tests.http.conftest import connections, rates


class _Bound(Config):
    """This is a configuration whose port is already taken and known."""

    def __init__(self) -> None:
        super().__init__()
        self.bind = ["127.0.0.1:0"]
        self.errorlog = None

    def create_sockets(self) -> Sockets:
        self.sockets = super().create_sockets()
        return self.sockets

    @property
    def port(self) -> int:
        return int(self.sockets.secure_sockets[0].getsockname()[1])


@asynccontextmanager
async def https_server(
    authority: trustme.CA, folder: Path, protocols: list[str]
) -> AsyncIterator[tuple[str, list[str]]]:
    """Yield the base URL of a server that answers everything, and the HTTP version of each request so far."""
    versions: list[str] = []
    ready, ended = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        assert scope["type"] == "http"
        versions.append(scope["http_version"])
        await send(HTTPResponseStartEvent(type="http.response.start", status=200, headers=[]))
        await send(HTTPResponseBodyEvent(type="http.response.body", body=b"{}", more_body=False))

    async def until_ended() -> None:
        ready.set()
        await ended.wait()

    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    config = _Bound()
    config.keyfile, config.certfile = str(folder / "key.pem"), str(folder / "certificate.pem")
    config.alpn_protocols = protocols
    task = asyncio.create_task(serve(app, config, shutdown_trigger=until_ended))
    try:
        await ready.wait()
        yield f"https://127.0.0.1:{config.port}", versions
    finally:
        ended.set()
        await task


def client(base: str) -> HttpClient:
    return HttpClient(
        HttpSettings(retries=0),
        EndpointSettings(**dict.fromkeys(EndpointSettings.model_fields, base)),
        rates(),
        connections(),
    )


@pytest.mark.parametrize(("offered", "spoken"), [(["h2", "http/1.1"], "2"), (["http/1.1"], "1.1")])
async def test_the_newest_protocol_that_a_registry_offers_is_spoken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offered: list[str], spoken: str
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    async with https_server(authority, tmp_path, offered) as (base, versions), client(base) as http:
        documents = await asyncio.gather(*(http.get(f"{base}/{number}") for number in range(5)))
        assert [document.body for document in documents] == [b"{}"] * 5
        assert versions == [spoken] * 5


async def test_a_server_that_nobody_vouches_for_is_unavailable(tmp_path: Path) -> None:
    async with https_server(trustme.CA(), tmp_path, ["h2"]) as (base, versions), client(base) as http:
        with pytest.raises(Unavailable, match="certificate"):
            await http.get(f"{base}/1")
        assert versions == []
