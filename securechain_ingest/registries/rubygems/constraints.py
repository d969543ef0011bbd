"""This module writes RubyGems' requirements as the clients of the graph read them (contract, section 2).

The clients parse with univers, which reads one clause as Gem::Requirement does, and a lower bound with an upper one.
But it takes `~>` apart into two bounds and keeps all bounds in one sorted list, so that a further bound (`~> 1.0, >=
1.0.2`) breaks it; it does not see that `=` excludes everything else; it reads several `!=` without a bound as nothing
at all; and it forgets the pre-release of `~> 1.0.beta`. Such requirements are spelled out as the interval that they
allow; all others stay as they were declared.

One thing gets lost where `~> 1.2` stands alone, which univers reads as `>= 1.2, < 2`: that 2's own pre-releases are not
meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Final

from securechain_ingest.model import ANY
from securechain_ingest.registries.kit.intervals import Bound, Interval
from securechain_ingest.registries.rubygems.versions import (
    VERSION_PATTERN,
    GemKey,
    is_prerelease,
    next_series,
    version_key,
)

NOTHING: Final = "< 0.A"
"""This is the empty range. Below 0 there are its pre-releases (`0.0.0.alpha`), but none below the first of all words.
"""

EVERYTHING: Final = ">= 0.A"
"""This includes the pre-releases of 0."""

MAX_CLAUSES: Final = 64
"""Real requirements have fewer clauses."""

_CLAUSE: Final = re.compile(rf"(=|!=|>=|<=|~>|>|<|)\s*({VERSION_PATTERN})")


@dataclass(frozen=True, slots=True)
class _Clause:
    operator: str
    version: str
    key: GemKey

    def __str__(self) -> str:
        return f"{self.operator} {self.version}"

    @property
    def interval(self) -> Interval[GemKey]:
        """Return the versions that the clause allows. A clause that only excludes a version allows all of them here."""
        below, above = Bound(self.key, False, self.version), Bound(self.key, True, self.version)
        match self.operator:
            case "=":
                return Interval(below, above)
            case ">=":
                return Interval(low=below)
            case ">":
                return Interval(low=above)
            case "<=":
                return Interval(high=above)
            case "<":
                return Interval(high=below)
            case "~>":
                # `< 2.A` is below 2 and below its pre-releases: words sort by ASCII, capitals (`2.0.RC1`) first.
                end = f"{next_series(self.version)}.A"
                return Interval(below, Bound(version_key(end), False, end))
            case _:
                return Interval()


@lru_cache(maxsize=65_536)
def constraints(declared: tuple[str, ...]) -> str:
    """Return clauses such as `>= 1.0` that must all hold, joined. Without a clause the result is `any`.

    If one of them is not a clause, all stay as they are: the clients then keep every version.
    """
    # A comma separates clauses, in what is written and so in what is read.
    stated = [clause.strip() for text in declared for clause in text.split(",") if clause.strip()]
    verbatim = ", ".join(stated)
    try:
        clauses = [_parse(text) for text in dict.fromkeys(stated)]
    except ValueError:
        return verbatim
    if len(clauses) > MAX_CLAUSES or _is_read_right(clauses):
        return verbatim or ANY
    return _spelled_out(clauses)


def _parse(text: str) -> _Clause:
    match = _CLAUSE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return _Clause(match[1] or "=", match[2], version_key(match[2]))


def _is_read_right(clauses: list[_Clause]) -> bool:
    if any(clause.operator == "~>" and is_prerelease(clause.version) for clause in clauses):
        return False
    if len(clauses) < 2:
        return True
    bounds = [clause for clause in clauses if clause.operator != "!="]
    match [clause.operator[0] for clause in sorted(bounds, key=lambda clause: clause.key)]:
        case ["~" | ">" | "<"]:
            return True
        case [">", "<"]:
            return bounds[0].key != bounds[1].key
        case _:
            return False


def _spelled_out(clauses: list[_Clause]) -> str:
    allowed = reduce(Interval.__and__, (clause.interval for clause in clauses))
    excluded = [clause for clause in clauses if clause.operator == "!="]
    if allowed.is_empty:
        return NOTHING
    if allowed.low is not None and allowed.is_single:
        if any(clause.key == allowed.low.key for clause in excluded):
            return NOTHING
        exact = next((clause.version for clause in clauses if clause.operator == "="), allowed.low.text)
        return f"= {exact}"
    return ", ".join([*_bounds(clauses, allowed), *map(str, excluded)])


def _bounds(clauses: list[_Clause], allowed: Interval[GemKey]) -> list[str]:
    """These are the two bounds, or the one declared clause that has both."""
    for clause in clauses:
        if clause.operator == "~>" and not is_prerelease(clause.version) and clause.interval == allowed:
            return [str(clause)]
    return allowed.comparators(" ") or [EVERYTHING]
