"""This module is what NuGet declares about itself; see `Declaration`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from securechain_ingest.http.endpoints import Endpoint
from securechain_ingest.registries.declaration import Declaration
from securechain_ingest.registries.nuget.names import NUGET, identify

if TYPE_CHECKING:
    from securechain_ingest.registries.protocol import RegistryClass


def _registry() -> RegistryClass:
    from securechain_ingest.registries.nuget.client import NuGet

    return NuGet


DECLARATION: Final = Declaration(
    ecosystem=NUGET,
    identify=identify,
    registry=_registry,
    parsers=("catalog", "import_names", "registration", "service_index"),
    endpoints=(Endpoint(key="nuget_api", url="https://api.nuget.org", rate=20.0, connections=8),),
    ingestion_cron="0 7 * * SUN",
    updates_cron="0 20 * * *",
    reconcile_s=2_592_000.0,
    title="NuGet",
    example="Newtonsoft.Json",
    archive_kinds=("nupkgs",),
    first_visit="registration pages, members of the nupkg",
    feed="NuGet's catalog",
    import_name_examples=("Newtonsoft.Json.Linq",),
)
