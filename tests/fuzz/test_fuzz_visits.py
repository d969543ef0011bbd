"""Every reader of foreign bytes that a registered ecosystem has is tried on spoiled answers: it gives a result, or an
error of ours.

A failure names the numbers that make it again.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import strategies as st

from securechain_ingest.registries import ECOSYSTEMS
from tests.fuzz.mutations import strange_text
from tests.fuzz.search import SEEDS, fuzzed
from tests.fuzz.visits import Spoiling, Visit, kept, parts_of, read_feed, visit_package

WORDS = [ecosystem.name for ecosystem in ECOSYSTEMS]
every_ecosystem = pytest.mark.parametrize("word", WORDS)


@every_ecosystem
def test_what_a_registry_says_of_a_package_is_read_or_refused_however_it_is_spoiled(word: str) -> None:
    visit = kept(word)

    @fuzzed(st.sampled_from(visit.names), st.integers(0, 2**16), SEEDS)
    def fuzz(name: str, place: int, seeds: list[int]) -> None:
        async def again() -> None:
            with tempfile.TemporaryDirectory() as folder:
                places = visit.places[name]
                http = Spoiling(visit, places[place % len(places)], seeds)
                async with parts_of(visit, http, Path(folder)) as (registry, _):
                    await visit_package(registry, name)
                    await registry.near_names(registry.identify(name.lower()))

        asyncio.run(again())


@every_ecosystem
def test_what_a_feed_tells_is_read_or_refused_however_it_is_spoiled(word: str) -> None:
    visit = kept(word)

    @fuzzed(st.sampled_from(visit.places[Visit.FEED]), st.booleans(), SEEDS)
    def fuzz(place: str, knows_ranges: bool, seeds: list[int]) -> None:
        async def again() -> None:
            with tempfile.TemporaryDirectory() as folder:
                http = Spoiling(visit, place, seeds, knows_ranges=knows_ranges)
                async with parts_of(visit, http, Path(folder)) as (_, feed):
                    await read_feed(feed, visit.cursor)

        asyncio.run(again())


@every_ecosystem
def test_a_cursor_is_understood_or_lost_whatever_it_is(word: str) -> None:
    visit = kept(word)

    @fuzzed(st.integers(0, 2**32 - 1), share=0.2)
    def fuzz(seed: int) -> None:
        async def again() -> None:
            with tempfile.TemporaryDirectory() as folder:
                async with parts_of(visit, Spoiling(visit, "", ()), Path(folder)) as (_, feed):
                    await read_feed(feed, strange_text(seed, visit.cursor))

        asyncio.run(again())


def _readers(word: str) -> Iterator[str]:
    """Yield the functions of an ecosystem whose first parameter is the content of a document or an archive, or its
    file.
    """
    package = importlib.import_module(f"securechain_ingest.registries.{word}")
    contents = {("body", "bytes"), ("content", "bytes"), ("metadata", "bytes"), ("file", "BinaryIO"), ("file", "Path")}
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for name, function in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction):
            first = next(iter(inspect.signature(function).parameters.values()), None)
            if (
                first is not None
                and not name.startswith("_")
                and function.__module__ == module.name
                and (first.name, first.annotation) in contents
            ):
                yield f"{module.name}.{name}"


@every_ecosystem
def test_every_reader_of_an_ecosystem_is_among_what_is_spoiled(word: str) -> None:
    assert set(_readers(word)) - kept(word).called == set()
