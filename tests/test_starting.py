"""This tests a daemon that starts while its stores come and go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from securechain_ingest import daemon
from securechain_ingest.configuration import load
from securechain_ingest.errors import StoreAway
from securechain_ingest.waits import Waits


@pytest.mark.parametrize("where", ["ping", "indexes", "service", "prepare"])
async def test_a_store_that_goes_away_while_the_daemon_starts_is_waited_for(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for at whatever step; what was built before is closed, and all is begun anew."""
    steps: list[str] = []

    def reached(step: str) -> None:
        steps.append(step)
        if step == where and steps.count(step) == 1:
            raise StoreAway("a store cannot be reached")

    async def step(name: str) -> None:
        reached(name)

    @asynccontextmanager
    async def build(*_: Any) -> AsyncIterator[str]:
        reached("service")
        yield "the service"
        reached("closed")

    stores: Any = SimpleNamespace(
        ping=lambda: step("ping"),
        runs=SimpleNamespace(ensure_indexes=lambda: step("indexes")),
        graph=SimpleNamespace(prepare=lambda _: step("prepare")),
    )
    monkeypatch.setattr(daemon, "build_service", build)
    monkeypatch.setattr(daemon, "_STORE_WAITS", Waits(first_s=0.001, longest_s=0.001))
    async with daemon.build_service_when_ready(stores, load(environment={}), lambda: None) as service:
        assert service == "the service"  # type: ignore[comparison-overlap]
    assert steps[-5:] == ["ping", "indexes", "service", "prepare", "closed"]
