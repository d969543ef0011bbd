"""This module is what RubyGems declares about itself; see `Declaration`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from securechain_ingest.http.endpoints import Endpoint
from securechain_ingest.registries.declaration import Declaration
from securechain_ingest.registries.rubygems.names import RUBYGEMS, identify

if TYPE_CHECKING:
    from securechain_ingest.registries.protocol import RegistryClass


def _registry() -> RegistryClass:
    from securechain_ingest.registries.rubygems.client import RubyGems

    return RubyGems


DECLARATION: Final = Declaration(
    ecosystem=RUBYGEMS,
    identify=identify,
    registry=_registry,
    parsers=("api", "gem_list", "import_names", "info"),
    endpoints=(
        Endpoint(key="rubygems_index", url="https://index.rubygems.org", rate=15.0, connections=8),
        # The API and the files have one host, so that they share its limit.
        Endpoint(key="rubygems_api", url="https://rubygems.org", rate=8.0, connections=8, replaces=("rubygems_files",)),
    ),
    ingestion_cron="0 6 * * SUN",
    updates_cron="0 18 * * *",
    reconcile_s=86_400.0,
    title="RubyGems",
    example="rails",
    archive_kinds=("gems",),
    first_visit="compact index, API once, the gem's first bytes",
    feed="the tail of RubyGems' list",
    import_name_examples=("active_record/base", "active_record::base"),
)
