"""This module keeps the Rust sources of a crate that have been read from its archive, and what else was asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from securechain_ingest.registries.cargo.items import Item
from securechain_ingest.registries.cargo.rust_items import parse_items


class Sources:
    """Files are found by their path in the crate; each is read for its items once."""

    def __init__(self, members: Collection[str], environment: Mapping[str, str]) -> None:
        """`members` are the paths of all files of the archive, whether their contents are here or not."""
        self._members = members
        self._contents: dict[str, bytes] = {}
        self._items: dict[str, tuple[Item, ...]] = {}
        self.environment = environment
        """`env!` gives these in the sources, as far as an archive says."""
        self.size_bytes = 0
        self.missing: set[str] = set()
        """These files of the archive were asked for and are not here."""

    def add(self, path: str, contents: bytes) -> None:
        self.size_bytes += len(contents)
        self._contents[path] = contents
        self.missing.discard(path)

    def has(self, path: str) -> bool:
        """Return whether the file is here. A file that only the archive has is noted as missing."""
        if path in self._contents:
            return True
        if path in self._members:
            self.missing.add(path)
        return False

    def items(self, path: str) -> tuple[Item, ...]:
        """Return the items of a file that is here."""
        if path not in self._items:
            text = self._contents[path].decode("utf-8-sig", "replace")
            # Rust has no zeros in its sources; token trees are numbered by this sign.
            self._items[path] = parse_items(text.replace("\0", " "))
        return self._items[path]
