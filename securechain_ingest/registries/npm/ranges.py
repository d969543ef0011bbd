"""This module reads npm's ranges as npm itself does: leniently (node-semver's README, "Ranges" and "Functions",
`loose`).

npm first rewrites a range (it joins operators to the versions behind them, and spells hyphens, carets, tildes and
wildcards out) and then passes over every comparator that it still cannot read. So `>= 0.4.0, < 0.4.11` is `<0.4.11`
alone, and `1.2.3 foo` is `1.2.3`. An alternative of which nothing is left does not count; if none counts, the text is
no range but a tag.
"""

from __future__ import annotations

import re
from functools import reduce
from typing import Final

from securechain_ingest.registries.kit.intervals import Interval
from securechain_ingest.registries.kit.semver_ranges import (
    EMPTY,
    EVERYTHING,
    SemverInterval,
    comparator,
    numbers_before_wildcard,
)

_MAX_NUMBER: Final = 2**53 - 1
"""JavaScript counts with no larger number; a larger one makes npm refuse the whole range."""
_MAX_PLAIN: Final = 10**21
"""From here on JavaScript writes a number with an exponent, which makes the text no comparator."""
_MAX_VERSION_LENGTH: Final = 256

# What JavaScript takes for white space, which is not quite what `str.split` does.
_SPACES: Final = re.compile("[\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+")
_BUILD: Final = re.compile(r"\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*")
_WORD = r"[0-9]{0,256}[A-Za-z-][0-9A-Za-z-]{0,250}"
_NUMBER, _STRICT_NUMBER = r"[0-9]{1,256}", r"(?:0|[1-9][0-9]{0,256})"
_PRERELEASE = rf"(?:-?((?:{_WORD}|{_NUMBER})(?:\.(?:{_WORD}|{_NUMBER}))*))"
_WHOLE = rf"[v= ]*({_NUMBER})\.({_NUMBER})\.({_NUMBER}){_PRERELEASE}?"
_PART = rf"({_NUMBER}|[xX*])"
_PARTIAL = rf"[v= ]*{_PART}(?:\.{_PART}(?:\.{_PART}{_PRERELEASE}?)?)?"

_HYPHEN: Final = re.compile(rf"({_PARTIAL}) - ({_PARTIAL})")
_CARET: Final = re.compile(rf"\^{_PARTIAL}")
_TILDE: Final = re.compile(rf"~>?{_PARTIAL}")
_X_RANGE: Final = re.compile(rf"([<>]?=?){_PARTIAL}")
_COMPARATOR: Final = re.compile(rf"([<>]?=?)({_WHOLE})")
_STAR: Final = re.compile(r"[<>]?=? ?\*")

# An operator, a blank and a version. A run of `v`, `=` and blanks that no version ends is one match: otherwise each of
# its places would be tried, and all that follow looked at again.
_STRICT_PART = rf"(?:{_STRICT_NUMBER}|[xX*])"
_STRICT_PRERELEASE = rf"-(?:{_WORD}|{_STRICT_NUMBER})(?:\.(?:{_WORD}|{_STRICT_NUMBER}))*"
_STRICT_PARTIAL = rf"[v= ]*{_STRICT_PART}(?:\.{_STRICT_PART}(?:\.{_STRICT_PART}(?:{_STRICT_PRERELEASE})?)?)?"
_OPERATOR: Final = re.compile(rf"( ?[<>]?=?) ?((?:{_WHOLE})|{_STRICT_PARTIAL})|[v= ]+")
_LONE_TILDE: Final = re.compile(r"~>? ")
_LONE_CARET: Final = re.compile(r"\^ ")


def normal_text(declared: str) -> str:
    """Return the declared range with single blanks and without any around it."""
    return _SPACES.sub(" ", declared).strip(" ")


def read_alternative(text: str) -> SemverInterval | None:
    """Return what one of the parts between `||` admits. The result is None if nothing of it can be read.

    It raises ValueError for a number or a version beyond npm's limits, which makes the whole text no range.
    """
    text = _BUILD.sub("", text)
    if hyphen := _HYPHEN.fullmatch(text):
        text = _spelled_out(*hyphen.groups())
    text = _OPERATOR.sub(lambda match: match[0] if match[2] is None else match[1] + match[2], text)
    text = _LONE_CARET.sub("^", _LONE_TILDE.sub("~", text))
    read = [_read_comparator(word) for word in text.split(" ")]
    # npm splits anew where a comparator has become nothing: what admits everything counts at either end alone.
    known = [interval for interval in read if interval is not None and interval != EVERYTHING]
    if EMPTY in known:
        return EMPTY
    if not known and EVERYTHING not in (read[0], read[-1]):
        return None
    return reduce(Interval.__and__, known, EVERYTHING)


