"""This module says what an item of a Rust source is, as far as names are concerned."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


class ItemKind(Enum):
    TYPE = auto()
    VALUE = auto()
    BOTH = auto()
    """This is a struct whose name is also its constructor's."""
    ENUM = auto()
    MODULE = auto()
    MACRO = auto()
    EXPORTED_MACRO = auto()
    """This macro lies at the crate's root, wherever it is written: `#[macro_export]` and procedural macros."""
    USE = auto()
    EXTERN_CRATE = auto()
    GLOB = auto()
    INCLUDE = auto()
    CALL = auto()
    """This is a call of a macro, by its last name."""
    CUT_OFF = auto()
    """This is not an item: what followed was too much to be read."""

    # An Enum's own is written in Python, and kinds are looked up hundreds of thousands of times.
    __hash__ = object.__hash__


class Item(NamedTuple):
    """This is one item of a source; a NamedTuple, because crates have hundreds of thousands."""

    kind: ItemKind
    name: str
    """The name is without `r#`; it is empty for globs and includes, and for many items at once."""
    is_public: bool
    """The item is public everywhere: `pub(crate)` and its like are not."""
    is_conditional: bool = False
    path: tuple[str, ...] = ()
    """`use` and `extern crate` name this; the first part is empty for a leading `::`."""
    files: tuple[str, ...] = ()
    """A module's `path` attributes name these files."""
    is_in_usual_file: bool = True
    """A module may be where modules of its name usually are."""
    items: tuple[Item, ...] | None = None
    """These are the items of an inline module, or an enum's variants."""
    text: str = ""
    """A macro, and `include!` too, is defined by or called with this text."""
    names: tuple[str, ...] = ()
    """These are the names of many types or many values that differ in nothing else."""
