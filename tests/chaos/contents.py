"""This reads everything that the stores hold, so that two ways to the same end can be compared."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime
from typing import Any

import redis
from neo4j.time import Date, DateTime

from securechain_ingest.queue.keys import Keys
from tests.end_to_end.graph_contents import PlainCypher
from tests.queue_contents import ECOSYSTEMS, messages_pending, messages_waiting

_ENDS = "coalesce(a.purl, a.name, ''), coalesce(b.purl, b.name, '')"


def whole_graph(reader: PlainCypher) -> Counter[str]:
    """Return every node and every relationship with all its properties; of a time and a reason only that there is
    one.
    """
    found: Counter[str] = Counter()
    for row in reader.rows("MATCH (n) RETURN labels(n) AS labels, properties(n) AS properties"):
        properties = row["properties"]
        # It changes with each lock, and says nothing.
        properties.pop("settled", None)
        if "reason" in properties:
            # That a package is absent can be known of a moment before.
            properties["reason"] = "a reason"
        found[_text(sorted(row["labels"]), properties)] += 1
    for row in reader.rows(
        f"MATCH (a)-[r]->(b) RETURN type(r) AS kind, [{_ENDS}] AS ends, properties(r) AS properties"
    ):
        found[_text(row["kind"], row["ends"], row["properties"])] += 1
    return found


def _text(*parts: Any) -> str:
    return json.dumps(parts, sort_keys=True, default=_time)


def _time(value: Any) -> str:
    assert isinstance(value, DateTime | Date | datetime | date), value
    return "a time"


def left_over(queue: redis.Redis, stream: str) -> list[str]:
    """Return what must not be in Redis when all messages have come to their end, of every key that the queue has."""
    keys = Keys(stream)
    names: Any = queue.keys(f"{stream}*")
    kept = {keys.submissions, keys.dead_letters, keys.counters, keys.run_counts, keys.daemons, keys.cursors}
    kept.add(keys.refused_archives)
    kept |= {key for name in ECOSYSTEMS for key in (*keys.lanes(name), keys.shares(name))}
    # What is known of registries and of the daemons' own speed.
    kept |= {keys.hints, *(key for name in ECOSYSTEMS for key in (keys.active(name), keys.lags(name)))}
    kept |= {keys.schedules(what) for what in ("ticks", "overrides")}
    # Turns at an endpoint are no message's. Import names are kept for days, and so is how much was done when.
    passed_over = (
        keys.rate(""),
        *(keys.import_names(name, "", "").rstrip(":") for name in ECOSYSTEMS),
        *(keys.activity(unit, "") for unit in ("minute", "hour")),
    )
    found = sorted(
        name
        for name in names
        if name not in kept and not name.startswith(passed_over) and not _is_passing_turn(queue, keys, name)
    )
    if waiting := messages_waiting(queue, stream):
        found.append(f"{waiting} messages")
    if pending := messages_pending(queue, stream):
        found.append(f"{pending} pending entries")
    return found


def _is_passing_turn(queue: redis.Redis, keys: Keys, name: str) -> bool:
    """Return whether a key says which daemon has just looked for what was left for later, and goes by itself in a
    moment.
    """
    return name.startswith(keys.refill("")) and queue.pttl(name) != -1


def run_counts(queue: redis.Redis, stream: str) -> dict[str, int]:
    """Return what became of the messages of runs; words whose count is 0 are left out."""
    held: Any = queue.hgetall(Keys(stream).run_counts)
    return {word: int(count) for word, count in held.items() if int(count)}
