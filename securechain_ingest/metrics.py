"""This module has what this process counts and times for Prometheus; the page serves it at /metrics together with what
the stores say.

Names follow Prometheus' conventions: a unit stands at the end, and `_total` marks a number that only grows. Every
series whose labels are known beforehand is there from the start, with 0 (`begin_at_zero`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import anyio
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

# Otherwise each counter has a second series with the time since which it counts.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY: Final = CollectorRegistry()

ProcessCollector(namespace="securechain", registry=REGISTRY)

_LOOK_AT_LOOP_EVERY_S: Final = 0.5

REQUESTS: Final = Counter(
    "securechain_requests_total",
    "Requests to registries, by the endpoint's key in config.toml and the status of the answer (error: none came).",
    ["endpoint", "status"],
    registry=REGISTRY,
)

REQUEST_SECONDS: Final = Histogram(
    "securechain_request_duration_seconds",
    "Time from the turn of a request to the last byte of its answer.",
    ["endpoint"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    registry=REGISTRY,
)

RECEIVED_BYTES: Final = Counter(
    "securechain_received_bytes_total",
    "Bytes of bodies received from registries, compressed as they came.",
    ["endpoint"],
    registry=REGISTRY,
)

ENDPOINT_RATE: Final = Gauge(
    "securechain_endpoint_requests_per_second",
    "Rate in force at an endpoint: the configured one, or less after the endpoint asked for fewer requests.",
    ["endpoint"],
    registry=REGISTRY,
)

ENDPOINT_PAUSES: Final = Counter(
    "securechain_endpoint_pauses_total",
    "Times that this daemon found out that an endpoint must not be asked for a while.",
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
    "securechain_message_duration_seconds",
    "Time that a message was in a worker's hands.",
    ["ecosystem"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    registry=REGISTRY,
)

FAILED_ATTEMPTS: Final = Counter(
    "securechain_failed_attempts_total",
    "Attempts at a message that failed and were counted, by the kind of failure.",
    ["ecosystem", "kind"],
    registry=REGISTRY,
)

PARSE_SECONDS: Final = Histogram(
    "securechain_parse_duration_seconds",
    "Time of one parse of an archive or a document.",
    ["content"],
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60),
    registry=REGISTRY,
)

PARSER_STRIKES: Final = Counter(
    "securechain_parser_strikes_total",
    "Parser processes that were ended or lost, by reason (time, cpu_time, died, or urgent: somebody waited for it).",
    ["reason"],
    registry=REGISTRY,
)

GRAPH_SECONDS: Final = Histogram(
    "securechain_graph_duration_seconds",
    "Time of one transaction or question in the graph, by operation.",
    ["operation"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60),
    registry=REGISTRY,
)

GRAPH_BATCH: Final = Histogram(
    "securechain_graph_batch_packages",
    "Packages that shared one transaction or question in the graph, by operation.",
    ["operation"],
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
    registry=REGISTRY,
)

LOOP_LAG: Final = Histogram(
    "securechain_event_loop_lag_seconds",
    "By how much the event loop was late, looked at twice a second.",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
    registry=REGISTRY,
)

RUNS: Final = Counter(
    "securechain_runs_total",
    "Runs of scheduled jobs that have ended in this daemon, looks included, by outcome.",
    ["schedule", "outcome"],
    registry=REGISTRY,
)

CONTENTS: Final = ("archive", "document")
STRIKES: Final = ("time", "cpu_time", "died", "urgent")
OPERATIONS: Final = ("known", "write", "portions", "fill", "link", "resolve")
MESSAGE_OUTCOMES: Final = ("done", "failed")
RUN_OUTCOMES: Final = ("succeeded", "failed", "interrupted")
_USUAL_STATUSES: Final = ("200", "304", "404", "429", "error")


def begin_at_zero(
    *, ecosystems: Iterable[str], lanes: Iterable[str], endpoints: Iterable[str], jobs: Iterable[str]
) -> None:
    """Let every series that can be named beforehand be there with 0, so that a first increase is seen as one."""
    lanes = tuple(lanes)
    for endpoint in endpoints:
        for status in _USUAL_STATUSES:
            REQUESTS.labels(endpoint, status)
        for metric in (REQUEST_SECONDS, RECEIVED_BYTES, ENDPOINT_RATE, ENDPOINT_PAUSES):
            metric.labels(endpoint)
    for ecosystem in ecosystems:
        MESSAGE_SECONDS.labels(ecosystem)
        FAILED_ATTEMPTS.labels(ecosystem, "unavailable")
        for lane in lanes:
            for outcome in MESSAGE_OUTCOMES:
                MESSAGES.labels(ecosystem, lane, outcome)
    for job in jobs:
        for outcome in RUN_OUTCOMES:
            RUNS.labels(job, outcome)
    for content in CONTENTS:
        PARSE_SECONDS.labels(content)
    for reason in STRIKES:
        PARSER_STRIKES.labels(reason)
    for operation in OPERATIONS:
        GRAPH_SECONDS.labels(operation)
        GRAPH_BATCH.labels(operation)


@asynccontextmanager
async def request_to(endpoint: str) -> AsyncIterator[Callable[[int], None]]:
    """Count and time one request. It yields a function that takes the status of the answer once that has come."""
    status = "error"
    began_at = time.monotonic()

    def answered(code: int) -> None:
        nonlocal status
        status = str(code)

    try:
        yield answered
    finally:
        REQUESTS.labels(endpoint, status).inc()
        REQUEST_SECONDS.labels(endpoint).observe(time.monotonic() - began_at)


@contextmanager
def parse_of(*, is_document: bool) -> Iterator[None]:
    """Time one parse."""
    with PARSE_SECONDS.labels("document" if is_document else "archive").time():
        yield


@contextmanager
def graph_operation(operation: str, packages: int) -> Iterator[None]:
    """Time one transaction or question in the graph, and count the packages that share it."""
    GRAPH_BATCH.labels(operation).observe(packages)
    with GRAPH_SECONDS.labels(operation).time():
        yield


async def watch_loop() -> None:
    """Measure by how much the event loop is late, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due_at = loop.time() + _LOOK_AT_LOOP_EVERY_S
        await anyio.sleep(_LOOK_AT_LOOP_EVERY_S)
        LOOP_LAG.observe(max(0.0, loop.time() - due_at))
