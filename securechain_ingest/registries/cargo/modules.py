"""This module builds a crate's modules from its files as Rust does, before any name is resolved.

The rules are in The Rust Reference, "Modules" (which file a module is in, the `path` attribute) and "Macros by example"
(exported macros lie at the root). A module with several conditional versions is the sum of them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final, TypeAlias

from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.registries.cargo.allowance import Allowance, TooMuch
from securechain_ingest.registries.cargo.included_paths import included_path
from securechain_ingest.registries.cargo.items import Item, ItemKind
from securechain_ingest.registries.cargo.rust_items import MAX_DEPTH, parse_items
from securechain_ingest.registries.cargo.rust_macros import Macro
from securechain_ingest.registries.cargo.sources import Sources
from securechain_ingest.registries.cargo.token_trees import TokenTrees

MAX_MODULES: Final = 20_000
"""One crate may have so many; a file that several modules share counts each time."""

MAX_SOURCE_DEPTH: Final = 3 * MAX_DEPTH
"""Modules and macro calls may lie in each other so deep, over all files."""

MAX_DEFINITIONS: Final = 32
"""A macro may have so many, each for a condition; of more the last count."""

_LEAVES: Final = frozenset({ItemKind.TYPE, ItemKind.VALUE, ItemKind.BOTH, ItemKind.MACRO, ItemKind.EXPORTED_MACRO})
"""Names of these kinds lead to no further names."""

_WITHIN_CRATE: Final = (("crate",), ("self",), ("super",))
# Expanding it would only bring its arguments, after many rounds.
_PASSING_ON: Final = frozenset({"cfg_if"})
# The crate paste writes `[<new_ $name>]` for a name that is put together.
_CONCATENATING: Final = "paste"
_CONCATENATION: Final = re.compile(r"\[\s*<([\w\s]+)>\s*\]")


@dataclass(slots=True, eq=False)
class Binding:
    """A binding is one meaning of a name in a scope. It never changes; a frozen class would take twice the time."""

    item: Item
    home: Scope
    """The name was written in this module: its path, if it has one, begins here."""
    inside: Scope | None = None
    """A module or an enum has its own scope here."""


Bindings: TypeAlias = tuple[Binding, ...]
"""These are the meanings of one name. Where thousands of names have the same, they share one tuple."""


@dataclass(slots=True, eq=False)
class Scope:
    """A scope is a module, or an enum with its variants."""

    parent: Scope | None
    is_module: bool = True
    bindings: dict[str, Bindings] = field(default_factory=dict)
    globs: list[Item] = field(default_factory=list)

    def add(self, item: Item, inside: Scope | None = None) -> None:
        """Add the item's name, or all names of an item that has many."""
        is_leaf = item.kind in _LEAVES
        binding = _leaf(item.kind, item.is_public, item.is_conditional) if is_leaf else Binding(item, self, inside)
        if item.names:
            unite(self.bindings, dict.fromkeys(item.names, (binding,)))
        else:
            before = self.bindings.get(item.name, ())
            self.bindings[item.name] = before if binding in before else (*before, binding)


def unite(bindings: dict[str, Bindings], others: dict[str, Bindings]) -> None:
    """Add the others to the bindings; a name in both has the meanings of both."""
    for name in bindings.keys() & others.keys():
        if (both := bindings[name]) != others[name]:
            others[name] = tuple(dict.fromkeys((*both, *others[name])))
    bindings |= others


@cache
def _leaf(kind: ItemKind, is_public: bool, is_conditional: bool) -> Binding:  # the fields of an Item
    """Names that lead nowhere have one meaning in common if they are of one kind; it has no path and needs no home."""
    return Binding(Item(kind, "", is_public, is_conditional), Scope(parent=None))


@dataclass(frozen=True, slots=True)
class _SourceLocation:
    """The text of a module stands here, and the files of the modules that it declares lie here."""

    file: str
    folder: str
    attribute_folder: str
    """`path` attributes start from here."""
    files: frozenset[str]
    """All these files led here: a file that includes itself has no end."""
    depth: int
    chosen: frozenset[Macro] = frozenset()
    """The text comes from these of several definitions that a macro has."""

    def deeper(self, chosen: frozenset[Macro] = frozenset()) -> _SourceLocation:
        # What dataclasses have for this takes three times as long, and bindings to C have thousands of calls.
        return _SourceLocation(
            self.file, self.folder, self.attribute_folder, self.files, self.depth + 1, self.chosen | chosen
        )

    def inline(self, folder: str) -> _SourceLocation:
        return replace(self, folder=folder, attribute_folder=folder, depth=self.depth + 1)

    def of_file(self, file: str, folder: str, attribute_folder: str) -> _SourceLocation:
        return _SourceLocation(file, folder, attribute_folder, self.files | {file}, self.depth + 1, self.chosen)


