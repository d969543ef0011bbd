"""This is what a generated world is like."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import NormalDist
from typing import Final

from securechain_ingest.registries import DECLARATIONS

SERVED: Final = tuple(each.name for each in DECLARATIONS if find_spec(f"tests.registry_server.{each.name}"))
"""These are the registered ecosystems that have a made registry, as all of the program have."""

ARCHIVE_BYTES: Final[Mapping[str, int]] = {
    "pypi": 1_300_000,
    "npm": 600_000,
    "maven": 500_000,
    "cargo": 150_000,
    "rubygems": 300_000,
    "nuget": 800_000,
}
"""The archive of a newest version has so many bytes in the real registries; it is a mean that nobody has confirmed.
npm's is a hundred times its document, because its tarballs are 99 % of its bytes."""

WORDS = [
    "amber",
    "basil",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heron",
    "inlet",
    "jade",
    "kelp",
    "lotus",
    "maple",
    "north",
    "ochre",
    "pearl",
    "quartz",
    "river",
    "slate",
    "thorn",
    "umber",
    "violet",
    "willow",
    "xenon",
    "yarrow",
    "zinc",
]


@dataclass(frozen=True, slots=True)
class Shape:
    packages: int = 150
    """Each ecosystem has so many packages."""
    seed: int = 1
    median_versions: int = 5
    version_spread: float | None = None
    """This is the standard deviation of the logarithm of the number of versions; the packages have exactly the
    quantiles of that distribution. None: each number is drawn, with a deviation of 0.8.
    """
    requirements: int = 5
    """A version has at most so many requirements; on average it has half of that."""
    odd_share: float = 0.1
    """This is the share of packages that shows each odd case; 0: only well-behaved ones."""
    large_share: float = 0.05
    """This is the share of packages whose newest archive is above 1 MB, or as large as `large_bytes` says."""
    large_bytes: int | None = 1_300_000
    """None: it has as many as the archives of the real ecosystem."""
    ecosystems: tuple[str, ...] = SERVED
    giant_versions: int = 0
    """Above 0: each ecosystem gets one more package, `giant`, of so many versions with five requirements each."""


class Dice:
    """These are seeded choices of the generators."""

    def __init__(self, shape: Shape, ecosystem: str) -> None:
        self._shape = shape
        self.random = random.Random(f"{ecosystem} {shape.seed}")
        self.large_bytes = ARCHIVE_BYTES[ecosystem] if shape.large_bytes is None else shape.large_bytes
        self._counts = [] if shape.version_spread is None else self._quantiles(shape.version_spread)

    def odd(self) -> bool:
        return self.random.random() < self._shape.odd_share

    def large(self) -> bool:
        return self.random.random() < self._shape.large_share

    def version_count(self) -> int:
        """Draw log-normally around the median: a few packages have very many."""
        if self._counts:
            return self._counts.pop()
        count = round(self._shape.median_versions * math.exp(self.random.gauss(0, 0.8)))
        return max(1, min(count, 60 * self._shape.median_versions))

    def _quantiles(self, spread: float) -> list[int]:
        """Return as many as there are packages, in any order."""
        count, normal = self._shape.packages, NormalDist()
        quantiles = (normal.inv_cdf((number + 0.5) / count) for number in range(count))
        counts = [max(1, round(self._shape.median_versions * math.exp(spread * each))) for each in quantiles]
        self.random.shuffle(counts)
        return counts

    def requirement_count(self) -> int:
        return self.random.randint(0, self._shape.requirements)

    def names(self, separator: str) -> list[str]:
        """Return distinct plain names."""
        count = self._shape.packages
        return [
            separator.join((self.random.choice(WORDS), self.random.choice(WORDS), str(number)))
            for number in range(count)
        ]
