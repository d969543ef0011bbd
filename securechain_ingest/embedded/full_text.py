"""This module gives the local graph server indexes that find one value of a list.

ArcadeDB has such indexes, and its Cypher can ask them, but only its SQL can make them (its manual, "Full-text index",
`BY ITEM`). SQL is spoken over HTTP alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import httpx
import structlog

logger = structlog.get_logger(__name__)

_LONGEST_S: Final = 600.0
"""A graph that an earlier release has filled is indexed at the first start: some seconds a million packages."""

_ANALYZER: Final = "org.apache.lucene.analysis.core.KeywordAnalyzer"
"""It takes a whole value as one word."""


async def index_lists(address: str, login: tuple[str, str], database: str, labels: Iterable[str], name: str) -> None:
    """Index each single value of the list property `name` of the nodes of each label, where that is not done yet.

    `address` is where the server listens for HTTP. If it cannot be done, look-ups are slow, and one warning says so.
    """
    script = "".join(
        f"CREATE VERTEX TYPE {label} IF NOT EXISTS;"
        f"CREATE PROPERTY {label}.{name} IF NOT EXISTS LIST OF STRING;"
        f'CREATE INDEX IF NOT EXISTS ON {label} ({name} BY ITEM) FULL_TEXT METADATA {{"analyzer": "{_ANALYZER}"}};'
        for label in labels
    )
    try:
        async with httpx.AsyncClient(auth=login, timeout=_LONGEST_S, trust_env=False) as client:
            answer = await client.post(
                f"{address}/api/v1/command/{database}", json={"language": "sqlscript", "command": script}
            )
            answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        logger.warning("list_index_not_created", reason=f"{error}: {error.response.text[:500]}")
    except httpx.HTTPError as error:
        logger.warning("list_index_not_created", reason=f"{type(error).__name__}: {error}")
