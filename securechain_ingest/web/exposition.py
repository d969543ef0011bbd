"""This module writes /metrics in Prometheus' text format: what the process counts, how it gets on, and what the stores
say about the installation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from securechain_ingest import __version__, metrics
from securechain_ingest.ecosystem_settings import ENDPOINTS, JOBS
from securechain_ingest.progress import Progress
from securechain_ingest.queue.dead_letters import KINDS
from securechain_ingest.queue.lanes import LANES
from securechain_ingest.registries import DECLARATIONS
from securechain_ingest.web.collected import Snapshot
from securechain_ingest.web.health import StoreAnswer

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_ENDPOINT_KEYS: Final = tuple(endpoint.key for endpoint in ENDPOINTS)

metrics.begin_at_zero(
    ecosystems=[declaration.name for declaration in DECLARATIONS],
    lanes=[str(lane) for lane in LANES],
    endpoints=_ENDPOINT_KEYS,
    jobs=JOBS,
)


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def exposition(progress: Progress, stores: Mapping[str, StoreAnswer], snapshot: Snapshot | None) -> bytes:
    """Return the text of /metrics. Without a snapshot, when Redis is away, the figures of the installation are left
    out."""
    installation = of_installation(snapshot) if snapshot is not None else b""
    return of_daemon(progress, stores) + installation


def of_daemon(progress: Progress, stores: Mapping[str, StoreAnswer]) -> bytes:
    """Return the figures of this process, and of the stores as it sees them."""
    return generate_latest(metrics.REGISTRY) + _text(_of_process(progress, stores))


def of_installation(snapshot: Snapshot) -> bytes:
    """Return the figures that all daemons of an installation share; each of them says the same."""
    return _text(_of_queue(snapshot))


def _text(families: Iterable[Metric]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Families(families))
    return generate_latest(registry)


def _gauge(name: str, help_text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"securechain_{name}", help_text, labels=[label])
    for value_of, value in values.items():
        family.add_metric([value_of], value)
    return family


def _of_process(progress: Progress, stores: Mapping[str, StoreAnswer]) -> Iterable[Metric]:
    yield InfoMetricFamily("securechain_build", "The release.", {"version": __version__})
    yield _gauge(
        "progress_age_seconds",
        "Time since a loop last turned, or (work) since the slowest message in work made its last step.",
        "loop",
        {"work": 0.0, **progress.ages()},
    )
    stuck = float(progress.stuck() is not None)
    yield GaugeMetricFamily("securechain_stuck", "1 if the watchdog's rule is broken: /healthz answers 503.", stuck)
    up = {store: float(answer.reason is None) for store, answer in stores.items()}
    yield _gauge("store_up", "1 if the store answers this daemon.", "store", up)
    yield _gauge(
        "store_latency_seconds",
        "Time that a store took to answer something small, or until it was given up.",
        "store",
        {store: answer.seconds for store, answer in stores.items()},
    )
    if (advisories := stores["vulnerabilities"].found) is not None:
        yield GaugeMetricFamily("securechain_advisories", "Advisories that are kept.", float(advisories))


def _of_queue(snapshot: Snapshot) -> Iterable[Metric]:
    yield _gauge(
        "registry_lag_seconds",
        "Now minus the time up to which the changes of a registry's feed are in the graph.",
        "ecosystem",
        snapshot.registry_lags_s,
    )
    yield _gauge(
        "advisory_lag_seconds",
        "Now minus the time at which the changes of an ecosystem's advisories were last read.",
        "ecosystem",
        snapshot.advisory_lags_s,
    )
    yield from _of_lanes(snapshot)
    submitted = snapshot.queue.submissions
    waiting = submitted.waiting + submitted.pending
    yield GaugeMetricFamily("securechain_submissions", "Messages that no lane has yet.", waiting)
    letters = {**dict.fromkeys(KINDS, 0), **snapshot.dead_letters}
    yield _gauge(
        "dead_letters", "Dead letters that are kept, by kind of failure.", "kind", dict(sorted(letters.items()))
    )
    paused = {ecosystem: float(ecosystem in snapshot.queue.paused) for ecosystem in snapshot.queue.lanes}
    yield _gauge("ecosystem_paused", "1 if an operator has paused the ecosystem.", "ecosystem", paused)
    breakers = {endpoint: state.open_for_s for endpoint, state in snapshot.queue.breakers.items()}
    yield _gauge(
        "endpoint_paused_seconds",
        "For how long an endpoint is not asked any more; 0: it is asked.",
        "endpoint",
        {**dict.fromkeys(_ENDPOINT_KEYS, 0.0), **breakers},
    )
    up = sum(daemon.is_up for daemon in snapshot.daemons)
    yield GaugeMetricFamily("securechain_daemons", "Daemons of the installation that are up.", up)


def _of_lanes(snapshot: Snapshot) -> Iterable[Metric]:
    labels = ["ecosystem", "lane"]
    messages = GaugeMetricFamily(
        "securechain_lane_messages",
        "Messages of a lane that wait, are in work or wait for another attempt.",
        labels=labels,
    )
    retrying = GaugeMetricFamily(
        "securechain_lane_retrying", "Messages of a lane that wait for another attempt.", labels=labels
    )
    oldest = GaugeMetricFamily(
        "securechain_lane_oldest_seconds", "Age of the oldest message of a lane; 0: it is empty.", labels=labels
    )
    for ecosystem, lanes in snapshot.queue.lanes.items():
        for lane, status in lanes.items():
            messages.add_metric([ecosystem, lane], status.waiting + status.pending + status.retrying)
            retrying.add_metric([ecosystem, lane], status.retrying)
            oldest.add_metric([ecosystem, lane], status.oldest_s)
    yield from (messages, retrying, oldest)
