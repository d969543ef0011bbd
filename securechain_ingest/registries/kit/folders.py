"""This module gives a folder an id, by which daemons tell whether they share it."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

_FILE: Final = "id"


def folder_id(folder: Path) -> str:
    """Return the id of a folder. It lies in the folder, so that it goes when the folder is emptied.

    All processes that share the folder get the same. An id that cannot be written holds for this call alone.
    """
    file, fresh = folder / _FILE, secrets.token_hex(8)
    with suppress(OSError):
        if held := _held(file):
            return held
        with TemporaryDirectory(dir=folder) as own:
            written = Path(own) / _FILE
            written.write_text(fresh)
            with suppress(FileExistsError):
                file.hardlink_to(written)  # Only the first one gets the name.
            if not _held(file):
                written.replace(file)  # A power cut has left it empty.
        return _held(file)
    return fresh


def _held(file: Path) -> str:
    return file.read_text() if file.exists() else ""
