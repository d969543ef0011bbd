"""The command `status` shows the stores, daemons, queue, retries, dead letters and counters at a glance."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Iterator
from typing import Any

import typer

from securechain_ingest.cli.options import ConfigOption, JsonOption, StateDirOption, load_settings, run_async
from securechain_ingest.cli.output import print_json, print_lines
from securechain_ingest.configuration import Settings


def command(config: ConfigOption = None, state_dir: StateDirOption = None, as_json: JsonOption = False) -> None:
    """Show whether the stores answer, which daemons are up and what is queued.

    The exit code is 3 if one of the stores does not answer.
    """
    settings = load_settings(config, state_dir)
    report = run_async(_collect(settings))
    if as_json:
        print_json(report)
    else:
        print_lines(_lines(report))
    if any("error" in store for store in report["stores"].values()):
        raise typer.Exit(3)


async def _collect(settings: Settings) -> dict[str, Any]:
    import asyncio

    from securechain_ingest.cli.answers import for_answers
    from securechain_ingest.jobs.advisory_sync import never_read
    from securechain_ingest.jobs.cursors import Cursors
    from securechain_ingest.queue.heartbeats import daemons_seen
    from securechain_ingest.queue.statistics import queue_status
    from securechain_ingest.registries import BY_OSV, DECLARATIONS, ECOSYSTEMS
    from securechain_ingest.schedules.board import Board
    from securechain_ingest.store_addresses import of_running_daemon, without_password
    from securechain_ingest.stores import connect
    from securechain_ingest.worker.lag import lags_of

    addresses = of_running_daemon(settings)
    shown = {
        "redis": without_password(addresses.redis_url or ""),
        "graph": without_password(addresses.graph_uri or ""),
        "vulnerabilities": without_password(addresses.vulnerability_uri or ""),
    }
    async with connect(addresses, for_answers(settings)) as stores:
        names = [ecosystem.name for ecosystem in ECOSYSTEMS]
        endpoints = [endpoint.key for declaration in DECLARATIONS for endpoint in declaration.endpoints]
        stream = settings.queue.stream
        # All are asked at the same time: if stores are away, the answer takes no longer than with one of them away.
        queue, daemons, lags, looks, graph, advisories, never = await asyncio.gather(
            _asked(queue_status(stores.redis, settings.queue, names, endpoints)),
            _asked(daemons_seen(stores.redis, stream)),
            _asked(lags_of(stores.redis, stream, names)),
            _asked(Board(stores.redis, stream).empty_looks()),
            _asked(stores.graph.counts(ECOSYSTEMS)),
            _asked(stores.advisories.count()),
            _asked(never_read(Cursors(stores.redis, stream), stores.advisories, BY_OSV)),
        )
    answers = {"redis": queue, "graph": graph, "vulnerabilities": advisories}
    return {
        "stores": {
            store: {"address": shown[store], **({"error": answer["error"]} if "error" in answer else {"ok": True})}
            for store, answer in answers.items()
        },
        "daemons": None
        if "error" in daemons
        else [{**dataclasses.asdict(daemon), "is_up": daemon.is_up} for daemon in daemons["value"]],
        "queue": None if "error" in queue else queue["value"].as_dict(),
        "freshness": None
        if "error" in lags or "error" in looks
        else _freshness(settings, lags["value"], looks["value"]),
        "graph": None if "error" in graph else graph["value"],
        **_advisories(advisories, never.get("value")),
        "not_in_osv": [ecosystem.name for ecosystem in ECOSYSTEMS if ecosystem.osv is None],
    }


def _freshness(settings: Settings, lags: dict[str, Any], looks: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return how fresh each ecosystem's data is; the keys are the ecosystems' names.

    Each value has the period between two looks at the feed (in seconds, or `off`), the count and time of looks that
    found nothing, and the time that new versions take until they are in the graph.
    """
    from securechain_ingest.registries import DECLARATIONS

    shown = settings.follow.model_dump(mode="json")
    return {
        declared.name: {
            "follow_s": shown[declared.name],
            "empty_looks": dataclasses.asdict(empty) if (empty := looks.get(declared.updates_job)) else None,
            "lag": dataclasses.asdict(lag) if (lag := lags.get(declared.name)) else None,
        }
        for declared in DECLARATIONS
    }


