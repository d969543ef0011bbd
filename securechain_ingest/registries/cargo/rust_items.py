"""This module reads the items of a Rust source that give names: declarations, modules, `use`, macros, and macro calls.

The format is in The Rust Reference, "Items". Whatever is not an item, and anything broken, is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from securechain_ingest.registries.cargo.items import Item, ItemKind
from securechain_ingest.registries.cargo.rust_attributes import Attributes, attributes_in
from securechain_ingest.registries.cargo.rust_runs import DeclarationRun
from securechain_ingest.registries.cargo.rust_tokens import (
    MAX_TOKENS,
    Token,
    between_commas,
    is_word,
    tokens,
)

MAX_DEPTH: Final = 64
"""Modules and macro calls may be nested so deep."""

MAX_PATH_PARTS: Final = 64
"""A `use` may name so many parts; longer paths are passed over."""


_DECLARATIONS: Final = {
    "struct": ItemKind.BOTH,
    "enum": ItemKind.ENUM,
    "trait": ItemKind.TYPE,
    "type": ItemKind.TYPE,
    "fn": ItemKind.VALUE,
    "const": ItemKind.VALUE,
    "static": ItemKind.VALUE,
    "macro": ItemKind.MACRO,
    "union": ItemKind.TYPE,
}
_UP_TO_SEMICOLON: Final = frozenset({"type", "const", "static"})
_QUALIFIERS: Final = frozenset({"unsafe", "async", "default", "safe", "auto", "gen"})
_BEFORE_FUNCTIONS: Final = _QUALIFIERS | {"fn", "extern"}
_NOWHERE: Final = (-1, -1)
# What many macros expand to: calls of macros, with a number for what is inside of their brackets.
_CALL: Final = re.compile(
    r"(?!(?:macro_rules|include|use|impl|extern)\b)([a-z_]\w*+) ! [({\[](\0\d++)[)}\]](?: ;)?+ ?+"
)
_CALLS: Final = re.compile(rf"(?:{_CALL.pattern})++")
_NAME_PREFIXES: Final = frozenset({"mut", "ref"})


def parse_items(source: str, *, in_macro: bool = False, depth: int = 0) -> tuple[Item, ...]:
    """Return all items of a file, in order. There are none if no build of a dependent has the file. It never raises.

    With `in_macro` the source is a macro's arguments or expansion, where everything in braces may have items in it, and
    which lie `depth` deep themselves.
    """
    if depth < MAX_DEPTH and _CALLS.fullmatch(source):
        return tuple(Item(ItemKind.CALL, name, is_public=False, text=text) for name, text in _CALL.findall(source))
    return tuple(_ItemReader(source, 0, len(source), depth, in_macro).read()) if depth < MAX_DEPTH else ()


@dataclass(slots=True)
class _ItemReader:
    """This reads one level: a file, or what stands between two brackets."""

    source: str
    start: int
    end: int
    depth: int
    in_macro: bool
    in_bridge: bool = False
    """The level is a module that cxx translates, or a foreign block in such a module. All that cxx makes of its
    items is public."""
    _tokens: list[Token] = field(init=False)
    _without_attributes: Attributes = field(init=False)
    _position: int = 0

    def __post_init__(self) -> None:
        # Nobody knows under which conditions a macro passes its arguments on.
        self._without_attributes = Attributes(is_conditional=self.in_macro)
        # In a bridge each function counts by itself: some are methods.
        self._tokens = tokens(self.source, self.start, self.end, in_items=not self.in_bridge)

    def read(self) -> Iterator[Item]:
        while self._position < len(self._tokens):
            attributes = self._attributes()
            if attributes is None:
                return
            items = self._item(attributes)
            if not attributes.is_impossible and not attributes.is_method:
                yield from map(_bridged, items) if self.in_bridge else items
        if len(self._tokens) >= MAX_TOKENS:
            yield Item(ItemKind.CUT_OFF, "", is_public=False)

    def _text(self, offset: int = 0) -> str:
        position = self._position + offset
        return self._tokens[position].text if position < len(self._tokens) else ""

    def _attributes(self) -> Attributes | None:
        """Return the attributes of the item that follows. The result is None if the rest of the level belongs to no
        build."""
        if self._text() != "#":
            return self._without_attributes
        attributes = Attributes(is_conditional=self.in_macro)
        while self._text() == "#":
            is_inner = self._text(1) == "!"
            if self._text(1 + is_inner) != "[":
                break
            group = self._tokens[self._position + 1 + is_inner]
            self._position += 2 + is_inner
            if is_inner:
                of_level = Attributes()
                of_level.add(self.source, group)
                if of_level.is_impossible:
                    return None
            else:
                attributes.add(self.source, group)
        return attributes

    def _item(self, attributes: Attributes) -> list[Item]:
        """Read the items that begin here, and go past them. A macro call may have many."""
        if self._position < len(self._tokens) and (run := self._tokens[self._position].run) is not None:
            self._position += 1
            return self._run(run)
        is_public = False
        if self._text() == "pub":
            self._position += 1
            is_public = self._text() != "("
            self._position += not is_public
        self._skip_qualifiers()
        match self._text():
            case "mod" if is_word(self._text(1)):
                return self._module(attributes, is_public)
            case "use":
                return self._use(attributes, is_public)
            case "extern" if self._text(1) == "crate":
                return self._extern_crate(attributes, is_public)
            case "extern":
                return self._foreign_items()
            case "impl":
                self._skip(up_to_semicolon=False)
                return []
            case keyword if keyword in _DECLARATIONS and self._names_something():
                return self._declaration(attributes, is_public, keyword)
        return self._macro_or_nothing(attributes)

    def _run(self, run: DeclarationRun) -> list[Item]:
        """Return one item for declarations that differ in nothing but their names."""
        # Nobody knows under which conditions a macro passes its arguments on.
        attributes = attributes_in(run.attributes, is_conditional=self.in_macro)
        if attributes.is_impossible or attributes.is_method:
            return []
        kind = _kind(run.keyword, has_body=run.has_body)
        if len(run.names) == 1 or attributes.names_otherwise:
            return [item for name in run.names for item in self._named(attributes, run.is_public, kind, name)]
        names = tuple(name for name in run.names if name != "_") if "_" in run.names else run.names
        return [Item(kind, "", run.is_public, attributes.is_conditional, names=names)] if names else []

    def _skip_qualifiers(self) -> None:
        while True:
            text = self._text()
            if text == "extern":
                offset = 1 + self._tokens[self._position + 1].is_literal if self._text(1) else 1
                if self._text(offset) != "fn":
                    return
                self._position += offset
            elif (text in _QUALIFIERS and is_word(self._text(1))) or (
                text == "const" and self._text(1) in _BEFORE_FUNCTIONS and self._text(2) != ":"
            ):
                self._position += 1
            else:
                return

    def _names_something(self) -> bool:
        """`union` and `macro` are names too, and a macro's own syntax may use any word."""
        return is_word(self._text(1)) and not (self._text() == "macro" and self._text(2) not in ("(", "{"))

    def _declaration(self, attributes: Attributes, is_public: bool, keyword: str) -> list[Item]:
        self._position += 1
        while self._text() in _NAME_PREFIXES:
            self._position += 1
        if not is_word(self._text()):
            return []
        name = _plain(self._text())
        self._position += 1
        parameters = self._tokens[self._position][1:3] if self._text() == "(" else _NOWHERE
        body = self._skip(up_to_semicolon=keyword in _UP_TO_SEMICOLON)
        if self.in_bridge and (attributes.is_associated or self._takes_self(parameters)):
            return []
        kind = _kind(keyword, has_body=body is not None)
        variants = tuple(self._variants(body)) if kind is ItemKind.ENUM and body is not None else None
        return self._named(attributes, is_public, kind, name, variants)

    def _named(
        self,
        attributes: Attributes,
        is_public: bool,
        kind: ItemKind,
        name: str,
        variants: tuple[Item, ...] | None = None,
    ) -> list[Item]:
        """Return the item that is declared under a name, or nothing if there is no name."""
        if attributes.derive is not None or attributes.is_procedural_macro:
            exported = attributes.derive or name
            return [Item(ItemKind.EXPORTED_MACRO, exported, is_public=True, is_conditional=attributes.is_conditional)]
        if name == "_":
            return []
        return [Item(kind, attributes.new_name or name, is_public, attributes.is_conditional, items=variants)]

    def _takes_self(self, parameters: tuple[int, int]) -> bool:
        """Return whether the parameters of a function make it a method."""
        if parameters == _NOWHERE:
            return False
        start, end = parameters
        first = next(between_commas(tokens(self.source, start + 1, end - 1)), [])
        return "self" in [token.text for token in first[:4]]

    def _variants(self, body: Token) -> Iterator[Item]:
        parts = tokens(self.source, body.start + 1, body.end - 1)
        is_expected = True
        for token in parts:
            if token.text == ",":
                is_expected = True
            elif is_expected and is_word(token.text):
                yield Item(ItemKind.BOTH, _plain(token.text), is_public=True)
                is_expected = False

    def _module(self, attributes: Attributes, is_public: bool) -> list[Item]:
        name = _plain(self._text(1))
        self._position += 2
        items: tuple[Item, ...] | None = None
        if self._text() == "{":
            items = tuple(self._inside(self._tokens[self._position], in_bridge=attributes.is_bridge))
            self._position += 1
        elif self._text() == ";":
            self._position += 1
        else:
            return []
        return [
            Item(
                ItemKind.MODULE,
                name,
                is_public,
                attributes.is_conditional,
                files=tuple(attributes.paths),
                is_in_usual_file=not attributes.always_elsewhere,
                items=items,
            )
        ]

    def _extern_crate(self, attributes: Attributes, is_public: bool) -> list[Item]:
        crate = _plain(self._text(2))
        name = _plain(self._text(4)) if self._text(3) == "as" else crate
        self._skip(up_to_semicolon=True)
        return (
            [Item(ItemKind.EXTERN_CRATE, name, is_public, attributes.is_conditional, (crate,))] if name != "_" else []
        )

    def _foreign_items(self) -> list[Item]:
        """An `extern "C"` block declares these; one of `extern "Rust"` in a bridge names what lies outside of it."""
        self._position += 1
        interface = ""
        if self._position < len(self._tokens) and self._tokens[self._position].is_literal:
            interface = self._text()
            self._position += 1
        if self._text() != "{":
            return []
        self._position += 1
        if self.in_bridge and "Rust" in interface:
            return []
        return self._inside(self._tokens[self._position - 1], in_bridge=self.in_bridge)

    def _use(self, attributes: Attributes, is_public: bool) -> list[Item]:
        first = self._position + 1
        self._skip(up_to_semicolon=True)
        tree = self._tokens[first : self._position]
        return list(self._use_tree(tree, (), is_public, attributes.is_conditional, 0))

    def _use_tree(
        self, tree: list[Token], prefix: tuple[str, ...], is_public: bool, is_conditional: bool, depth: int
    ) -> Iterator[Item]:
        path = list(prefix)
        for index, token in enumerate(tree):
            if len(path) > MAX_PATH_PARTS:
                return
            if token.text == "::":
                if index == 0 and not prefix:
                    path.append("")
            elif token.text == "{":
                inner = tokens(self.source, token.start + 1, token.end - 1) if depth < MAX_DEPTH else []
                for part in between_commas(inner):
                    yield from self._use_tree(part, tuple(path), is_public, is_conditional, depth + 1)
                return
            elif token.text == "*":
                yield Item(ItemKind.GLOB, "", is_public, is_conditional, tuple(path))
                return
            elif token.text == "as":
                name = tree[index + 1].text if index + 1 < len(tree) else "_"
                yield from self._imported(path, _plain(name), is_public, is_conditional)
                return
            elif token.text in (";", "$"):
                continue
            elif not (token.text == "self" and path):
                path.append(_plain(token.text))
        if path and path[-1]:
            yield from self._imported(path, path[-1], is_public, is_conditional)

    def _imported(self, path: list[str], name: str, is_public: bool, is_conditional: bool) -> Iterator[Item]:
        if name not in ("_", "self", "crate", "super"):
            yield Item(ItemKind.USE, name, is_public, is_conditional, tuple(path))

    def _macro_or_nothing(self, attributes: Attributes) -> list[Item]:
        """This is a macro's definition or call; otherwise one token is passed over, and looked into if it may have
        items in it."""
        start = self._position
        self._position += self._text() == "$"
        while is_word(self._text()) and self._text(1) == "::":
            self._position += 2
        if is_word(self._text()):
            self._position += 1
            if self._text() == "!":
                return self._macro(attributes, _plain(self._text(-1)))
        self._position = max(self._position, start + 1)
        token = self._tokens[start] if start < len(self._tokens) else None
        if self.in_macro and token is not None and token.text == "{":
            return self._inside(token, in_macro=True)
        return []

    def _macro(self, attributes: Attributes, name: str) -> list[Item]:
        self._position += 1
        new_name = _plain(self._text()) if is_word(self._text()) else None
        self._position += new_name is not None
        if self._text() not in ("{", "(", "["):
            return []
        group = self._tokens[self._position]
        inside = self.source[group.start + 1 : group.end - 1]
        self._position += 1
        if name == "macro_rules":
            if new_name is None:
                return []
            kind = ItemKind.EXPORTED_MACRO if attributes.is_exported_macro else ItemKind.MACRO
            return [Item(kind, new_name, attributes.is_exported_macro, attributes.is_conditional, text=inside)]
        kind = ItemKind.INCLUDE if name == "include" else ItemKind.CALL
        return [Item(kind, name, is_public=False, text=inside)]

    def _inside(self, group: Token, *, in_macro: bool = False, in_bridge: bool = False) -> list[Item]:
        if self.depth >= MAX_DEPTH:
            return []
        reader = _ItemReader(self.source, group.start + 1, group.end - 1, self.depth + 1, in_macro, in_bridge)
        return list(reader.read())

    def _skip(self, *, up_to_semicolon: bool) -> Token | None:
        """Go past the end of the item, which is a semicolon or the item's body. Return the body."""
        while self._position < len(self._tokens):
            token = self._tokens[self._position]
            self._position += 1
            if token.text == ";":
                return None
            if token.text == "{" and not up_to_semicolon:
                return token
        return None


def _kind(keyword: str, *, has_body: bool) -> ItemKind:
    # With fields in braces a struct's name is none of a constructor.
    return ItemKind.TYPE if keyword == "struct" and has_body else _DECLARATIONS[keyword]


def _bridged(item: Item) -> Item:
    """Return what cxx makes of an item. Its includes name headers of C++, which are left out."""
    if item.kind is ItemKind.INCLUDE:
        return item._replace(text="")
    return item if item.kind is ItemKind.USE else item._replace(is_public=True)


def _plain(name: str) -> str:
    return name.removeprefix("r#")
