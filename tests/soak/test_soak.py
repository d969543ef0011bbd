"""Under a steady load for hours the memory and the descriptors of a daemon and of its stores stay flat.

CI runs a short form, in which only gross leaks can show; `make soak` (or `pytest -m soak --soak-hours H --soak-rate R
--soak-seed S --soak-folder F`) a long one. A seed repeats the choices, not their moments.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from securechain_ingest.embedded.process import free_ports
from tests.end_to_end.conftest import dead_letters
from tests.end_to_end.daemon_process import daemon
from tests.forked_product import SCRIPT
from tests.registry_server import Shape, serve
from tests.registry_server.life import Life
from tests.soak.flat import MB, allowances, complaints, table
from tests.soak.load import Load, LoadPace, Place, schedules
from tests.soak.watch import SAMPLES, Watch, watch
from tests.stores import AdvisoryTarget, GraphTarget, empty_graph, store_variables

PACKAGES = 20
"""Each ecosystem has so many packages."""
LOOK_S = 10.0
REPORT_S = 600.0


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_under_a_steady_load_the_memory_and_the_descriptors_of_all_processes_stay_flat(
    request: pytest.FixtureRequest,
    neo4j_server: GraphTarget,
    redis_url: str,
    advisory_target: AdvisoryTarget,
    tmp_path: Path,
) -> None:
    option = request.config.getoption
    seed, hours = option("--soak-seed"), option("--soak-hours")
    folder = Path(option("--soak-folder") or tmp_path).resolve() / f"soak-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    print(f"\nsoak: seed {seed}, {hours} h; the figures are written to {folder}", flush=True)
    # A short run has short minutes.
    pace = LoadPace(option("--soak-rate"), minute_s=min(60.0, hours * 3600 / 6))
    life = Life(Shape(PACKAGES, seed, large_share=1.0, large_bytes=None))
    life.publish_all()
    empty_graph(neo4j_server)
    variables = store_variables(redis_url, neo4j_server, advisory_target, tmp_path / "state") | {
        "SECURECHAIN_QUEUE__DEAD_LETTERS_MAX": "100",
        "SECURECHAIN_QUEUE__RETRY_BASE_S": "0.2",
        "SECURECHAIN_QUEUE__RETRY_MAX_S": "5",
        "SECURECHAIN_HTTP__TIMEOUT_S": "5",
        # A busy machine may be silent for longer than that, and more often than a message is tried by default.
        "SECURECHAIN_QUEUE__MAX_DELIVERIES": "100",
        "SECURECHAIN_WEB__PORT": str(free_ports(1)[0]),
        **schedules(pace.minute_s),
    }
    urls = {"redis": redis_url, "advisories": advisory_target.uri, "graph": neo4j_server.uri}
    ports = {role: urlsplit(url).port or 0 for role, url in urls.items()}
    with (
        serve(life.world(), keep_requests=False) as server,
        daemon(variables | server.environment(), ready=False, command=(SCRIPT,), log=folder / "daemon.log") as process,
        watch(process.process.pid, ports, folder / SAMPLES) as watched,
    ):
        # A cold Neo4j on a busy machine takes minutes for its first constraints.
        process.wait_for("daemon_ready", timeout_s=900)
        [page] = process.wait_for("page_ready")
        address = urlsplit(page["address"])
        place = Place(
            redis_url,
            neo4j_server,
            f"{address.scheme}://{address.netloc}",
            server,
            life,
            lambda: process.send(signal.SIGHUP),
        )
        load = Load(place, pace, seed)
        server.replace(load.world())
        asyncio.run(load.begin())
        process.wait_for("package_stored", timeout_s=900)
        try:
            asyncio.run(_under_load(load, watched, hours * 3600))
        finally:
            report = _report(load, watched, seed)
            (folder / "report.txt").write_text(report)
            print(report, flush=True)
        assert process.stop() == 0
    found = {
        role: wrong
        for role, allowance in allowances(hours).items()
        if (wrong := complaints(watched.of(role), allowance))
    }
    assert found == {}
    assert [process.events(name) for name in ("handler_failed", "page_fault")] == [[], []]
    with redis.Redis.from_url(redis_url, decode_responses=True) as queue:
        kinds = Counter(letter["kind"] for letter in dead_letters(queue))
    # A document that came damaged is its package's own fault.
    assert kinds.keys() <= {"not_found", "unknown_node_type", "bad_json", "malformed"}


async def _under_load(load: Load, watched: Watch, seconds: float) -> None:
    """Keep the load up for so long, with a look at regular intervals."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    look_s = min(LOOK_S, seconds / 20)
    report_at = REPORT_S

    async def look() -> None:
        nonlocal report_at
        due = began
        while True:
            at_s = loop.time() - began
            await asyncio.to_thread(watched.look, at_s)
            if at_s >= report_at:
                report_at += REPORT_S
                print(_now(load, watched), flush=True)
            due = max(due + look_s, loop.time())
            await asyncio.sleep(due - loop.time())

    with suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            group.create_task(look())
            group.create_task(load.run())


def _now(load: Load, watched: Watch) -> str:
    """Return one line about this moment."""
    last = [watched.of(role)[-1] for role in watched.roles]
    held = ", ".join(f"{each.role} {each.rss / MB:.0f} MB {each.descriptors} fds" for each in last)
    return f"{timedelta(seconds=round(last[0].at_s))}: {load.messages} messages; {held}"


def _report(load: Load, watched: Watch, seed: int) -> str:
    hours = watched.holdings[-1].at_s / 3600
    done = "\n".join(f"{count:8}  {kind}" for kind, count in sorted(load.done.items()))
    held = table({role: watched.of(role) for role in watched.roles})
    return f"seed {seed}, {hours:.2f} h, {load.messages} messages\n{held}\n\n{done}\n"
