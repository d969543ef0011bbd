"""This module keeps the packages that a listing has seen on its way back through the catalog.

They lie in a database on disk, so that they outlive a kill and need no memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from securechain_ingest.registries.feed import Listed
from securechain_ingest.registries.nuget.catalog import Event, to_the_second


class SeenPackages:
    """Every method blocks, so that it is to be called in a thread; two calls must not overlap."""

    def __init__(self, file: Path, position: str) -> None:
        """What a listing that stood at `position` has saved in this file is taken over; otherwise nothing was seen."""
        self._db = sqlite3.connect(file, check_same_thread=False)
        self.resumed = bool(position) and self._stands_at(position)
        """An earlier listing's packages were taken over."""
        if not self.resumed:
            self._db.close()
            for left in (file, file.with_name(f"{file.name}-journal")):
                left.unlink(missing_ok=True)
            self._db = sqlite3.connect(file, check_same_thread=False)
            self._db.executescript(
                "CREATE TABLE met (name TEXT PRIMARY KEY) WITHOUT ROWID; CREATE TABLE place (position TEXT);"
            )

    def add(self, events: Iterable[Event]) -> list[Listed]:
        """Return the packages of a page that have a version left and were not seen before. From now on they count as
        seen.

        The events of the page come newest first. What happened to a version before its deletion counts for nothing,
        and the deletion itself says nothing of its package.
        """
        found = []
        for event in events:
            name = event.name.lower()
            version = f"{name}/{event.version.lower()}"
            if not event.is_there:
                self._is_new(version)
            elif not self._has(version) and self._is_new(name):
                found.append(Listed(event.name, to_the_second(event.stamp)))
        return found

    def save(self, position: str) -> None:
        """All that was seen before this position outlives the process from now on."""
        self._db.execute("DELETE FROM place")
        self._db.execute("INSERT INTO place VALUES (?)", (position,))
        self._db.commit()

    def close(self) -> None:
        """What was not saved is lost."""
        self._db.close()

    def _stands_at(self, position: str) -> bool:
        try:
            held: tuple[str] | None = self._db.execute("SELECT position FROM place").fetchone()
        except sqlite3.DatabaseError:
            return False  # A new file, or what a power cut has left of one.
        return held == (position,)

    def _is_new(self, name: str) -> bool:
        return self._db.execute("INSERT OR IGNORE INTO met VALUES (?)", (name,)).rowcount == 1

    def _has(self, name: str) -> bool:
        return self._db.execute("SELECT 1 FROM met WHERE name = ?", (name,)).fetchone() is not None
