"""Today's rules (PEP 508, PEP 440) refuse some requirement lines; this module reads them as they were meant.

Old tools wrote what they liked into `Requires-Dist`, and installers go on reading it: uv mends the same faults (its
issues 408, 735, 1798 and 2546), and PEP 345 and poetry have operators of their own. It is certain that the named
package is required, whatever becomes of the clauses and the marker: those that nobody can read are left out. A line
that does not begin with a name, such as an address, is not a requirement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508Requirement
from packaging.specifiers import InvalidSpecifier, Specifier

MAX_VERSION_LENGTH: Final = 1_024
"""This is in characters and equals the limit of the graph; Python does not read a number with more digits than this."""

_NAME: Final = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(\[[^\]]*+\]?)?\]*\s*")
# Behind a name follow clauses, an address or a comment.
_CLAUSES_BEGIN: Final = tuple("(<>=!~^,*0123456789")
_NO_TEXT: Final = dict.fromkeys(map(ord, "\"'\u2018\u2019\u201c\u201d\u200b\ufeff"))
"""Quotes around versions and what nobody sees are left out."""
# In a requirements file a comment, an option and the end of a line that goes on may stand behind a requirement.
_END: Final = re.compile(r"#|\s--|\\$")
_JOINED: Final = re.compile(r"\band\b|&+")
_ALTERNATIVES: Final = re.compile(r"\||\bor\b")
_ORDERED_WILDCARD: Final = re.compile(r"""([<>]=?|~=)\s*(["'])([0-9.]+)\.\*\2""")
_CLAUSE: Final = re.compile(r"([<>=!~^ ]*)([^<>=!~^,]*)")
_OPERATORS: Final = {
    **{operator: operator for operator in ("==", "===", "!=", "<=", ">=", "<", ">", "~=", "~", "^")},
    "": "==",
    "=": "==",
    "=>": ">=",
    "=<": "<=",
    "<>": "!=",
    "!": "!=",
    "=!": "!=",
    "!==": "!=",
    "=~": "~=",
    "~>": "~=",
}
_WORD: Final = re.compile(r"[a-z]\w*(?:\.\w+)?$", re.IGNORECASE)
_NOT_LIKE: Final = "!=~"
_WILDCARD: Final = re.compile(r"(?:\.?\*|\.[xX])+$")
_ZERO_BEHIND_LABEL: Final = re.compile(r"((?:a|b|rc|post|dev)[0-9]+)\.0$")
_RELEASE: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18}){0,9}")
_EXTRA: Final = re.compile(r"\bextra\s*==\s*['\"]?[A-Za-z0-9]")


def mended(line: str) -> Pep508Requirement | None:
    """Return the requirement that was meant. The result is None if it belongs to an extra. It raises
    InvalidRequirement."""
    text, _, marker = line.partition(";")
    text = _END.split(text.translate(_NO_TEXT), maxsplit=1)[0]
    head = _NAME.match(text)
    rest = text[head.end() :].strip() if head else ""
    if head is None or not (rest == "" or rest.startswith(("@", *_CLAUSES_BEGIN))):
        raise InvalidRequirement(line)
    clauses = ",".join(_clauses(rest.replace("(", " ").replace(")", " "))) if rest[:1] != "@" else ""
    requirement = _parsed(f"{head[1]}{head[2] or ''}{clauses}") or _parsed(f"{head[1]}{clauses}")
    if requirement is None:
        raise InvalidRequirement(line)
    if not marker.strip():
        return requirement
    if with_marker := _parsed(f"{requirement};{marker}"):
        return with_marker
    return None if _EXTRA.search(marker) else requirement


def _parsed(line: str) -> Pep508Requirement | None:
    try:
        return Pep508Requirement(line)
    except (ValueError, RecursionError):
        return None


def without_ordered_wildcards(line: str) -> str:
    """Return the line with `>= "3.10"` where its marker has `>= "3.10.*"`, which is true of no version."""
    head, semicolon, marker = line.partition(";")
    return head + semicolon + _ORDERED_WILDCARD.sub(r"\1\2\3\2", marker) if ".*" in marker else line


def _clauses(text: str) -> Iterator[str]:
    if _ALTERNATIVES.search(text):
        return  # each clause would leave out what another one admits
    parts = [part for part in _JOINED.sub(",", text).split(",") if part.strip()]
    for part in parts:
        found = [(match[1].replace(" ", ""), match[2].strip()) for match in _CLAUSE.finditer(part)]
        found = _before_marker([(operator, version) for operator, version in found if version])
        if any(len(version) > MAX_VERSION_LENGTH for _, version in found):
            raise InvalidRequirement(f"a version of very many characters: {part[:50]}")
        # A version without an operator is one if nothing else is said; `name > 1` is about something else.
        if all(operator for operator, _ in found) or len(parts) == len(found) == 1:
            for operator, version in found:
                yield from filter(_is_clause, _meant(operator, version.rstrip(".")))


def _before_marker(clauses: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """An operator behind a version and a word is about that word: in `>=1.0 python_version>="3"` the semicolon is
    missing."""
    for index, (operator, text) in enumerate(clauses[:-1]):
        version, _, other = text.partition(" ")
        if operator and _WORD.match(other.strip()):
            return [*clauses[:index], (operator, version)]
    return clauses


def _is_clause(text: str) -> bool:
    try:
        Specifier(text)
    except InvalidSpecifier:
        return False
    return True


def _meant(written: str, version: str) -> Iterator[str]:
    """This is what one clause means by today's rules; the result may still not be a clause."""
    operator = "!=" if written == _NOT_LIKE else _OPERATORS.get(written)
    wildcard = _WILDCARD.search(version)
    base = version[: wildcard.start()] if wildcard else version
    if operator is None or not base:
        return
    if (wildcard and operator in ("==", "!=")) or written == _NOT_LIKE:
        yield f"{operator}{base}.*"
        return
    base = _ZERO_BEHIND_LABEL.sub(r"\1", base)
    if operator in ("<", "<=", ">", ">=", "~="):
        base = base.partition("+")[0]  # a local label has no order
    if operator == ">" and base == "dev":
        base = "0.0.0dev"
    is_release = _RELEASE.fullmatch(base)
    if operator in ("^", "~") and is_release:
        yield f">={base}"
        yield f"<{_end(base, is_caret=operator == '^')}"
    elif operator == "~=" and is_release and "." not in base:
        yield f"~={base}.0"
    else:
        yield f"{operator}{base}"


def _end(release: str, *, is_caret: bool) -> str:
    """poetry's `^1.2` ends where the first number that is not zero rises, and `~1.2` where the second number does."""
    numbers = [int(number) for number in release.split(".")]
    leading = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
    index = leading if is_caret else min(1, len(numbers) - 1)
    return ".".join(map(str, [*numbers[:index], numbers[index] + 1]))
