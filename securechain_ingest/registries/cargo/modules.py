"""A crate's modules as Rust builds them from its files, before any name is resolved.

Rules: The Rust Reference, "Modules" (which file a module is in, the `path` attribute) and "Macros by example" (exported
macros lie at the root). A module of which several conditional versions exist is the sum of them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.registries.cargo.rust_items import MAX_DEPTH, Item, Kind, parse_items
from securechain_ingest.registries.cargo.rust_macros import Macro

MAX_MODULES: Final = 20_000
"""Of one crate; a file that several modules share counts each time."""

MAX_PLACE_DEPTH: Final = 2 * MAX_DEPTH
"""Of modules and macro calls in each other, over all files."""
MAX_EXPANDED: Final = 4_000_000
"""Characters that macros of one crate expand to; further calls are read by their arguments alone."""

# Expanding it would only bring its arguments, after many rounds.
_PASSING_ON: Final = frozenset({"cfg_if"})
# The crate paste writes `[<new_ $name>]` for a name that is put together.
_CONCATENATING: Final = "paste"
_CONCATENATION: Final = re.compile(r"\[\s*<([\w\s]+)>\s*\]")


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One meaning of a name in a scope."""

    item: Item
    home: Scope
    """The module in which it was written: where its path begins, if it has one."""
    inside: Scope | None = None
    """Of a module or an enum."""


@dataclass(slots=True, eq=False)
class Scope:
    """A module, or an enum as the holder of its variants."""

    parent: Scope | None
    is_module: bool = True
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    globs: list[Item] = field(default_factory=list)

    def add(self, item: Item, inside: Scope | None = None) -> None:
        self.entries.setdefault(item.name, []).append(Entry(item, self, inside))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the text of a module stands and where the files of modules that it declares are."""

    file: str
    folder: str
    attribute_folder: str
    """Where `path` attributes start from."""
    files: frozenset[str]
    """All that led here: a file that includes itself has no end."""
    depth: int

    def inline(self, folder: str) -> _Place:
        return replace(self, folder=folder, attribute_folder=folder, depth=self.depth + 1)

    def of_file(self, file: str, folder: str, attribute_folder: str) -> _Place:
        return _Place(file, folder, attribute_folder, self.files | {file}, self.depth + 1)


def build_modules(sources: Mapping[str, bytes], root_file: str) -> Scope:
    """The crate's root. `sources` are Rust files by their path in the crate; `root_file` is one of them."""
    root = Scope(parent=None)
    folder = posixpath.dirname(root_file)
    builder = _Builder(sources, root)
    builder.fill(root, builder.items(root_file), _Place(root_file, folder, folder, frozenset({root_file}), 0))
    return root


class _Builder:
    def __init__(self, sources: Mapping[str, bytes], root: Scope) -> None:
        self._sources = sources
        self._root = root
        self._items: dict[str, tuple[Item, ...]] = {}
        self._macros: dict[str, Macro] = {}
        self._expanded = 0
        self._scopes = 0

    def items(self, file: str) -> tuple[Item, ...]:
        if file not in self._items:
            self._items[file] = parse_items(self._sources[file].decode("utf-8-sig", "replace"))
        return self._items[file]

    def fill(self, scope: Scope, items: Iterable[Item], place: _Place) -> None:
        for item in items:
            match item.kind:
                case Kind.GLOB:
                    scope.globs.append(item)
                case Kind.EXPORTED_MACRO | Kind.MACRO:
                    self._macros[item.name] = Macro(item.text)
                    (self._root if item.kind is Kind.EXPORTED_MACRO else scope).add(item)
                case Kind.CALL:
                    if place.depth < MAX_PLACE_DEPTH:
                        self.fill(scope, self._called(item), replace(place, depth=place.depth + 1))
                case Kind.INCLUDE:
                    self._include(scope, _joined(posixpath.dirname(place.file), item.path[0]), place)
                case Kind.MODULE:
                    self._add_module(scope, item, place)
                case Kind.ENUM:
                    variants = Scope(scope, is_module=False)
                    for variant in item.items or ():
                        variants.add(variant)
                    scope.add(item, variants)
                case _:
                    scope.add(item)

    def _include(self, scope: Scope, file: str, place: _Place) -> None:
        if self._may_load(file, place):
            self.fill(scope, self.items(file), place.of_file(file, place.folder, place.attribute_folder))

    def _add_module(self, scope: Scope, item: Item, place: _Place) -> None:
        if item.items is None:
            for inner in self._files_of(item, place):
                self._add(scope, item, self.items(inner.file), inner)
        else:
            file = item.files[0] if item.files else ""
            folder = _joined(place.attribute_folder, file) if file else _joined(place.folder, item.name)
            self._add(scope, item, item.items, place.inline(folder))

    def _add(self, scope: Scope, item: Item, items: Iterable[Item], place: _Place) -> None:
        self._scopes += 1
        if self._scopes > MAX_MODULES or place.depth > MAX_PLACE_DEPTH:
            raise ArchiveRefused(f"{place.file}: too many or too deeply nested modules", reason="too_many_modules")
        module = Scope(scope)
        scope.add(item, module)
        self.fill(module, items, place)

    def _called(self, call: Item) -> tuple[Item, ...]:
        """The items that stand for a call of a macro.

        Other crates' macros, such as `cfg_if!`, `bitflags!` or `lazy_static!`, are taken to put the items among their
        arguments, more or less as they stand, in place of the call.
        """
        if call.name == _CONCATENATING:
            return parse_items(_CONCATENATION.sub(lambda match: "".join(match[1].split()), call.text), in_macro=True)
        text: str | None = None
        if call.name in self._macros and call.name not in _PASSING_ON and self._expanded < MAX_EXPANDED:
            text = self._macros[call.name].expand(call.text)
            self._expanded += len(text or "")
        return parse_items(call.text if text is None else text, in_macro=True)

    def _files_of(self, item: Item, place: _Place) -> Iterator[_Place]:
        """A module whose file is not in the archive is none that anybody can build."""
        for path in item.files:
            file = _joined(place.attribute_folder, path)
            folder = posixpath.dirname(file)
            if self._may_load(file, place):
                yield place.of_file(file, folder, folder)
        if item.is_in_usual_file:
            folder = _joined(place.folder, item.name)
            if self._may_load(f"{folder}.rs", place):
                yield place.of_file(f"{folder}.rs", folder, place.folder)
            elif self._may_load(f"{folder}/mod.rs", place):
                yield place.of_file(f"{folder}/mod.rs", folder, folder)

    def _may_load(self, file: str, place: _Place) -> bool:
        return file in self._sources and file not in place.files


def _joined(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path.replace("\\", "/")))
