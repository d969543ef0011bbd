"""This tests what a signal does to a daemon whose loops do not run yet."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from securechain_ingest import daemon
from securechain_ingest.configuration import load
from securechain_ingest.errors import StoreError


async def test_a_reload_that_comes_before_the_daemon_is_ready_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(None, flags={("daemon", "state_dir"): ("--state-dir", tmp_path)})
    held: list[Any] = []

    @asynccontextmanager
    async def starting(*_: object) -> AsyncIterator[None]:
        held.append(signal.getsignal(signal.SIGHUP))
        raise StoreError("no store is started in this test")
        yield

    monkeypatch.setattr(daemon, "open_stores", starting)
    monkeypatch.setattr(daemon, "SystemdNotifier", lambda: None)
    with pytest.raises(StoreError):
        await daemon.run(settings, lambda: settings)

    assert held[0] is not signal.SIG_DFL, "the default of SIGHUP is to end the process"
