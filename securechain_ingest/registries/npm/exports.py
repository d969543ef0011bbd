"""The `exports` field of a package.json says which sub-paths of a package can be imported; this module reads it.

The rules are in Node.js' documentation, "Modules: Packages", sections "Package entry points" and "Subpath patterns",
and in the resolution algorithm in "Modules: ECMAScript modules". A sub-path counts if Node, by `import` or by
`require`, gets to a module that is in the archive. Where Node finds no condition that holds, any other one (browser,
deno, ...) may lead there, except those that only the package's own authors switch on, to load its sources.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from enum import Enum
from typing import Final, TypeAlias
from urllib.parse import unquote

from securechain_ingest.registries.npm.star_patterns import StarPatterns, Work

_MAX_DEPTH: Final = 64
_ALWAYS: Final = frozenset({"node", "node-addons", "module-sync"})
_NODES_CONDITIONS: Final = (_ALWAYS | {"import"}, _ALWAYS | {"require"})
_REFUSED_SEGMENTS: Final = frozenset({".", "..", "node_modules"})
_SEPARATOR: Final = re.compile(r"[/\\]")
_UNREADABLE: Final = re.compile(r"%2f|%5c|%(?![0-9a-f]{2})", re.IGNORECASE)
"""A separator must not be encoded, and a percent sign encodes a byte."""
_ARRAY_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_ARRAY_INDICES: Final = 2**32 - 1


class _Nowhere(Enum):
    """This says why a target leads to no file."""

    NO_CONDITION = "none of its conditions holds"
    CLOSED = "its author says so, by null"
    INVALID = "Node refuses it"
    BROKEN = "Node refuses the whole package.json"


_Way: TypeAlias = str | _Nowhere


def exported_subpaths(
    exports: object, modules: Collection[str], is_internal: Callable[[str], bool]
) -> tuple[set[str], bool]:
    """Return the sub-paths, without their `./` and as a user writes them, and whether these are all. The package itself
    (`.`) is not among them.

    `modules` are the archive's module files. What an entry names is public; of what only its `*` stands for, the paths
    that `is_internal` are left out. Patterns are matched with files as long as that takes work in proportion to both.
    """
    if not isinstance(exports, dict):
        return set(), True
    entries = _entries(exports)
    named = (key for key in entries if "*" not in key)
    found = {key for key in named if any(way in modules for way in _ways(entries[key]))}
    keys = [key for key in entries if "*" in key]
    work = Work(len(keys) + len(modules))
    by_target: dict[str, list[str]] = {}
    for key in keys:
        for target in _ways(entries[key]):
            # The older way to write a pattern is a key that ends in a slash; so do its targets.
            pattern = target if f"./{key}" in exports else f"{target}*" if target.endswith("/") else ""
            by_target.setdefault(pattern.removeprefix("/"), []).append(key)
    winners, targets = StarPatterns(keys), StarPatterns(by_target)
    # If the work does not suffice for all, those nearest to the root have been found.
    for module in sorted(modules, key=lambda path: path.count("/")):
        for target, star in targets.matching(module, work):
            if not is_internal(star):
                found.update(_subpaths(star, by_target[target], entries, winners, work))
        if not work.is_left:
            return found, False
    return found, True


def _subpaths(
    star: str, keys: list[str], entries: dict[str, object], winners: StarPatterns, work: Work
) -> Iterator[str]:
    """Yield the sub-paths that a star makes of those keys, where no other entry stands for them."""
    for key in keys:
        subpath = key.replace("*", star)
        if not work.spend():
            return
        if subpath not in entries:
            winner = next(winners.matching(subpath, work), None)
            if winner is not None and winner[0] == key:
                yield subpath


def _entries(exports: dict[str, object]) -> dict[str, object]:
    """Return the targets by sub-path; an `exports` without sub-paths is about the package itself."""
    if not all(key.startswith(".") for key in exports):
        return {}
    paths = {key[2:]: target for key, target in exports.items() if key.startswith("./")}
    # A key that ends in a slash, without a star, is the older way to write a pattern.
    folders = {key for key in paths if "*" not in key and (not key or key.endswith("/"))}
    older = {f"{key}*": paths[key] for key in folders}
    return older | {key: paths[key] for key in paths if key not in folders and key.count("*") < 2}


def _ways(target: object) -> list[str]:
    """Return the files, or patterns of files, to which a target leads a user."""
    nodes = [_way(target, conditions, 0) for conditions in _NODES_CONDITIONS]
    if any(way is not _Nowhere.NO_CONDITION for way in nodes):
        ways: Iterator[_Way] = iter(nodes)
    else:
        ways = _any_ways(target)
    return list(dict.fromkeys(way for way in ways if isinstance(way, str)))


def _way(target: object, conditions: frozenset[str], depth: int) -> _Way:
    """Node gets here by a target under conditions. In each object the first condition that holds decides, whatever it
    leads to; in a list the first valid target does."""
    if depth > _MAX_DEPTH:
        return _Nowhere.INVALID
    match target:
        case str(text):
            return _file(text)
        case None:
            return _Nowhere.CLOSED
        case dict(choices):
            if any(_ARRAY_INDEX.fullmatch(key) and int(key) < _ARRAY_INDICES for key in choices):
                return _Nowhere.BROKEN
            ways = (
                _way(way, conditions, depth + 1)
                for condition, way in choices.items()
                if condition == "default" or condition in conditions
            )
            return next((way for way in ways if way is not _Nowhere.NO_CONDITION), _Nowhere.NO_CONDITION)
        case list(alternatives):
            last: _Way = _Nowhere.NO_CONDITION if alternatives else _Nowhere.CLOSED
            for alternative in alternatives:
                way = _way(alternative, conditions, depth + 1)
                if isinstance(way, str) or way is _Nowhere.BROKEN:
                    return way
                last = last if way is _Nowhere.NO_CONDITION else way
            return last
        case _:
            return _Nowhere.INVALID


def _any_ways(target: object) -> Iterator[_Way]:
    """Any condition may lead to these; after `default` none is looked at."""
    pending = [target]
    while pending:
        match pending.pop():
            case str(text):
                yield _file(text)
            case list(alternatives):
                pending.extend(alternatives)
            case dict(choices):
                for condition, way in choices.items():
                    if not _is_the_authors_own(condition):
                        pending.append(way)
                    if condition == "default":
                        break


def _is_the_authors_own(condition: str) -> bool:
    """The authors' own conditions are `source` and names under a scope (`@zod/source`), which one project keeps apart
    from all others."""
    return condition == "source" or condition.startswith("@")


def _file(target: str) -> _Way:
    """Return the path in the archive for a target, which is a relative URL. The result is empty if there is none. Node
    refuses some targets."""
    if not target.startswith("./"):
        return _Nowhere.INVALID
    segments = [unquote(segment) for segment in _SEPARATOR.split(target[2:])]
    if any(segment.lower() in _REFUSED_SEGMENTS for segment in segments):
        return _Nowhere.INVALID
    path = re.split("[?#]", target, maxsplit=1)[0]
    if _UNREADABLE.search(path):
        return ""
    name = "/".join(unquote(segment) for segment in _SEPARATOR.split(path[2:]) if segment)
    return f"{name}/" if path.endswith(("/", "\\")) else name