def _spelled_out(*ends: str | None) -> str:
    """Return `>=1.2.0 <2.4.0` for `1.2 - 2.3`. Whole versions stay as they are written, whatever comes of it."""
    (low, *low_parts), (high, *high_parts) = ends[:5], ends[5:]
    floor, ceiling = numbers_before_wildcard(low_parts[:3]), numbers_before_wildcard(high_parts[:3])
    from_low = f">={low}" if len(floor) == 3 else f">={_dotted(floor)}" if floor else ""
    if len(ceiling) == 3:
        to_high = f"<={_dotted(ceiling)}-{high_parts[3]}" if high_parts[3] else f"<={high}"
    else:
        to_high = f"<{_dotted([*ceiling[:-1], ceiling[-1] + 1])}" if ceiling else ""
    return f"{from_low} {to_high}".strip(" ")


def _dotted(numbers: list[int]) -> str:
    return ".".join(str(number) if number < _MAX_PLAIN else "e" for number in [*numbers, 0, 0][:3])


def _read_comparator(word: str) -> SemverInterval | None:
    if match := _CARET.fullmatch(word):
        return _caret(*match.groups())
    if match := _TILDE.fullmatch(word):
        return _interval("~", *match.groups())
    if match := _X_RANGE.fullmatch(word):
        operator, *parts = match.groups()
        major, minor, patch = map(_is_wild, parts[:3])
        # `*.1` and `1.x.3` are nothing.
        if (major or minor or patch) and not (major and not minor) and not (minor and parts[2] and not patch):
            return _interval("" if operator == "=" else operator, *parts)
    # A star counts for nothing, wherever it stands.
    word = _STAR.sub("", word, count=1)
    if not word:
        return EVERYTHING
    match = _COMPARATOR.fullmatch(word)
    if match is None:
        return None
    if len(match[2]) > _MAX_VERSION_LENGTH:
        raise ValueError("a version beyond the limit")
    operator, _, *parts = match.groups()
    return EMPTY if (operator, parts) == ("<", ["0", "0", "0", "0"]) else _interval(operator, *parts)


def _caret(*parts: str | None) -> SemverInterval | None:
    """`^1.2.3` goes up to where the first number rises that is not written `0`."""
    numbers = numbers_before_wildcard(parts[:3])
    if not numbers:
        return EVERYTHING
    leading = 0 if parts[0] != "0" or len(numbers) < 2 else 1 if parts[1] != "0" or len(numbers) < 3 else 2
    floor = _interval(">=", *(*map(str, numbers), None, None)[:3], parts[3])
    end = _interval("<", *map(str, [*numbers[:leading], numbers[leading] + 1, 0, 0][:3]), None)
    return floor & end if floor and end else None


def _interval(operator: str, *parts: str | None) -> SemverInterval | None:
    numbers = numbers_before_wildcard(parts[:3])
    is_partial = 0 < len(numbers) < 3
    highest = max(numbers, default=0)
    if is_partial and operator in (">", "<=") and numbers[-1] + 1 >= _MAX_PLAIN:
        return None
    # The end of a partial version or of a tilde is one higher.
    if highest > _MAX_NUMBER or (operator == "~" and numbers[:2][-1:] == [_MAX_NUMBER]):
        raise ValueError("a number beyond the limit")
    if is_partial and operator not in (">=", "<") and numbers[-1] == _MAX_NUMBER:
        raise ValueError("a number beyond the limit")
    interval = comparator(operator, numbers, None if is_partial or not numbers else _prerelease(parts[3]))
    return EMPTY if interval.is_empty else interval


def _prerelease(text: str | None) -> str | None:
    """The numbers among the identifiers lose their leading zeros, which npm does not see."""
    if not text:
        return None
    return ".".join(str(int(part)) if part.isdigit() else part for part in text.split("."))


def _is_wild(part: str | None) -> bool:
    return not part or part in "xX*"
