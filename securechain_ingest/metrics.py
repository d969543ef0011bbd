"""This module has what this process counts for Prometheus; the page serves it at /metrics together with the stores'
figures.

Names follow Prometheus' conventions: a unit stands at the end, and `_total` marks a number that only grows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

# Otherwise each counter has a second series with the time since which it counts.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY: Final = CollectorRegistry()

REQUESTS: Final = Counter(
    "securechain_requests_total",
    "Requests to registries, by the endpoint's key in config.toml and the status of the answer (error: none came).",
    ["endpoint", "status"],
    registry=REGISTRY,
)

RECEIVED_BYTES: Final = Counter(
    "securechain_received_bytes_total",
    "Bytes of bodies received from registries, compressed as they came.",
    ["endpoint"],
    registry=REGISTRY,
)

MESSAGES: Final = Counter(
    "securechain_messages_total",
    "Messages that have left a worker's hands, by ecosystem, lane and outcome (done or failed).",
    ["ecosystem", "lane", "outcome"],
    registry=REGISTRY,
)

MESSAGE_SECONDS: Final = Histogram(
    "securechain_message_seconds",
    "Time that a message was in a worker's hands.",
    ["ecosystem"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    registry=REGISTRY,
)


@asynccontextmanager
async def request_to(endpoint: str) -> AsyncIterator[Callable[[int], None]]:
    """Count one request. It yields a function that takes the status of the answer once that has come."""
    status = "error"

    def answered(code: int) -> None:
        nonlocal status
        status = str(code)

    try:
        yield answered
    finally:
        REQUESTS.labels(endpoint, status).inc()
