"""This module is what PyPI declares about itself; see `Declaration`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from securechain_ingest.http.endpoints import Endpoint
from securechain_ingest.registries.declaration import Declaration
from securechain_ingest.registries.pypi.names import PYPI, identify

if TYPE_CHECKING:
    from securechain_ingest.registries.protocol import RegistryClass


def _registry() -> RegistryClass:
    from securechain_ingest.registries.pypi.client import PyPI

    return PyPI


DECLARATION: Final = Declaration(
    ecosystem=PYPI,
    identify=identify,
    registry=_registry,
    parsers=("documents", "import_names", "source_names"),
    endpoints=(
        Endpoint(key="pypi", url="https://pypi.org", rate=10.0, connections=16),
        Endpoint(key="pypi_files", url="https://files.pythonhosted.org", rate=50.0, connections=16),
    ),
    ingestion_cron="0 2 * * SUN",
    updates_cron="0 10 * * *",
    reconcile_s=86_400.0,
    hints_s=300.0,
    workers=32,  # A package takes about ten requests, so that others would wait for connections.
    title="PyPI",
    example="requests",
    archive_kinds=("wheels", "sdists"),
    first_visit="project, `.metadata` of each older version, the wheel's directory",
    feed="PyPI's serials",
    import_name_examples=("requests", "requests.api"),
)
