"""This makes docs/metrics.md from the figures themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from securechain_ingest.metrics import CONTENTS, MESSAGE_OUTCOMES, OPERATIONS, RUN_OUTCOMES, STRIKES
from securechain_ingest.queue.dead_letters import KINDS
from securechain_ingest.queue.lanes import LANES
from securechain_ingest.registries import DECLARATIONS
from tests.reference.made import STORES, daemon_figures, installation_figures
from tests.reference.markdown import table

_UNITS: Final = ("requests_per_second", "seconds", "bytes")
_OF_A_HISTOGRAM: Final = ("_bucket", "_sum", "_count")

_HEAD: Final = """# Metrics

`make docs` writes this page from the code; a test compares it.

`/metrics` ([README](../README.md)) has these figures in Prometheus' text format. Every series whose labels are known
beforehand is there from the first scrape on, with 0. Lags are there once they are known: a registry's after its feed
has been followed for the first time. The folder `monitoring/` has alerting rules, a dashboard for Grafana and a
configuration of Prometheus that use them; [operations.md](operations.md) says what to do about each alert.
"""

_DAEMON: Final = """## Of a daemon

Each daemon counts its own work, from 0 at its start; add those of all daemons up. `store_up` and
`store_latency_seconds` are what this daemon sees.
"""

_INSTALLATION: Final = """## Of the installation

All daemons that share a Redis say the same; take the largest (`max by`). While a daemon cannot reach Redis it leaves
these out, and `securechain_store_up{store="redis"}` is 0.
"""

_LABELS: Final = """## Labels

A histogram's series also have `le`, the upper bound of a bucket in the metric's unit.
"""


def page() -> str:
    """Return the whole page."""
    ours, everybodys = families(daemon_figures()), families(installation_figures())
    parts = (_HEAD, _DAEMON, _table(ours), _INSTALLATION, _table(everybodys), _LABELS, _label_table())
    return "\n".join(parts)


def families(text: str) -> list[Metric]:
    """Return the metrics of an exposition, sorted by name."""
    return sorted(text_string_to_metric_families(text), key=lambda family: family.name)


def exposed_name(family: Metric) -> str:
    """Return the name as it stands in the exposition, without what a histogram's series have at their end."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def labels_of(family: Metric) -> set[str]:
    """Return the labels of a metric's series but the bound of a bucket."""
    return {label for sample in family.samples for label in sample.labels} - {"le"}


def series() -> dict[str, set[str]]:
    """Return the name of every series that is exposed, with its labels."""
    found: dict[str, set[str]] = {}
    for family in [*families(daemon_figures()), *families(installation_figures())]:
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def _table(metrics: Iterable[Metric]) -> str:
    rows = [
        (
            f"`{exposed_name(family)}`",
            family.type,
            ", ".join(f"`{label}`" for label in sorted(labels_of(family))),
            _unit(exposed_name(family)),
            family.documentation,
        )
        for family in metrics
    ]
    return table(("metric", "type", "labels", "unit", "what it is"), rows) + "\n"


def _unit(name: str) -> str:
    bare = name.removesuffix("_total")
    unit = next((unit for unit in _UNITS if bare.endswith(f"_{unit}")), "")
    return unit.replace("_", " ")


def _label_table() -> str:
    rows = [
        ("ecosystem", _words(declaration.name for declaration in DECLARATIONS)),
        ("endpoint", "a key of `[endpoints]`, see [configuration.md](configuration.md)"),
        ("status", "the status of an HTTP answer, or `error`: none came"),
        ("lane", _words(map(str, LANES))),
        ("kind", f"of a dead letter: {_words(KINDS)}; of a failed attempt: one of them"),
        ("outcome", f"of a message: {_words(MESSAGE_OUTCOMES)}; of a run: {_words(RUN_OUTCOMES)}"),
        ("schedule", "the name of a job, a key of `[schedules]`"),
        ("content", _words(CONTENTS)),
        ("operation", _words(OPERATIONS)),
        ("reason", _words(STRIKES)),
        ("store", _words(STORES)),
        ("loop", "the name of a loop of the daemon, or `work`"),
        ("version", "the release"),
    ]
    return table(("label", "values"), [(f"`{label}`", values) for label, values in rows]) + "\n"


def _words(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)
