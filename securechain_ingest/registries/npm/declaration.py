"""This module is what npm declares about itself; see `Declaration`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from securechain_ingest.http.endpoints import Endpoint
from securechain_ingest.registries.declaration import Declaration
from securechain_ingest.registries.npm.names import NPM, identify

if TYPE_CHECKING:
    from securechain_ingest.registries.protocol import RegistryClass


def _registry() -> RegistryClass:
    from securechain_ingest.registries.npm.client import Npm

    return Npm


DECLARATION: Final = Declaration(
    ecosystem=NPM,
    identify=identify,
    registry=_registry,
    parsers=("feed", "import_names", "packument"),
    endpoints=(
        Endpoint(key="npm_registry", url="https://registry.npmjs.org", rate=5.0, connections=8),
        Endpoint(key="npm_replicate", url="https://replicate.npmjs.com/registry", rate=2.0, connections=2),
    ),
    ingestion_cron="0 3 * * SUN",
    updates_cron="0 12 * * *",
    reconcile_s=604_800.0,
    title="npm",
    example="@babel/core",
    archive_kinds=("npm tarballs",),
    first_visit="packument, newest tarball",
    feed="npm's `_changes`",
    import_name_examples=("express", "express/lib/router"),
)
