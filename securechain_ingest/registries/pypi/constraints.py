"""PEP 440 version specifiers as the clients of the graph read them (contract, section 2).

The clients parse with univers, which knows neither `~=`, `===` nor `.*`, reads a list of clauses as neighbouring bounds
on a line, and gives wrong answers for such a list with redundant ones (`>=1.0, >=1.2`). So clauses are intersected as
intervals, and what is written holds no clause that another one implies. Those that remain stand in the order in which
they were declared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from packaging.specifiers import Specifier
from packaging.version import InvalidVersion, Version

from securechain_ingest.model import ANY

MAX_CLAUSES: Final = 64
"""More than any real requirement has; beyond, the cost of intersecting them would be its author's to choose."""

_LOWEST: Final = ">=0.dev0"
"""True of every version: the clients take several exclusions without a bound for nothing at all."""


@dataclass(frozen=True, slots=True)
class _Bound:
    version: Version
    inclusive: bool
    clause: str
    position: int
    """Of the clause in the declaration."""


_Interval: TypeAlias = tuple[_Bound | None, _Bound | None]


def constraints(declared: tuple[str, ...]) -> str:
    """The conjunction of valid clauses such as `>=1.0`; `any` for none. An impossible one is written as declared.

    Two things get lost with the clients' syntax: that `<2.0` and `~=1.4` do not mean 2.0's own pre-releases, and
    `===` on what is no version, which is left out.
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
    stated = [_intervals(specifier, position) for position, specifier in enumerate(known)]
    allowed: list[_Interval] = [(None, None)]
    for intervals in stated:
        allowed = _intersection(allowed, intervals)
    # Impossible: every clause stands, for people to see.
    bounds = _clauses(allowed or [interval for intervals in stated for interval in intervals])
    if len(excluded) > 1 and not bounds:
        bounds = {_LOWEST: -1}
    clauses = excluded | bounds
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


def _intervals(specifier: Specifier, position: int) -> list[_Interval]:
    operator, text = specifier.operator, specifier.version
    if text.endswith(".*"):
        start = text.removesuffix(".*")
        end = _successor(Version(start).epoch, Version(start).release)
        if operator == "==":
            return [(_lower(">=", start, position), _upper("<", end, position))]
        return [(None, _upper("<", start, position)), (_lower(">=", end, position), None)]
    match operator:
        case "~=":
            version = Version(text)
            end = _successor(version.epoch, version.release[:-1])
            return [(_lower(">=", text, position), _upper("<", end, position))]
        case ">=" | ">":
            return [(_lower(operator, text, position), None)]
        case "<=" | "<":
            return [(None, _upper(operator, text, position))]
        case "==" | "===":
            return [
                (_Bound(Version(text), True, f"=={text}", position), _Bound(Version(text), True, f"=={text}", position))
            ]
        case _:
            return [(None, None)]


def _successor(epoch: int, release: tuple[int, ...]) -> str:
    """The first release that does not begin with `release`: 1.5 after 1.4."""
    text = ".".join(map(str, (*release[:-1], release[-1] + 1)))
    return f"{epoch}!{text}" if epoch else text


def _lower(operator: str, text: str, position: int) -> _Bound:
    return _Bound(Version(text), operator == ">=", f"{operator}{text}", position)


def _upper(operator: str, text: str, position: int) -> _Bound:
    return _Bound(Version(text), operator == "<=", f"{operator}{text}", position)


def _intersection(some: Iterable[_Interval], others: Iterable[_Interval]) -> list[_Interval]:
    others = list(others)
    both = [(_highest(low, low2), _lowest(high, high2)) for low, high in some for low2, high2 in others]
    return [interval for interval in both if not _is_empty(interval)]


def _highest(one: _Bound | None, other: _Bound | None) -> _Bound | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda bound: (bound.version, not bound.inclusive))


def _lowest(one: _Bound | None, other: _Bound | None) -> _Bound | None:
    if one is None or other is None:
        return one or other
    return min(one, other, key=lambda bound: (bound.version, bound.inclusive))


def _is_empty(interval: _Interval) -> bool:
    low, high = interval
    if low is None or high is None or low.version < high.version:
        return False
    return low.version > high.version or not (low.inclusive and high.inclusive)


def _clauses(intervals: Iterable[_Interval]) -> dict[str, int]:
    """The clause of each bound and its place."""
    clauses: dict[str, int] = {}
    for low, high in intervals:
        if low is not None and high is not None and low.version == high.version:
            # The clients take `>=1.0, <=1.0` for everything.
            clauses["==" + low.clause.lstrip("<>=")] = low.position
        else:
            clauses |= {bound.clause: bound.position for bound in (low, high) if bound is not None}
    return clauses
