"""This is what the toy registry declares about itself; see `Declaration`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from securechain_ingest.http.endpoints import Endpoint
from securechain_ingest.registries.declaration import Declaration
from tests.toybox.names import TOYBOX, identify

if TYPE_CHECKING:
    from securechain_ingest.registries.protocol import RegistryClass


def _registry() -> RegistryClass:
    from tests.toybox.client import Toybox

    return Toybox


DECLARATION: Final = Declaration(
    ecosystem=TOYBOX,
    identify=identify,
    registry=_registry,
    parsers=("import_names",),
    endpoints=(
        Endpoint(key="toybox_index", url="http://127.0.0.1:1/index", rate=4.0, connections=2),
        Endpoint(key="toybox_files", url="http://127.0.0.1:1/files", rate=8.0, connections=3),
    ),
    ingestion_cron="0 8 * * SUN",
    updates_cron="30 20 * * *",
    reconcile_s=86_400.0,
    workers=5,
    title="the toy box",
    other_words=("toys",),
    example="ball",
    archive_kinds=("toys",),
    first_visit="document, newest zip",
    feed="the toy box's changes",
    import_name_examples=("ball.red",),
)
