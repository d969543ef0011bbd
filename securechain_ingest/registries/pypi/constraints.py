"""This module writes PEP 440 version specifiers as the clients of the graph read them (contract, section 2).

The clients parse with univers, which knows neither `~=`, `===` nor `.*`, reads a list of clauses as neighbouring bounds
on a line, and gives wrong answers for such a list with redundant ones (`>=1.0, >=1.2`). So clauses are intersected as
intervals, and what is written holds no clause that another one implies. Those that remain stand in the order in which
they were declared.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, reduce
from typing import Final, TypeAlias

from packaging.specifiers import Specifier
from packaging.version import InvalidVersion, Version

from securechain_ingest.model import ANY
from securechain_ingest.registries.kit.intervals import Bound, Interval, gaps, intersection

MAX_CLAUSES: Final = 64
"""Real requirements have fewer clauses; beyond this the author of a package would choose what intersecting them costs.
"""

_LOWEST: Final = ">=0.dev0"
"""This clause is true of every version: the clients read several exclusions without a bound as nothing at all."""


_Interval: TypeAlias = Interval[Version]

_EVERYTHING: Final[_Interval] = Interval()


def constraints(declared: tuple[str, ...]) -> str:
    """Return valid clauses such as `>=1.0` that must all hold, joined. Without a clause the result is `any`. Clauses
    that contradict each other are written as they were declared.

    Two things get lost in the clients' syntax: that `<2.0` and `~=1.4` do not admit 2.0's own pre-releases, and `===`
    with a text that is not a version, which is left out.
    """
    return _constraints(declared) if len(declared) <= MAX_CLAUSES else ANY


@lru_cache(maxsize=65_536)
def _constraints(declared: tuple[str, ...]) -> str:
    # Text and not Specifiers as arguments: `>=1` and `>=1.0` are equal to a cache, and each package's own stands.
    known = [specifier for specifier in map(Specifier, declared) if _is_comparable(specifier)]
    exact = [specifier for specifier in known if _is_exact(specifier)]
    if exact and all(specifier.contains(exact[0].version, prereleases=True) for specifier in known):
        return f"=={exact[0].version}"
    excluded = {
        f"!={specifier.version}": position
        for position, specifier in enumerate(known)
        if specifier.operator == "!=" and not specifier.version.endswith(".*")
    }
    stated = [_intervals(specifier) for specifier in known]
    allowed = reduce(intersection, stated, [_EVERYTHING])
    # Each bound stands where it was declared first.
    positions: dict[str, int] = {}
    for position, intervals in enumerate(stated):
        for bound in (bound for interval in intervals for bound in interval.comparators()):
            positions.setdefault(bound, position)
    # Impossible: every clause stands, for people to see.
    bounds = _clauses(allowed or [interval for intervals in stated for interval in intervals])
    clauses = excluded | {clause: positions[bound] for clause, bound in bounds.items()}
    if len(excluded) > 1 and not bounds:
        clauses[_LOWEST] = -1
    return ", ".join(sorted(clauses, key=lambda clause: clauses[clause])) or ANY


def _is_comparable(specifier: Specifier) -> bool:
    if specifier.operator != "===":
        return True
    try:
        Version(specifier.version)
    except InvalidVersion:
        return False
    return True


def _is_exact(specifier: Specifier) -> bool:
    return specifier.operator == "===" or (specifier.operator == "==" and not specifier.version.endswith(".*"))


def _intervals(specifier: Specifier) -> list[_Interval]:
    """Return the versions that a specifier allows. A specifier that only excludes a single version allows all of them
    here."""
    operator, text = specifier.operator, specifier.version
    if text.endswith(".*"):
        start = text.removesuffix(".*")
        version = Version(start)
        series = Interval(_below(start), _below(_successor(version.epoch, version.release)))
        return [series] if operator == "==" else gaps([series])
    match operator:
        case "~=":
            version = Version(text)
            return [Interval(_below(text), _below(_successor(version.epoch, version.release[:-1])))]
        case ">=":
            return [Interval(low=_below(text))]
        case ">":
            return [Interval(low=_above(text))]
        case "<=":
            return [Interval(high=_above(text))]
        case "<":
            return [Interval(high=_below(text))]
        case "==" | "===":
            return [Interval(_below(text), _above(text))]
        case _:
            return [_EVERYTHING]


def _successor(epoch: int, release: tuple[int, ...]) -> str:
    """Return the first release that does not begin with `release`: 1.5 comes after 1.4."""
    text = ".".join(map(str, (*release[:-1], release[-1] + 1)))
    return f"{epoch}!{text}" if epoch else text


def _below(text: str) -> Bound[Version]:
    return Bound(Version(text), False, text)


def _above(text: str) -> Bound[Version]:
    return Bound(Version(text), True, text)


def _clauses(intervals: Iterable[_Interval]) -> dict[str, str]:
    """Return the intervals spelled out as clauses, each with the bound that it is about."""
    clauses: dict[str, str] = {}
    for interval in intervals:
        bounds = interval.comparators()
        if interval.low is not None and interval.is_single:
            # The clients take `>=1.0, <=1.0` for everything.
            clauses[f"=={interval.low.text}"] = bounds[0]
        else:
            clauses |= zip(bounds, bounds, strict=True)
    return clauses