@dataclass(frozen=True, slots=True)
class Modules:
    root: Scope
    problem: str | None
    """This sentence says what a limit has cost; it is None if nothing was left out."""


def build_modules(sources: Sources, root_file: str, allowance: Allowance | None = None) -> Modules:
    """Return the crate's root with all below it. `root_file` is one of the sources."""
    root = Scope(parent=None)
    folder = posixpath.dirname(root_file)
    builder = _Builder(sources, root, allowance or Allowance())
    builder.fill(root, sources.items(root_file), _SourceLocation(root_file, folder, folder, frozenset({root_file}), 0))
    builder.expand_waiting()
    return Modules(root, builder.problem())


class _Builder:
    def __init__(self, sources: Sources, root: Scope, allowance: Allowance) -> None:
        self._sources = sources
        self._root = root
        self._macros: dict[str, tuple[Macro, ...]] = {}
        """A macro that is defined once for each of several conditions has several definitions."""
        self._allowance = allowance
        self._kept_characters = allowance.characters // 2
        """These are not for further definitions, lest such a macro costs the names that all others give."""
        self._trees = TokenTrees(allowance)
        self._unexpanded: dict[str, None] = {}
        self._cut_off: dict[str, None] = {}
        self._definitions: dict[tuple[str, str], Macro] = {}
        self._read_calls: dict[tuple[Macro | None, str, str, int], tuple[Item, ...]] = {}
        self._waiting: list[tuple[Scope, Item, _SourceLocation]] = []
        self._by_path: dict[str, str] = {}
        """By these names something of the crate's own can be reached from anywhere in it; macros among them are what
        the names stand for."""
        self._scopes = 0

    def problem(self) -> str | None:
        if self._allowance.items < 0:
            return "it has more items than are read of one crate, so that names may be missing"
        if self._cut_off:
            return f"{min(self._cut_off)!r} holds more than is read of one file, so that names may be missing"
        if self._unexpanded:
            names = ", ".join(f"{name}!" for name in list(self._unexpanded)[:3])
            return f"macros expand to more than is read, so that names may be missing ({names})"
        return None

    def fill(self, scope: Scope, items: Iterable[Item], location: _SourceLocation) -> None:
        defined = set[str]()
        for item in items:
            self._allowance.items -= len(item.names) or 1
            if self._allowance.items < 0:
                return
            match item.kind:
                case ItemKind.TYPE | ItemKind.VALUE | ItemKind.BOTH:
                    scope.add(item)
                case ItemKind.GLOB:
                    scope.globs.append(item)
                case ItemKind.EXPORTED_MACRO | ItemKind.MACRO:
                    self._define(item, is_further=item.is_conditional and item.name in defined)
                    defined.add(item.name)
                    (self._root if item.kind is ItemKind.EXPORTED_MACRO else scope).add(item)
                case ItemKind.CALL:
                    self._call(scope, item, location)
                case ItemKind.INCLUDE:
                    self._include(scope, item, location)
                case ItemKind.CUT_OFF:
                    self._cut_off[location.file] = None
                case ItemKind.MODULE:
                    self._add_module(scope, item, location)
                case ItemKind.ENUM:
                    variants = Scope(scope, is_module=False)
                    for variant in item.items or ():
                        variants.add(variant)
                    scope.add(item, variants)
                case _:
                    self._import(scope, item)

    def expand_waiting(self) -> None:
        """Expand the calls of macros that are defined further down, and those by a name that an import gives."""
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            for scope, call, location in waiting:
                if (name := self._by_path.get(call.name)) not in self._macros:
                    continue
                try:
                    self._expand(scope, call._replace(name=name), location)
                except ArchiveRefused:
                    # What was found without these calls stands.
                    self._unexpanded[call.name] = None

    def _define(self, macro: Item, *, is_further: bool) -> None:
        key = macro.name, macro.text
        if key not in self._definitions:
            self._definitions[key] = Macro(macro.name, self._written_out(macro), self._trees)
        before = self._macros[macro.name][1 - MAX_DEFINITIONS :] if is_further else ()
        self._macros[macro.name] = tuple(dict.fromkeys((*before, self._definitions[key])))
        if macro.kind is ItemKind.EXPORTED_MACRO:
            self._by_path[macro.name] = macro.name

    def _import(self, scope: Scope, item: Item) -> None:
        if len(item.path) == 1 or item.path[:1] in _WITHIN_CRATE:
            self._by_path[item.name] = item.path[-1]
        scope.add(item)

    def _call(self, scope: Scope, call: Item, location: _SourceLocation) -> None:
        if call.name not in self._macros and call.name not in _PASSING_ON:
            self._waiting.append((scope, call, location))
        self._expand(scope, call, location)

    def _expand(self, scope: Scope, call: Item, location: _SourceLocation) -> None:
        """Of several definitions each counts, but no build has one that calls another."""
        macros = self._macros.get(call.name, ()) if call.name not in _PASSING_ON else ()
        if len(macros) < 2:
            self.fill(scope, self._called(call, macros[0] if macros else None, location.depth), location.deeper())
            return
        chosen = [macro for macro in macros if macro in location.chosen]
        if not chosen and self._allowance.characters < self._kept_characters:
            self._unexpanded[call.name] = None
            chosen = [macros[-1]]
        for macro in chosen or macros:
            self.fill(scope, self._called(call, macro, location.depth), location.deeper(frozenset({macro})))

    def _written_out(self, item: Item) -> str:
        try:
            return self._trees.written_out(item.text)
        except TooMuch:
            self._unexpanded[item.name] = None
            return ""

    def _include(self, scope: Scope, item: Item, location: _SourceLocation) -> None:
        """Generated code that is included (`OUT_DIR`) is in no archive, so nothing that it declares is found."""
        path = included_path(
            self._written_out(item), posixpath.dirname(location.file), self._sources.environment, self._expanded_path
        )
        if path is not None and self._may_load(path, location):
            folder = posixpath.dirname(path)
            self.fill(scope, self._sources.items(path), location.of_file(path, folder, folder))

    def _add_module(self, scope: Scope, item: Item, location: _SourceLocation) -> None:
        if item.items is None:
            for inner in self._files_of(item, location):
                self._add(scope, item, self._sources.items(inner.file), inner)
        else:
            file = item.files[0] if item.files else ""
            folder = _joined(location.attribute_folder, file) if file else _joined(location.folder, item.name)
            self._add(scope, item, item.items, location.inline(folder))

    def _add(self, scope: Scope, item: Item, items: Iterable[Item], location: _SourceLocation) -> None:
        self._scopes += 1
        if self._scopes > MAX_MODULES or location.depth > MAX_SOURCE_DEPTH:
            raise ArchiveRefused(f"{location.file}: too many or too deeply nested modules", reason="too_many_modules")
        module = Scope(scope)
        scope.add(item, module)
        self.fill(module, items, location)

    def _called(self, call: Item, macro: Macro | None, depth: int) -> tuple[Item, ...]:
        """These items stand for a call of a macro.

        Other crates' macros, such as `cfg_if!`, `bitflags!` or `lazy_static!`, are taken to put the items among their
        arguments, more or less as they stand, in place of the call.
        """
        self._allowance.calls -= 1
        if self._allowance.calls < 0 or depth >= MAX_SOURCE_DEPTH:
            self._unexpanded[call.name] = None
            return ()
        # Bindings to C repeat the same types for each system.
        key = macro, call.name, call.text, depth // 4
        if key not in self._read_calls:
            self._read_calls[key] = parse_items(self._text_of(call, macro), in_macro=True, depth=depth // 4)
        return self._read_calls[key]

    def _text_of(self, call: Item, macro: Macro | None) -> str:
        if call.name == _CONCATENATING:
            return _CONCATENATION.sub(lambda match: "".join(match[1].split()), self._written_out(call))
        try:
            text = macro.expand(call.text) if macro is not None else None
            return self._trees.opened(call.text) if text is None else text
        except TooMuch:
            self._unexpanded[call.name] = None
            return call.text

    def _expanded_path(self, name: str, arguments: str) -> str | None:
        """A call of a macro of the crate's own stands for this within the argument of `include!`."""
        try:
            text = self._macros[name][-1].expand(arguments) if name in self._macros else None
            return None if text is None else self._trees.written_out(text)
        except TooMuch:
            self._unexpanded[name] = None
            return None

    def _files_of(self, item: Item, location: _SourceLocation) -> Iterator[_SourceLocation]:
        """Nobody can build a module whose file is not in the archive."""
        for path in item.files:
            file = _joined(location.attribute_folder, path)
            folder = posixpath.dirname(file)
            if self._may_load(file, location):
                yield location.of_file(file, folder, folder)
        if item.is_in_usual_file:
            folder = _joined(location.folder, item.name)
            if self._may_load(f"{folder}.rs", location):
                yield location.of_file(f"{folder}.rs", folder, location.folder)
            elif self._may_load(f"{folder}/mod.rs", location):
                yield location.of_file(f"{folder}/mod.rs", folder, folder)

    def _may_load(self, file: str, location: _SourceLocation) -> bool:
        return file not in location.files and self._sources.has(file)


def _joined(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path.replace("\\", "/")))
