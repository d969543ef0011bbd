"""What the front page shows: each registry's state, its lanes, dead letters and the daemons."""

from __future__ import annotations

from dataclasses import dataclass

from securechain_ingest.queue.heartbeats import DaemonStatus
from securechain_ingest.queue.statistics import LaneStatus
from securechain_ingest.registries import DECLARATIONS
from securechain_ingest.web.collected import Collected


@dataclass(frozen=True, slots=True)
class RegistryState:
    """One ecosystem's registry as the installation sees it."""

    name: str
    """The word of commands: `pypi`."""
    title: str
    state: str
    """open, paused (by an operator) or down (its endpoint is not asked for a while)."""
    reason: str
    lanes: dict[str, LaneStatus]
    lag_s: float | None
    """Since the moment up to which its changes are in the graph; None: its feed has not been followed yet."""

    @property
    def messages(self) -> int:
        """All that wait, are in work or wait for another try."""
        return sum(lane.waiting + lane.pending + lane.retrying for lane in self.lanes.values())


@dataclass(frozen=True, slots=True)
class Overview:
    """The front page's figures."""

    registries: tuple[RegistryState, ...]
    lane_names: tuple[str, ...]
    dead_letters: dict[str, int]
    """By kind."""
    daemons: tuple[DaemonStatus, ...]
    counters: dict[str, int]
    submissions: int


async def overview(collected: Collected) -> Overview:
    """Raises StoreError."""
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
