"""This module gathers what the front page shows: the state of each registry, its lanes, the dead letters and the
daemons."""

from __future__ import annotations

from dataclasses import dataclass

from securechain_ingest.queue.heartbeats import DaemonStatus
from securechain_ingest.queue.statistics import LaneStatus
from securechain_ingest.registries import DECLARATIONS
from securechain_ingest.web.collected import Collected


@dataclass(frozen=True, slots=True)
class RegistryState:
    """This is the state of one ecosystem's registry in this installation."""

    name: str
    """This is the ecosystem's name in commands, such as `pypi`."""
    title: str
    state: str
    """The state is open, paused (by an operator) or down (no request is made to its endpoint for a while)."""
    reason: str
    lanes: dict[str, LaneStatus]
    lag_s: float | None
    """So many seconds have passed since the moment up to which the registry's changes are in the graph. It is None
    if its feed has not been followed yet."""

    @property
    def messages(self) -> int:
        """Return the number of messages that wait, are in work or wait for another attempt."""
        return sum(lane.waiting + lane.pending + lane.retrying for lane in self.lanes.values())


@dataclass(frozen=True, slots=True)
class Overview:
    """These are the figures of the front page."""

    registries: tuple[RegistryState, ...]
    lane_names: tuple[str, ...]
    dead_letters: dict[str, int]
    """This maps each kind to its number of dead letters."""
    daemons: tuple[DaemonStatus, ...]
    counters: dict[str, int]
    submissions: int


async def overview(collected: Collected) -> Overview:
    """Return the figures of the front page. Raise StoreError."""
    snapshot = await collected.snapshot()
    queue = snapshot.queue
    registries = []
    for declaration in DECLARATIONS:
        name = declaration.name
        state, reason = "open", ""
        breaker = queue.breakers.get(declaration.ecosystem.endpoint)
        if breaker is not None and breaker.open_for_s > 0:
            state, reason = "down", f"asked again in {breaker.open_for_s:.0f} s: {breaker.reason}"
        if name in queue.paused:
            state, reason = "paused", f"by an operator since {queue.paused[name]}"
        registries.append(
            RegistryState(name, declaration.title, state, reason, queue.lanes[name], snapshot.registry_lags_s.get(name))
        )
    submitted = queue.submissions
    return Overview(
        registries=tuple(registries),
        lane_names=tuple(next(iter(queue.lanes.values()), {})),
        dead_letters=dict(sorted(snapshot.dead_letters.items())),
        daemons=snapshot.daemons,
        counters=queue.counters,
        submissions=submitted.waiting + submitted.pending,
    )
