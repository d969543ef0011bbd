"""This gives each module a server of its own, whose world its tests replace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.registry_server import Server, World, serve


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(World()) as running:
        yield running
