"""The attributes of a Rust item say whether, where and under which name it exists; this module reads them.

Conditions (`cfg`) depend on the target, the compiler and the features that whoever builds chose. An item counts unless
no build of a library that depends on the crate can have it: one for tests or for documentation only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from securechain_ingest.registries.cargo.rust_tokens import Token, between_commas, is_word, string_value, tokens

_NEVER_SET: Final = frozenset({"test", "doctest", "doc", "docsrs", "false"})
_PROCEDURAL: Final = frozenset({"proc_macro", "proc_macro_attribute"})
_TESTS: Final = frozenset({"test", "bench"})
"""These count at the end of a path, too: `tokio::test` makes a test."""

_METHODS: Final = frozenset({"method", "constructor", "static_method_of"})
_BRIDGES: Final = frozenset({"cxx", "cxx_qt"})
_MAX_DEPTH: Final = 64
"""Conditions may be nested so deep; a deeper one is not understood."""

_MAX_REMEMBERED: Final = 200
"""This is in characters."""

# Of all attributes few are read, and of those that are not (documentation, most of all) nothing but the beginning.
_READ: Final = re.compile(
    r"\s*+(?:(?:unsafe|cfg|cfg_attr|path|macro_export|proc_macro\w*|(?:\w+\s*+::\s*+)*+(?:test|bench|bridge|wasm_bindgen)"
    r"|rust_name|Self)\b|[^\w\s])"
)


@dataclass(slots=True)
class Attributes:
    """These are the attributes of one item; those that are not read here are left out."""

    is_conditional: bool = False
    """There are builds without the item."""
    is_impossible: bool = False
    """No dependent's build has the item."""
    paths: list[str] = field(default_factory=list)
    """These files have the module instead of the usual one."""
    always_elsewhere: bool = False
    """The module never is in the usual file."""
    is_exported_macro: bool = False
    is_procedural_macro: bool = False
    derive: str | None = None
    """The function implements the derive macro of this name."""
    is_method: bool = False
    """wasm-bindgen makes the foreign function a method of a type."""
    is_bridge: bool = False
    """The module is one of cxx's."""
    new_name: str | None = None
    """Within such a bridge, Rust code calls the foreign function so."""
    is_associated: bool = False
    """Within such a bridge, the foreign function becomes a function of a type."""

    @property
    def names_otherwise(self) -> bool:
        """Return whether what the attributes belong to is declared otherwise than simply under the name that is
        written."""
        return self.is_procedural_macro or self.derive is not None or self.new_name is not None

    def add(self, source: str, group: Token) -> None:
        """Read one attribute, given as its bracketed group."""
        if not _READ.match(source, group.start + 1, group.end):
            return
        is_short = group.end - group.start <= _MAX_REMEMBERED
        if not (is_short and _says_nothing(source[group.start : group.end])):
            self._read(source, tokens(source, group.start + 1, group.end - 1), conditional=False)

    def _read(self, source: str, parts: list[Token], *, conditional: bool, depth: int = 0) -> None:
        if len(parts) > 1 and parts[0].text == "unsafe":
            parts = tokens(source, parts[1].start + 1, parts[1].end - 1)
        path, parts = _path(parts)
        if not path or depth > _MAX_DEPTH:
            return
        if len(path) > 1:
            self._read_foreign(source, path, parts)
            return
        arguments = tokens(source, parts[0].start + 1, parts[0].end - 1) if _opens(parts, 0) else []
        match path[0]:
            case "cfg":
                self.is_conditional = True
                self.is_impossible |= not conditional and _holds(source, arguments) is False
            case "cfg_attr":
                condition, *attributes = list(between_commas(arguments)) or [[]]
                verdict = _holds(source, condition)
                for attribute in attributes if verdict is not False else ():
                    self._read(source, attribute, conditional=conditional or verdict is None, depth=depth + 1)
            case "path" if len(parts) > 1 and (file := string_value(parts[1].text)):
                self.paths.append(file)
                self.always_elsewhere |= not conditional
            case "macro_export":
                self.is_exported_macro = True
            case "proc_macro_derive" if arguments:
                self.derive = arguments[0].text
            case name if name in _PROCEDURAL:
                self.is_procedural_macro = True
            case _:
                self._read_foreign(source, path, parts)

    def _read_foreign(self, source: str, path: list[str], parts: list[Token]) -> None:
        """The attribute may be a macro of another crate, which decides what becomes of the item."""
        if path[-1] in _TESTS:
            self.is_impossible = True
        elif path == ["rust_name"] and len(parts) > 1:
            self.new_name = string_value(parts[1].text) or parts[1].text
        elif path == ["Self"]:
            self.is_associated = True
        elif path[-1] == "bridge" and (len(path) == 1 or path[-2] in _BRIDGES):
            self.is_bridge = True
        elif path[-1] == "wasm_bindgen" and _opens(parts, 0):
            options = tokens(source, parts[0].start + 1, parts[0].end - 1)
            self.is_method |= any(option[0].text in _METHODS for option in between_commas(options))


def attributes_in(source: str, *, is_conditional: bool) -> Attributes:
    """Return the attributes of an item, given with their signs and brackets. Nobody may change the result, which others
    share."""
    read = _remembered if len(source) <= _MAX_REMEMBERED else _all
    return read(source, is_conditional)


def _all(source: str, is_conditional: bool) -> Attributes:
    found = Attributes(is_conditional)
    for token in tokens(source, 0, len(source)):
        if token.text == "[":
            found.add(source, token)
    return found


# Crates write the same short attributes thousands of times.
_remembered: Final = lru_cache(maxsize=256)(_all)


@lru_cache(maxsize=256)
def _says_nothing(attribute: str) -> bool:
    """The attribute, a short one with its brackets, is read and says nothing of whether, where and under which name an
    item exists: crates write some such thousands of times."""
    found = Attributes()
    found._read(attribute, tokens(attribute, 1, len(attribute) - 1), conditional=False)
    return found == Attributes()


def _path(parts: list[Token]) -> tuple[list[str], list[Token]]:
    """Return the words of an attribute's path, and what follows it."""
    words: list[str] = []
    for index, part in enumerate(parts):
        if index % 2 == 0 and is_word(part.text):
            words.append(part.text)
        elif index % 2 == 0 or part.text != "::":
            return words, parts[index:]
    return words, []


def _opens(parts: list[Token], index: int) -> bool:
    return len(parts) > index and parts[index].text == "("


def _holds(source: str, predicate: list[Token], depth: int = 0) -> bool | None:
    """Return whether a condition is true in every build or in none. The result is None if it is true in some."""
    if not predicate or depth > _MAX_DEPTH:
        return None
    if not _opens(predicate, 1):
        return False if len(predicate) == 1 and predicate[0].text in _NEVER_SET else None
    inner = tokens(source, predicate[1].start + 1, predicate[1].end - 1)
    verdicts = {_holds(source, part, depth + 1) for part in between_commas(inner)}
    match predicate[0].text:
        case "all":
            return False if False in verdicts else None if None in verdicts else True
        case "any":
            return True if True in verdicts else None if None in verdicts else False
        case "not":
            verdict = verdicts.pop() if len(verdicts) == 1 else None
            return None if verdict is None else not verdict
        case _:
            return None
