"""This module says how long a command whose user waits for its answer waits for a store."""

from __future__ import annotations

from typing import Final, TypeVar

from pydantic import BaseModel

from securechain_ingest.configuration import Settings

T = TypeVar("T", bound=BaseModel)

REDIS_ANSWER_S: Final = 3.0
"""The client of Redis tries four times, so that it says after some twelve seconds that there is no answer."""
GRAPH_ANSWER_S: Final = 20.0
"""A server that has just started needs seconds for its first counts."""
ADVISORIES_ANSWER_S: Final = 10.0


def for_answers(settings: Settings) -> Settings:
    """Return the settings for a command whose user waits for its answer: no store is waited for as long as the daemon,
    which bears a failover, waits for it. A shorter configured limit holds."""

    def within(table: T, key: str, most_s: float) -> T:
        return table.model_copy(update={key: min(getattr(table, key), most_s)})

    return settings.model_copy(
        update={
            "redis": within(settings.redis, "timeout_s", REDIS_ANSWER_S),
            "graph": within(settings.graph, "query_timeout_s", GRAPH_ANSWER_S),
            "vulnerabilities": within(settings.vulnerabilities, "timeout_s", ADVISORIES_ANSWER_S),
        }
    )
