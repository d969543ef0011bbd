"""This module gets the folder of a new snapshot ready.

While an export is under way, the folder has the file `manifest.json.part`, which the export holds locked. An export
that was killed leaves it behind with what was written; the next export into the folder takes all of that away.
"""

from __future__ import annotations

import errno
import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from securechain_ingest.errors import SnapshotError
from securechain_ingest.snapshot.manifest import PART_NAME, UNFINISHED

WAITS: Final = "waits.part"
"""An export keeps here for a while what only its end can tell."""

_NO_LOCKS: Final = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
_PART: Final = re.compile(PART_NAME)


def prepare(folder: Path) -> None:
    """Make the folder of a new snapshot if it does not exist, and take away what a killed export has left in it.

    It raises SnapshotError if the folder cannot hold a new snapshot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / UNFINISHED).is_file() and all(map(_is_of_an_export, folder.iterdir())):
            with (folder / UNFINISHED).open("rb") as unfinished:
                if _lock(unfinished, folder):
                    _clear(folder)
        if any(folder.iterdir()):
            raise SnapshotError(f"{folder} is not empty: name a new folder for the snapshot")
    except OSError as error:
        raise SnapshotError(f"{folder} cannot hold a snapshot: {error.strerror}") from error


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Prepare a folder, and keep other exports out of it within the block. After an error the folder is empty.

    It raises SnapshotError, also for an OSError of the block.
    """
    prepare(folder)
    try:
        with _marked(folder) as unfinished:
            _lock(unfinished, folder)
            try:
                yield
            except BaseException:
                # What cannot be taken away now, the next export takes away.
                with suppress(OSError):
                    _clear(folder)
                raise
    except OSError as error:
        raise SnapshotError(f"{folder} cannot be written to: {error.strerror}") from error


def _marked(folder: Path) -> IO[bytes]:
    """Return the new file that marks an unfinished export."""
    try:
        return (folder / UNFINISHED).open("xb")
    except FileExistsError:
        raise _in_use(folder) from None


def _lock(file: IO[bytes], folder: Path) -> bool:
    """Lock a file until it is closed. Return whether the file system has locks, which some network's lack."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _in_use(folder) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


def _in_use(folder: Path) -> SnapshotError:
    return SnapshotError(f"another export is writing into {folder}: name a new folder for the snapshot")


def _is_of_an_export(path: Path) -> bool:
    return path.name in {UNFINISHED, WAITS} or _PART.fullmatch(path.name) is not None


def _clear(folder: Path) -> None:
    """Take away what an export has written. The mark of an unfinished one goes last."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name == UNFINISHED):
        if _is_of_an_export(path):
            path.unlink()
