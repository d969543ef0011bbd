"""The pages that the daemon has, an address for each."""

from __future__ import annotations

from typing import Final

PATHS: Final = (
    "/",
    "/login",
    "/packages/pypi/jinja2",
    "/packages/pypi/requests@2.19.0",
    "/packages/npm/@babel/core",
    "/packages/npm/flatmap-stream",
    "/dead-letters",
)
