"""These are the tables of config.toml whose keys follow from what the ecosystems declare.

A table has a key for each ecosystem, endpoint or job; its values are read as `settings.rates["pypi"]`. What holds for
the keys of `settings` holds for these, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, create_model

from securechain_ingest.advisories.endpoint import OSV
from securechain_ingest.registries import DECLARATIONS
from securechain_ingest.setting_types import (
    LIVE,
    Connections,
    Cron,
    FollowPeriod,
    Period,
    Places,
    Rate,
    Seconds,
    Url,
    timezone_name,
    words,
)
from securechain_ingest.settings import DerivedTable, Table

TableClass = TypeVar("TableClass", bound=Table)


def _derived(kind: Any, defaults: Mapping[str, object]) -> Callable[[type[TableClass]], type[TableClass]]:
    """Add keys of one type to a table, each with its default."""

    def with_keys(table: type[TableClass]) -> type[TableClass]:
        fields: dict[str, Any] = {key: (kind, default) for key, default in defaults.items()}
        return create_model(table.__name__, __base__=table, __module__=table.__module__, **fields)

    return with_keys


@_derived(Places, {declared.name: declared.workers for declared in DECLARATIONS})
class WorkerSettings(DerivedTable[int]):
    """So many packages of each ecosystem may be in work at once in this daemon."""


ENDPOINTS: Final = (*(endpoint for declared in DECLARATIONS for endpoint in declared.endpoints), OSV)


@_derived(Url | None, {endpoint.key: endpoint.url for endpoint in ENDPOINTS})
class EndpointSettings(DerivedTable[str | None]):
    """Each endpoint has a base URL, which is kept without a slash at its end; None means that it is not set."""

    def own(self) -> dict[str, str]:
        """Return the base URLs of the endpoints that have one of their own."""
        return self.model_dump(exclude_none=True)

    def bases(self) -> dict[str, str]:
        """Return the base URLs of all endpoints. One that is not set lies below another endpoint."""
        own = self.own()
        below = {endpoint.key: endpoint.below for endpoint in ENDPOINTS if endpoint.below and endpoint.key not in own}
        return own | {key: f"{own[parent]}/{folder}" for key, (parent, folder) in below.items()}


@_derived(Rate, {endpoint.key: endpoint.rate for endpoint in ENDPOINTS})
class RateSettings(DerivedTable[float]):
    """All daemons of an installation together make so many requests a second to each endpoint. Infinity is no limit."""


@_derived(Connections, {endpoint.key: endpoint.connections for endpoint in ENDPOINTS})
class ConnectionSettings(DerivedTable[float]):
    """This daemon makes so many requests at once to each endpoint. Infinity means `[http] max_connections`."""


INGESTION_JOBS: Final = tuple(declared.ingestion_job for declared in DECLARATIONS)
_CRONS: Final = (
    {declared.ingestion_job: declared.ingestion_cron for declared in DECLARATIONS}
    | {declared.updates_job: declared.updates_cron for declared in DECLARATIONS}
    | {"advisory_sync": "0 */4 * * *", "packages_refresh": "*/15 * * * *"}
)
JOBS: Final = tuple(_CRONS)


def _jobs(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in JOBS:
            msg = f"{name!r} is no schedule; there are {', '.join(JOBS)}"
            raise ValueError(msg)
    return names


@_derived(Cron, _CRONS)
class ScheduleSettings(DerivedTable[str]):
    """Beside the general keys each of `JOBS` has a key with its cron expression."""

    timezone: Annotated[str, AfterValidator(timezone_name)] = Field(default="UTC", json_schema_extra=LIVE)
    disabled: Annotated[tuple[str, ...], BeforeValidator(words), AfterValidator(_jobs)] = Field(
        default=INGESTION_JOBS, json_schema_extra=LIVE
    )
    grace_s: Seconds = Field(default=21_600.0, json_schema_extra=LIVE)
    keep_runs_days: int = Field(default=90, ge=1, le=36_500, json_schema_extra=LIVE)


@_derived(Period, {declared.name: declared.reconcile_s for declared in DECLARATIONS} | {"advisories": 604_800.0})
class ReconcileSettings(DerivedTable[float]):
    """So many seconds lie between two comparisons of all names, or of all advisories, with the graph."""


@_derived(FollowPeriod, {declared.name: math.inf for declared in DECLARATIONS})
class FollowSettings(DerivedTable[float]):
    """So many seconds lie between two looks at a feed beside the daily updates; infinity means that there are none."""


RETIRED: Final = {
    (table, old): (table, endpoint.key)
    for table in ("endpoints", "rates", "connections")
    for endpoint in ENDPOINTS
    for old in endpoint.replaces
}
"""This maps each key of an earlier release to the one that took its place. The old key is ignored with a warning."""
