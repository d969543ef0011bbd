"""The rule by which a soak is judged finds what leaks, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from tests.soak.flat import GROSS_LEAKS, LEAKS, MB, AllowedGrowth, complaints, course, table
from tests.soak.watch import Holding

COUNT = 1080
"""Three hours, a look each ten seconds."""


def samples(
    rss: Sequence[float] = (100 * MB,) * COUNT,
    descriptors: Sequence[float] = (40,) * COUNT,
    processes: int = 1,
    threads: int = 8,
) -> list[Holding]:
    return [
        Holding(10.0 * number, "daemon", processes, int(memory), int(memory), int(count), threads)
        for number, (memory, count) in enumerate(zip(rss, descriptors, strict=True))
    ]


def test_what_fills_in_the_warm_up_and_then_moves_up_and_down_is_flat() -> None:
    chance = random.Random(1)
    warm = [min(1.0, 0.4 + number / (COUNT / 4)) for number in range(COUNT)]
    memory = [150 * MB * each + chance.uniform(-5 * MB, 5 * MB) for each in warm]
    held = [60 * each + chance.randint(-8, 8) for each in warm]
    assert complaints(samples(memory, held), LEAKS) == []


def test_a_peak_of_minutes_is_no_leak() -> None:
    memory = [100.0 * MB] * COUNT
    memory[-100:-10] = [900.0 * MB] * 90
    assert complaints(samples(memory), LEAKS) == []


@pytest.mark.parametrize("added", [0.25, 1.0, 10.0])
def test_memory_that_goes_on_growing_is_found(added: float) -> None:
    growing = [100 * MB * (1 + added * number / COUNT) for number in range(COUNT)]
    assert any("resident memory" in each for each in complaints(samples(growing), LEAKS))


def test_one_descriptor_lost_every_twenty_minutes_is_found() -> None:
    held = [40 + number // 120 for number in range(COUNT)]
    assert complaints(samples(descriptors=held), LEAKS) == ["descriptors went from 43 to 47"]


def test_children_and_threads_that_gather_are_found() -> None:
    before, after = samples()[: COUNT // 2], samples(processes=2, threads=20)[COUNT // 2 :]
    assert complaints([*before, *after], LEAKS) == ["threads went from 8 to 20", "processes went from 1 to 2"]


def test_a_small_process_may_add_some_pages() -> None:
    growing = [10 * MB + 6 * MB * number / COUNT for number in range(COUNT)]
    assert complaints(samples(growing), LEAKS) == []


def test_a_server_may_fill_what_it_has_been_given_and_not_more() -> None:
    filled = [500 * MB * (1 + number / COUNT) for number in range(COUNT)]
    assert complaints(samples(filled), AllowedGrowth(0.1, 0, 3, 0, bound_bytes=1000 * MB)) == []
    assert complaints(samples(filled), AllowedGrowth(0.1, 0, 3, 0, bound_bytes=900 * MB)) != []


def test_a_short_run_is_judged_by_gross_leaks_alone() -> None:
    assert complaints(samples([100 * MB * (1 + number / COUNT) for number in range(COUNT)]), GROSS_LEAKS) == []
    assert complaints(samples([100 * MB * (1 + 20 * number / COUNT) for number in range(COUNT)]), GROSS_LEAKS) != []


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_run_that_was_ended_at_once_has_figures_too(count: int) -> None:
    few = samples()[:count]
    assert course([sample.descriptors for sample in few]).last_quarter == 40
    assert "100.0" in table({"daemon": few})
