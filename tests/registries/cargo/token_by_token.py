"""This reads the items of Rust sources without skipping anything, to compare them with what the product skips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from securechain_ingest.registries.cargo import modules, rust_items
from securechain_ingest.registries.cargo.items import Item
from securechain_ingest.registries.cargo.rust_tokens import Token, tokens
from tests.registries.cargo.macros_on_text import MacroOnText


def _every_token(source: str, start: int, end: int, *, in_items: bool = False) -> list[Token]:
    return tokens(source, start, end)


@contextmanager
def token_by_token() -> Iterator[None]:
    """Inside, every token of a level is looked at, and macros expand from text to text."""
    with patch.object(rust_items, "tokens", _every_token), patch.object(modules, "Macro", MacroOnText):
        yield


def one_by_one(items: Iterable[Item]) -> list[Item]:
    """An item of many names, on any level, becomes as many items."""
    return [
        item._replace(name=name, names=(), items=None if item.items is None else tuple(one_by_one(item.items)))
        for item in items
        for name in item.names or (item.name,)
    ]
