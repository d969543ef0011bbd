"""This module is what crates.io declares about itself; see `Declaration`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from securechain_ingest.http.endpoints import Endpoint
from securechain_ingest.registries.cargo.names import CARGO, identify
from securechain_ingest.registries.declaration import Declaration

if TYPE_CHECKING:
    from securechain_ingest.registries.protocol import RegistryClass


def _registry() -> RegistryClass:
    from securechain_ingest.registries.cargo.client import Cargo

    return Cargo


DECLARATION: Final = Declaration(
    ecosystem=CARGO,
    identify=identify,
    registry=_registry,
    parsers=("dump", "import_names", "index", "updates"),
    endpoints=(
        Endpoint(key="crates_index", url="https://index.crates.io", rate=20.0, connections=8),
        Endpoint(key="crates_static", url="https://static.crates.io", rate=20.0, connections=8),
        Endpoint(key="crates_api", url="https://crates.io", rate=1.0, connections=1),
    ),
    ingestion_cron="0 5 * * SUN",
    updates_cron="0 16 * * *",
    reconcile_s=86_400.0,
    title="crates.io",
    other_words=("crates", "crates.io"),
    example="serde",
    archive_kinds=("crates",),
    first_visit="sparse index, newest `.crate`",
    feed="crates.io's RSS",
    import_name_examples=("serde", "serde::de::Deserializer"),
)
