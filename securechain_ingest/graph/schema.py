"""Constraints and indexes (contract, section 1.7); no client creates any."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from neo4j.exceptions import Neo4jError

from securechain_ingest.errors import StoreError
from securechain_ingest.graph.connection import Connection
from securechain_ingest.model import Ecosystem

logger = structlog.get_logger(__name__)


async def ensure_schema(connection: Connection, ecosystems: Sequence[Ecosystem]) -> None:
    """Make look-ups fast and identities unique; goes on with a warning and a plain index where duplicates stand.

    Raises StoreError if the graph is away.
    """
    for ecosystem in ecosystems:
        await _ensure_index(connection, ecosystem.label, "import_names_retry_at")
    unique = [(ecosystem.label, name) for ecosystem in ecosystems for name in ("name", "purl")]
    for label, name in [*unique, ("Version", "purl"), ("AbsentPackage", "purl")]:
        await _ensure(connection, label, name)


async def _ensure(connection: Connection, label: str, name: str) -> None:
    try:
        await connection.change(
            f"CREATE CONSTRAINT {label.lower()}_{name}_unique IF NOT EXISTS FOR (n:{label}) REQUIRE n.{name} IS UNIQUE"
        )
    except StoreError as error:
        if not isinstance(error.__cause__, Neo4jError):
            raise
        logger.warning("constraint_not_created", label=label, property=name, reason=error.__cause__.code)
        await _ensure_index(connection, label, name)


async def _ensure_index(connection: Connection, label: str, name: str) -> None:
    await connection.change(f"CREATE INDEX {label.lower()}_{name}_lookup IF NOT EXISTS FOR (n:{label}) ON (n.{name})")
