"""This module writes /metrics, which has what the process counts and what the stores say, in Prometheus' text
format."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from securechain_ingest import __version__
from securechain_ingest.metrics import REGISTRY
from securechain_ingest.progress import Progress
from securechain_ingest.web.collected import Snapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def exposition(progress: Progress, snapshot: Snapshot | None) -> bytes:
    """Return the text of /metrics. Without a snapshot, when Redis is away, it has only the process's own figures,
    and `securechain_redis_up` is 0."""
    registry = CollectorRegistry()
    registry.register(_Families(_families(progress, snapshot)))
    return generate_latest(REGISTRY) + generate_latest(registry)


def _families(progress: Progress, snapshot: Snapshot | None) -> Iterable[Metric]:
    yield InfoMetricFamily("securechain_build", "The release.", {"version": __version__})
    ages = GaugeMetricFamily(
        "securechain_progress_age_seconds",
        "Time since a loop last turned, or the slowest work took a step.",
        labels=["loop"],
    )
    for loop, age in progress.ages().items():
        ages.add_metric([loop], age)
    yield ages
    yield GaugeMetricFamily("securechain_stuck", "1 if the watchdog's rule is broken.", float(bool(progress.stuck())))
    yield GaugeMetricFamily("securechain_redis_up", "1 if Redis answers.", float(snapshot is not None))
    if snapshot is not None:
        yield from _of_queue(snapshot)


def _of_queue(snapshot: Snapshot) -> Iterable[Metric]:
    lag = GaugeMetricFamily(
        "securechain_registry_lag_seconds",
        "Time since the moment up to which a registry's changes are in the graph.",
        labels=["ecosystem"],
    )
    for ecosystem, lag_s in snapshot.registry_lags_s.items():
        lag.add_metric([ecosystem], lag_s)
    yield lag
    messages = GaugeMetricFamily(
        "securechain_lane_messages",
        "Messages of a lane that wait, are in work or wait for another attempt.",
        labels=["ecosystem", "lane"],
    )
    oldest = GaugeMetricFamily(
        "securechain_lane_oldest_seconds", "Age of the oldest message of a lane.", labels=["ecosystem", "lane"]
    )
    retrying = GaugeMetricFamily(
        "securechain_lane_retrying", "Messages of a lane that wait for another attempt.", labels=["ecosystem", "lane"]
    )
    for ecosystem, lanes in snapshot.queue.lanes.items():
        for lane, status in lanes.items():
            messages.add_metric([ecosystem, lane], status.waiting + status.pending + status.retrying)
            oldest.add_metric([ecosystem, lane], status.oldest_s)
            retrying.add_metric([ecosystem, lane], status.retrying)
    yield from (messages, oldest, retrying)
    submitted = snapshot.queue.submissions
    yield GaugeMetricFamily(
        "securechain_submissions", "Messages that no lane has yet.", submitted.waiting + submitted.pending
    )
    letters = GaugeMetricFamily("securechain_dead_letters", "Dead letters that are kept.", labels=["kind"])
    for kind, count in sorted(snapshot.dead_letters.items()):
        letters.add_metric([kind], count)
    yield letters
    paused = GaugeMetricFamily("securechain_paused", "1 if an operator has paused the ecosystem.", labels=["ecosystem"])
    for ecosystem in snapshot.queue.lanes:
        paused.add_metric([ecosystem], float(ecosystem in snapshot.queue.paused))
    yield paused
    breakers = GaugeMetricFamily(
        "securechain_endpoint_open_seconds", "For how long an endpoint is not asked any more.", labels=["endpoint"]
    )
    for endpoint, state in snapshot.queue.breakers.items():
        breakers.add_metric([endpoint], state.open_for_s)
    yield breakers
    yield GaugeMetricFamily(
        "securechain_daemons",
        "Daemons of the installation that are up.",
        sum(daemon.is_up for daemon in snapshot.daemons),
    )
