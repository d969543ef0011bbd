"""The `exports` field of a package.json: which sub-paths of a package can be imported.

Rules: Node.js documentation, "Modules: Packages", sections "Package entry points" and "Subpath patterns". A sub-path
counts if any condition (import, require, browser, ...) leads it to a module that is in the archive, except those that
nobody has switched on but the package's own authors, to load its sources.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator


def exported_subpaths(exports: object, modules: Collection[str], is_internal: Callable[[str], bool]) -> Iterator[str]:
    """The sub-paths, without their `./` and as a user writes them; the package itself (`.`) is not among them.

    `modules` are the archive's module files. What an entry names is public; of what only its `*` stands for, the paths
    that `is_internal` are left out.
    """
    entries = _entries(exports)
    patterns = sorted((key for key in entries if "*" in key), key=_specificity)
    for key, target in entries.items():
        if key == "" or "*" in key:
            continue
        if any(leaf in modules for leaf in _leaves(target)):
            yield key
    for pattern in patterns:
        for leaf in set(_leaves(entries[pattern])):
            for star in _stars(leaf, modules):
                subpath = pattern.replace("*", star)
                if subpath not in entries and not is_internal(star) and _winner(subpath, patterns) == pattern:
                    yield subpath


def _entries(exports: object) -> dict[str, object]:
    """Targets by sub-path; an `exports` without sub-paths is about the package itself."""
    if not isinstance(exports, dict) or not all(key.startswith(".") for key in exports):
        return {"": exports}
    # A key that ends in a slash is the older way to write a pattern.
    return {
        (key + "*" if key.endswith("/") else key)[2:]: target
        for key, target in exports.items()
        if key == "." or (key.startswith("./") and key.count("*") < 2)
    }


def _leaves(target: object) -> Iterator[str]:
    """The files that a target can lead to, whatever the conditions; null leads nowhere."""
    pending = [target]
    while pending:
        match pending.pop():
            case str(path) if path.startswith("./"):
                yield path[2:] + ("*" if path.endswith("/") else "")
            case list(alternatives):
                pending.extend(alternatives)
            case dict(conditions):
                pending.extend(way for condition, way in conditions.items() if not _is_the_authors_own(condition))


def _is_the_authors_own(condition: str) -> bool:
    """`source`, and names under a scope (`@zod/source`), which keep conditions of one project apart from all others."""
    return condition == "source" or condition.startswith("@")


def _stars(leaf: str, modules: Collection[str]) -> Iterator[str]:
    """What the `*` of a target stands for, the same in each place, in each module that matches it."""
    count = leaf.count("*")
    if not count:
        return
    before = leaf.index("*")
    literal = len(leaf) - count
    for module in modules:
        length, rest = divmod(len(module) - literal, count)
        if length > 0 and not rest:
            star = module[before : before + length]
            if leaf.replace("*", star) == module:
                yield star


def _specificity(pattern: str) -> tuple[int, int]:
    """Node tries the pattern with the longest text in front of its `*` first, then the longest."""
    return -pattern.index("*"), -len(pattern)


def _winner(subpath: str, patterns: list[str]) -> str | None:
    for pattern in patterns:
        before, _, after = pattern.partition("*")
        if subpath.startswith(before) and subpath.endswith(after) and len(subpath) > len(before) + len(after):
            return pattern
    return None
