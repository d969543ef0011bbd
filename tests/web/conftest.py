"""This is a page over real stores, asked over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from securechain_ingest.configuration import Settings, load
from securechain_ingest.embedded.addresses import StoreAddresses
from securechain_ingest.progress import Progress
from securechain_ingest.registries import ECOSYSTEMS
from securechain_ingest.stores import Stores, connect
from securechain_ingest.web.app import Website, build_app
from securechain_ingest.web.parts import Parts
from securechain_ingest.web.server import listen, serve
from tests.stores import AdvisoryTarget, GraphTarget
from tests.waiting import PATIENCE_S, Clock

TOKEN = "a-token-of-tests-0123"


@dataclass
class WebSite:
    """This is a served page."""

    client: httpx.AsyncClient
    stores: Stores
    settings: Settings
    progress: Progress
    clock: Clock
    app: Website

    async def log_in(self) -> str:
        """Return the word that forms carry."""
        answer = await self.client.post("/login", data={"token": TOKEN})
        assert answer.status_code == 303
        text = (await self.client.get("/")).text
        return text.split('name="word" value="')[1].split('"')[0]


@pytest.fixture
def host() -> str:
    """Return where the page says that it listens; it is asked on loopback in any case."""
    return "127.0.0.1"


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page waits for its stores as long as a test does: people would not, but a busy machine may need it."""
    for limit in ("app.PATIENCE_S", "app.FIGURES_S", "health._PATIENCE_S"):
        monkeypatch.setattr(f"securechain_ingest.web.{limit}", PATIENCE_S)


@pytest.fixture
async def site(
    host: str,
    arcadedb_server: GraphTarget,
    redis_url: str,
    advisory_target: AdvisoryTarget,
    tmp_path: Path,
    patient: None,
) -> AsyncIterator[WebSite]:
    variables = {
        "REDIS_URL": redis_url,
        "GRAPH_DB_URI": arcadedb_server.uri,
        "GRAPH_DB_USER": arcadedb_server.user,
        "GRAPH_DB_PASSWORD": arcadedb_server.password,
        "SECURECHAIN_GRAPH__DATABASE": arcadedb_server.database or "",
        "VULN_DB_URI": advisory_target.uri,
        "SECURECHAIN_VULNERABILITIES__DATABASE": advisory_target.database,
        "SECURECHAIN_WEB__HOST": host,
        "SECURECHAIN_STATE_DIR": str(tmp_path),
    }
    settings = load(environment=variables)
    addresses = StoreAddresses(
        redis_url=redis_url,
        graph_uri=arcadedb_server.uri,
        graph_user=arcadedb_server.user,
        graph_password=arcadedb_server.password,
        graph_database=arcadedb_server.database,
        vulnerability_uri=advisory_target.uri,
    )
    clock = Clock()
    progress = Progress(lambda: 60.0, clock)
    listener = listen("127.0.0.1", 0)
    assert listener is not None
    port = listener.getsockname()[1]
    async with connect(addresses, settings) as stores:
        await stores.graph.ensure_schema(ECOSYSTEMS)
        app = build_app(Parts(stores, settings, progress, TOKEN))
        serving = asyncio.create_task(serve(app, listener))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client:
            yield WebSite(client, stores, settings, progress, clock, app)
        serving.cancel()
        await asyncio.wait([serving])
        await app.close()
