"""Whom a listing has met on its way back through the catalog; on disk, to outlive a kill and to need no memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from securechain_ingest.registries.feed import Listed
from securechain_ingest.registries.nuget.catalog import Event, to_the_second


class Met:
    """Blocks: to be used in threads, one after the other."""

    def __init__(self, file: Path, position: str) -> None:
        """Those met by a listing that stood at `position` and used this file; nobody if there is no such thing."""
        self._db = sqlite3.connect(file, check_same_thread=False)
        self.resumed = bool(position) and self._stands_at(position)
        """Whether somebody was met before."""
        if not self.resumed:
            self._db.close()
            for left in (file, file.with_name(f"{file.name}-journal")):
                left.unlink(missing_ok=True)
            self._db = sqlite3.connect(file, check_same_thread=False)
            self._db.executescript(
                "CREATE TABLE met (name TEXT PRIMARY KEY) WITHOUT ROWID; CREATE TABLE place (position TEXT);"
            )

    def add(self, events: Iterable[Event]) -> list[Listed]:
        """The packages that have a version left and were not met before, from a page's events, newest first.

        What happened to a version before its deletion counts for nothing, and the deletion itself says nothing of its
        package.
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

    def keep(self, position: str) -> None:
        """All that was met before this position outlives what comes."""
        self._db.execute("DELETE FROM place")
        self._db.execute("INSERT INTO place VALUES (?)", (position,))
        self._db.commit()

    def close(self) -> None:
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