def _advisories(count: dict[str, Any], never: list[str] | None) -> dict[str, Any]:
    """Return the number of advisories, and the ecosystems whose advisories were never read.

    Instead of 0, the number is `unknown` unless it is certain that the advisories of all ecosystems were read. It is
    None if the database did not answer. The ecosystems are None if it is not known which were never read.
    """
    if "error" in count:
        return {"advisories": None, "advisories_unknown": never}
    return {"advisories": count["value"] or ("unknown" if never or never is None else 0), "advisories_unknown": never}


async def _asked(answer: Awaitable[Any]) -> dict[str, Any]:
    from securechain_ingest.drivers.redis_errors import store_errors
    from securechain_ingest.errors import StoreError

    try:
        with store_errors():
            return {"value": await answer}
    except StoreError as error:
        return {"error": str(error)}


def _lines(report: dict[str, Any]) -> Iterator[str]:
    for store, state in report["stores"].items():
        yield f"{store:16} {state['address']:40} {state.get('error', 'ok')}"
    if report["daemons"] is not None:
        yield ""
        for daemon in report["daemons"]:
            yield _daemon_line(daemon)
        if not report["daemons"]:
            yield "no daemon is up: what is queued waits for `securechain-ingest run`"
    if report["queue"] is not None:
        yield ""
        for key, value in report["queue"].items():
            if key == "lanes":
                yield from _lane_lines(value)
            else:
                yield f"{key:16} {_shown(value)}"
    yield ""
    for ecosystem, fresh in (report["freshness"] or {}).items():
        yield f"{f'{ecosystem} lag':16} {_fresh(fresh)}"
    for key in ("graph", "advisories"):
        if report[key] is not None:
            yield f"{key:16} {_shown(report[key])}"
    yield from _unknown_lines(report["advisories_unknown"], report["not_in_osv"])


def _unknown_lines(never_read: list[str] | None, not_in_osv: list[str]) -> Iterator[str]:
    """Yield why nothing is known of the vulnerabilities of some ecosystems."""
    if never_read:
        yield f"{'':16} not read yet, so unknown, of {', '.join(never_read)}"
    if not_in_osv:
        yield f"{'':16} unknown of {', '.join(not_in_osv)}, which OSV does not have"


def _lane_lines(lanes: dict[str, dict[str, dict[str, Any]]]) -> Iterator[str]:
    """Yield a line for each lane that has messages."""
    for ecosystem, of_ecosystem in lanes.items():
        for lane, state in of_ecosystem.items():
            if state["waiting"] or state["pending"] or state["retrying"]:
                yield (
                    f"{f'{ecosystem} {lane}':16} waiting {state['waiting']}, in work {state['pending']},"
                    f" retrying {state['retrying']}, oldest {state['oldest_s']:.0f} s"
                )


def _fresh(fresh: dict[str, Any]) -> str:
    lag, looks, period_s = fresh["lag"], fresh["empty_looks"], fresh["follow_s"]
    words = ["no new version has come yet"]
    if lag:
        words = [
            f"median {lag['median_s']:.0f} s, nine of ten within {lag['most_s']:.0f} s, of {lag['versions']} versions"
        ]
    words.append("followed by the daily updates alone" if period_s == "off" else f"followed every {period_s:.0f} s")
    if looks:
        words.append(f"{looks['count']} looks found nothing, the last at {looks['last_at']}")
    return "; ".join(words)


def _daemon_line(daemon: dict[str, Any]) -> str:
    state = "up" if daemon["is_up"] else f"silent for {daemon['seen_s']:.0f} s"
    progress = daemon["last_progress_at"] or "none yet"
    return (
        f"daemon {daemon['host']} pid {daemon['pid']} ({daemon['version']}): {state}, since {daemon['started_at']},"
        f" {daemon['in_flight']} in flight, last progress {progress}"
    )


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, list):
        return "; ".join(_shown(inner) for inner in value) or "none"
    return "none" if value is None else str(value)
