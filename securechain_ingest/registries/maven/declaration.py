"""This module is what Maven Central declares about itself; see `Declaration`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from securechain_ingest.http.endpoints import SLOW_DOWN, Endpoint
from securechain_ingest.registries.declaration import Declaration
from securechain_ingest.registries.maven.names import MAVEN, identify

if TYPE_CHECKING:
    from securechain_ingest.registries.protocol import RegistryClass


def _registry() -> RegistryClass:
    from securechain_ingest.registries.maven.client import Maven

    return Maven


DECLARATION: Final = Declaration(
    ecosystem=MAVEN,
    identify=identify,
    registry=_registry,
    parsers=("import_names", "index_records", "metadata", "package", "pom", "resolution"),
    endpoints=(
        # Its front also forbids what comes too fast, instead of asking for fewer requests.
        Endpoint(
            key="maven_central",
            url="https://repo1.maven.org/maven2",
            rate=2.0,
            connections=32,
            slow_down=SLOW_DOWN | {403},
        ),
        # Of its own where a mirror, which has no index, serves the rest.
        Endpoint(
            key="maven_index",
            below=("maven_central", ".index"),
            rate=1.0,
            connections=1,
            slow_down=SLOW_DOWN | {403},
        ),
    ),
    ingestion_cron="0 4 * * SUN",
    updates_cron="0 14 * * *",
    reconcile_s=2_592_000.0,
    hints_s=3600.0,
    watched=1_000,
    workers=32,  # A package takes about ten requests, so that others would wait for connections.
    title="Maven Central",
    example="org.antlr:ST4",
    archive_kinds=("jars",),
    first_visit="version list, a POM a version, each parent and BOM once, the jar's directory",
    feed="the chunks of Maven's index",
    import_name_examples=("org.antlr.v4.runtime",),
)
