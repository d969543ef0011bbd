"""This module gives a date to packages that another program has left without one.

Neo4j's indexes have no entry for an absent value. So `packages_refresh`, which finds packages by the index on their
last check, would never meet such a package. As its date it gets a time before all others, without a zone, as other
programs write times (contract, section 1.1). So it is the first of the packages that nobody has read.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import structlog

from securechain_ingest.graph.connection import Connection
from securechain_ingest.graph.statements import for_label
from securechain_ingest.model import Ecosystem

PAGE: Final = 5_000
"""One transaction looks at so many packages."""

NEVER: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - a time without a zone says that this program has not read it

# The server knows the first number without counting. The second one takes an index, and no package is looked at.
COUNT: Final = "MATCH (p:PACKAGE) RETURN count(p) AS count"
COUNT_DATED: Final = "MATCH (p:PACKAGE) WHERE p.moment IS NOT NULL RETURN count(p) AS count"

DATE_PAGE: Final = """
MATCH (p:PACKAGE) WHERE p.name > $after
WITH p ORDER BY p.name LIMIT $limit
WITH collect(p) AS page, max(p.name) AS last
CALL {
  WITH page
  UNWIND page AS p
  WITH p WHERE p.moment IS NULL
  SET p.moment = $never
  RETURN count(*) AS dated
}
RETURN last, dated
"""

logger = structlog.get_logger(__name__)


async def date_undated(connection: Connection, ecosystem: Ecosystem) -> None:
    """Give a date to all packages of the ecosystem that have none. Raise StoreError or ConfigError.

    All packages are walked through, a page at a time, only if there are more of them than of dates.
    """
    if not (await connection.dialect()).trusts_ranges:
        return  # Where no index is asked for a range, packages without a date are found as all others are.
    label = ecosystem.label
    [packages], [dated] = [await connection.read(for_label(text, label)) for text in (COUNT, COUNT_DATED)]
    if packages["count"] == dated["count"]:
        return
    after: str | None = ""
    found = 0
    while after is not None:
        parameters = {"after": after, "limit": PAGE, "never": NEVER}
        [row] = await connection.change(for_label(DATE_PAGE, label), parameters)
        after, found = row["last"], found + row["dated"]
    logger.info("undated_packages_found", ecosystem=ecosystem.name, packages=found)
