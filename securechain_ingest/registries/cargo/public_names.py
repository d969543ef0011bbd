"""This module finds the paths by which a dependent can name what a crate offers.

The rules are in The Rust Reference, "Visibility and privacy", "Use declarations", "Paths". A path counts if every part
of it is public; `pub use` of private modules' items and globs are followed. It ends where it would come by the same
module twice. Items with `doc(hidden)` count, too: they are left out of documentation, not of what can be imported.
Names that a re-export takes from another crate count; nobody knows those that a glob takes from there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import compress, repeat
from operator import attrgetter, contains
from typing import Final

from securechain_ingest.registries.cargo.items import ItemKind
from securechain_ingest.registries.cargo.modules import Binding, Bindings, Scope, unite

_MAX_PATHS: Final = 100_000
"""Modules that re-export each other multiply; so many paths are enough to choose the shortest from."""

MAX_PATH_LENGTH: Final = 255
"""This is in characters; what lies below a longer path is not looked for."""

MAX_STEPS: Final = 2_000_000
"""Following re-exports may take so many steps, once to resolve all globs, and once for the paths; libc takes a
quarter."""

_SCOPES_A_STEP: Final = 16
"""So many modules are asked for a name in the time of a step."""

_MAX_ROUNDS: Final = 16
"""So many globs may lead through one another."""

_bindings_of: Final = attrgetter("bindings")
_KEYWORDS: Final = frozenset({"crate", "self", "super"})
_ALL_NAMESPACES: Final = frozenset("tvm")
_NAMESPACES: Final = {
    ItemKind.TYPE: frozenset("t"),
    ItemKind.ENUM: frozenset("t"),
    ItemKind.MODULE: frozenset("t"),
    ItemKind.EXTERN_CRATE: frozenset("t"),
    ItemKind.VALUE: frozenset("v"),
    ItemKind.BOTH: frozenset("tv"),
    ItemKind.MACRO: frozenset("m"),
    ItemKind.EXPORTED_MACRO: frozenset("m"),
}
"""Types, values and macros have namespaces of their own: names in different ones do not hide each other."""


def public_paths(root: Scope, crate: str, *, edition: int, steps: int = MAX_STEPS) -> tuple[set[str], str | None]:
    """Return all paths, with `crate` as their first part, or the shorter ones if there are very many; and a sentence if
    some are left out, otherwise None."""
    resolver = _Resolver(root, edition, steps)
    found = {crate}
    too_long = 0
    queue: deque[tuple[str, Scope, frozenset[Scope]]] = deque([(crate, root, frozenset({root}))])
    try:
        while queue and len(found) < _MAX_PATHS:
            prefix, scope, way = queue.popleft()
            for name, bindings in resolver.exports(scope).items():
                path = f"{prefix}::{name}"
                resolver.pay(len(bindings))
                if len(path) > MAX_PATH_LENGTH:
                    too_long += 1
                    continue
                found.add(path)
                modules = dict.fromkeys(module for module in resolver.scopes(bindings) if module.is_module)
                queue.extend((path, module, way | {module}) for module in modules if module not in way)
    except _OutOfSteps:
        return found, f"its re-exports lead through too many others: {len(found)} names were found until then"
    if too_long:
        return found, f"{too_long} names of more than {MAX_PATH_LENGTH} characters are left out"
    return found, None


def _modules(root: Scope) -> Iterator[Scope]:
    waiting = [root]
    while waiting:
        scope = waiting.pop()
        yield scope
        waiting += (
            binding.inside for bindings in scope.bindings.values() for binding in bindings if binding.inside is not None
        )


class _OutOfSteps(Exception):
    """The steps are used up."""


class _Resolver:
    """This resolves names and remembers what it finds; a name that would need itself to be resolved stands for
    nothing."""

    def __init__(self, root: Scope, edition: int, steps: int) -> None:
        self._root = root
        self._paths_begin_at_root = edition < 2018
        self._exported: dict[Scope, dict[str, Bindings]] = {}
        self._imported: dict[Binding, list[Binding]] = {}
        self._led_to: dict[tuple[Scope, tuple[str, ...]], list[Scope]] = {}
        self._globs: dict[tuple[Scope, tuple[str, ...]], list[Scope]] = {}
        self._steps = steps
        self._reached_from: dict[Scope, list[Scope]] = {}
        with suppress(_OutOfSteps):
            self._resolve_globs()
        self._steps = steps

    def pay(self, steps: int) -> None:
        """This raises _OutOfSteps at the end of what one crate may take."""
        self._steps -= 1 + steps
        if self._steps < 0:
            raise _OutOfSteps

    def _resolve_globs(self) -> None:
        """The globs are resolved again and again as long as that brings more: the path of one may lead through another.

        If the steps do not suffice for some, these stay as they were a round before.
        """
        globs = [(scope, glob.path) for scope in _modules(self._root) for glob in scope.globs]
        for _ in range(_MAX_ROUNDS):
            found = {key: self._targets(*key) for key in globs}
            if found == self._globs:
                return
            self._globs = found
            self._led_to, self._imported, self._reached_from = {}, {}, {}

    def exports(self, scope: Scope) -> dict[str, Bindings]:
        """Return what is public in a module, by name."""
        if scope not in self._exported:
            self._exported[scope] = self._collect(scope, {scope})
        return self._exported[scope]

    def scopes(self, bindings: Iterable[Binding]) -> list[Scope]:
        """Return the modules and enums that names stand for."""
        return [end.inside for end in self._ends(bindings) if end.inside is not None]

    def _collect(self, scope: Scope, seen: set[Scope]) -> dict[str, Bindings]:
        found = self._public(scope)
        for glob in scope.globs:
            for target in self._globs[scope, glob.path] if glob.is_public else ():
                if target not in seen:
                    seen.add(target)
                    brought = self._collect(target, seen)
                    self.pay(len(brought))
                    self._hide(brought, scope)
                    unite(found, brought)
        return found

    def _public(self, scope: Scope) -> dict[str, Bindings]:
        """These are a module's own; names that have the same meanings are looked at once."""
        public = {
            bindings: tuple(binding for binding in bindings if binding.item.is_public)
            for bindings in set(scope.bindings.values())
        }
        return {name: found for name, bindings in scope.bindings.items() if (found := public[bindings])}

    def _hide(self, brought: dict[str, Bindings], scope: Scope) -> None:
        """A glob brings names into a module; the module's own meanings of them, public or not, go before."""
        for name in brought.keys() & scope.bindings.keys():
            own = [binding for binding in scope.bindings[name] if not binding.item.is_conditional]
            if own:
                hidden = frozenset[str]().union(*map(self._namespaces, own))
                visible = tuple(binding for binding in brought.pop(name) if not self._namespaces(binding) <= hidden)
                if visible:
                    brought[name] = visible

    def _namespaces(self, binding: Binding) -> frozenset[str]:
        return frozenset[str]().union(
            *(_NAMESPACES.get(end.item.kind, _ALL_NAMESPACES) for end in self._ends([binding]))
        )

    def _ends(self, bindings: Iterable[Binding]) -> Iterator[Binding]:
        """Yield what names stand for in the end. Imports from other crates stand for themselves."""
        for binding in bindings:
            if binding.item.kind is ItemKind.USE:
                yield from self._import(binding) or [binding]
            elif binding.item.kind is ItemKind.EXTERN_CRATE and binding.item.path == ("self",):
                yield Binding(binding.item, self._root, self._root)
            else:
                yield binding

    def _import(self, binding: Binding) -> list[Binding]:
        """Return what a `use` brings. It brings nothing if that is in another crate."""
        if binding not in self._imported:
            self._imported[binding] = []
            *path, name = binding.item.path
            if name in _KEYWORDS:
                targets = self._targets(binding.home, binding.item.path)
                found = [Binding(binding.item, binding.home, target) for target in targets]
            else:
                meanings = [one for one in self._meanings(binding.home, tuple(path), name) if one is not binding]
                if binding.item.is_public:
                    # Of a function and a private module of one name only the function can be re-exported.
                    meanings = [one for one in meanings if one.item.is_public] or meanings
                found = list(self._ends(meanings))
            self._imported[binding] = found
        return self._imported[binding]

    def _meanings(self, home: Scope, path: tuple[str, ...], name: str) -> list[Binding]:
        found = [binding for scope in self._targets(home, path) for binding in self._lookup(scope, name)]
        if not found and not path and not self._paths_begin_at_root:
            # Crates that the root names are known everywhere.
            found = [
                binding for binding in self._root.bindings.get(name, ()) if binding.item.kind is ItemKind.EXTERN_CRATE
            ]
        return found

    def _targets(self, home: Scope, path: tuple[str, ...]) -> list[Scope]:
        """Return the modules and enums to which a path leads. There are none if it leads out of the crate."""
        if not path:
            return [self._root if self._paths_begin_at_root else home]
        key = home, path
        if key not in self._led_to:
            self._led_to[key] = []
            self._led_to[key] = self._walk(home, path)
        return self._led_to[key]

    def _walk(self, home: Scope, path: tuple[str, ...]) -> list[Scope]:
        *before, last = path
        match last:
            case "crate":
                return [self._root]
            case "self":
                return self._targets(home, tuple(before)) if before else [home]
            case "super":
                scopes = self._targets(home, tuple(before)) if before else [home]
                return [scope.parent for scope in scopes if scope.parent is not None]
            case "":
                return [self._root] if self._paths_begin_at_root else []
            case _:
                meanings = self._meanings(home, tuple(before), last)
                own = [binding for binding in meanings if binding.inside is not None]
                settled = {binding.home for binding in own if not binding.item.is_conditional}
                # Beside such a module an import of the same name is one of a function or a macro.
                return self.scopes(one for one in meanings if one.inside is not None or one.home not in settled)

    def _lookup(self, scope: Scope, name: str) -> Iterable[Binding]:
        """Return everything that a name can mean within a module."""
        own = scope.bindings.get(name, ())
        if not scope.globs or not all(binding.item.is_conditional for binding in own):
            return own
        reached = self._reached(scope)
        # Of all that is done for a name this alone is done for each of the modules, so that it must be quick.
        has_name = map(contains, map(_bindings_of, reached), repeat(name))
        holders = [holder for holder in compress(reached, has_name) if holder is not scope]
        if not holders:
            return own
        # Of several one may hide another that lies behind it.
        return (*own, *holders[0].bindings[name]) if len(holders) == 1 else self._walk_globs(scope, name, {scope})

    def _walk_globs(self, scope: Scope, name: str, seen: set[Scope]) -> list[Binding]:
        self.pay(len(scope.globs))
        found = list(scope.bindings.get(name, ()))
        if all(binding.item.is_conditional for binding in found):
            for target in self._glob_targets(scope):
                if target not in seen:
                    seen.add(target)
                    found += self._walk_globs(target, name, seen)
        return found

    def _glob_targets(self, scope: Scope) -> Iterator[Scope]:
        for glob in scope.globs:
            yield from self._globs.get((scope, glob.path), ())

    def _reached(self, scope: Scope) -> list[Scope]:
        """Return the modules to which globs lead from one module, which is the first of them."""
        if scope not in self._reached_from:
            sources: dict[Scope, list[Scope]] = {scope: []}
            waiting = [scope]
            found: list[Scope] = []
            while waiting:
                reached = waiting.pop()
                self.pay(len(reached.bindings) + len(reached.globs))
                found.append(reached)
                for target in self._glob_targets(reached):
                    if target not in sources:
                        waiting.append(target)
                    sources.setdefault(target, []).append(reached)
            # For those that lead back here the same holds.
            circle = [scope]
            while circle:
                reached = circle.pop()
                if reached not in self._reached_from:
                    self._reached_from[reached] = found
                    circle += sources[reached]
        reached_scopes = self._reached_from[scope]
        self.pay(len(reached_scopes) // _SCOPES_A_STEP)
        return reached_scopes
