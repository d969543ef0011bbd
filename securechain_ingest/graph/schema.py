"""This module creates the constraints and indexes (contract, section 1.7). No client creates any."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from neo4j.exceptions import Neo4jError

from securechain_ingest.errors import StoreError
from securechain_ingest.graph.connection import Connection
from securechain_ingest.graph.layout import (
    IMPORT_NAMES_INDEX,
    INDEXED,
    UNIQUE,
    constraint_name,
    index_name,
    of_each_label,
)
from securechain_ingest.model import Ecosystem

logger = structlog.get_logger(__name__)


async def ensure_schema(connection: Connection, ecosystems: Sequence[Ecosystem]) -> None:
    """Create the indexes that make look-ups fast, and the constraints that make identities unique. If the graph has
    duplicates, log a warning and create a plain index in place of the constraint.

    It raises StoreError if the graph is away.
    """
    labels = [ecosystem.label for ecosystem in ecosystems]
    for label, name in of_each_label(INDEXED, labels):
        await _ensure_index(connection, label, name)
    if (await connection.dialect()).makes_full_text:
        await _ensure_import_names_index(connection, ecosystems)
    for label, name in of_each_label(UNIQUE, labels):
        await _ensure(connection, label, name)


async def _ensure(connection: Connection, label: str, name: str) -> None:
    try:
        constraint = constraint_name(label, name)
        await connection.change(
            f"CREATE CONSTRAINT {constraint} IF NOT EXISTS FOR (n:{label}) REQUIRE n.{name} IS UNIQUE"
        )
    except StoreError as error:
        if not isinstance(error.__cause__, Neo4jError):
            raise
        logger.warning("constraint_not_created", label=label, property=name, reason=error.__cause__.code)
        await _ensure_index(connection, label, name)


async def _ensure_index(connection: Connection, label: str, name: str) -> None:
    await connection.change(f"CREATE INDEX {index_name(label, name)} IF NOT EXISTS FOR (n:{label}) ON (n.{name})")


async def _ensure_import_names_index(connection: Connection, ecosystems: Sequence[Ecosystem]) -> None:
    # One index over all labels. Writes do not wait for it; it follows them in a moment.
    labels = "|".join(ecosystem.label for ecosystem in ecosystems)
    await connection.change(
        f"CREATE FULLTEXT INDEX {IMPORT_NAMES_INDEX} IF NOT EXISTS FOR (n:{labels}) ON EACH [n.import_names] "
        "OPTIONS {indexConfig: {`fulltext.analyzer`: 'keyword', `fulltext.eventually_consistent`: true}}"
    )
