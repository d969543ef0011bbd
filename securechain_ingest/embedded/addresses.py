"""This module keeps the addresses of the stores of a state directory, for the daemon that started them and for the
commands that run beside it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO

from securechain_ingest.errors import ConfigError

RUNTIME_FILE = "daemon.json"
LOCK_FILE = "daemon.lock"

_LOCK_TRIES = 20
_LOCK_RETRY_S = 0.02


@dataclass(frozen=True, slots=True)
class StoreAddresses:
    """These are the addresses of the local stores. A field is None if its store is not one of them. Passwords are not
    in the repr."""

    redis_url: str | None = field(default=None, repr=False)
    graph_uri: str | None = None
    graph_user: str | None = None
    graph_password: str | None = field(default=None, repr=False)
    graph_database: str | None = None
    vulnerability_uri: str | None = field(default=None, repr=False)


@contextmanager
def state_lock(state_dir: Path) -> Iterator[None]:
    """Hold the lock on the state directory within the block. The lock ends with the process, however the process ends.

    Raise ConfigError if another process holds it, or if there can be no such directory.
    """
    with _lock_file(state_dir) as file:
        if not _take(file):
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise ConfigError(
                f"the state directory {state_dir} is in use by process {holder}: stop it, or choose another directory"
                " with --state-dir"
            )
        # These may be the addresses of a process that was killed.
        withdraw(state_dir)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def last_holder(state_dir: Path) -> str | None:
    """Return the id of the process that holds the state directory or was killed while it did, and an empty text after
    one that has ended. It is None if this user cannot tell, or no process has held it."""
    try:
        return (state_dir / LOCK_FILE).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _lock_file(state_dir: Path) -> IO[str]:
    try:
        make_directory(state_dir)
        return (state_dir / LOCK_FILE).open("a+", encoding="ascii")
    except OSError as error:
        raise _unusable(state_dir, error) from error


def make_directory(state_dir: Path, *below: str) -> Path:
    """Return the path of the state directory, or of a folder in it, and make it if it does not exist. Raise ConfigError
    if there can be no such directory."""
    folder = state_dir.joinpath(*below)
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(state_dir, error) from error
    return folder


def _unusable(state_dir: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"[daemon] state_dir = {state_dir} (or --state-dir, SECURECHAIN_STATE_DIR) cannot be used"
        f" ({error.strerror}: {error.filename}): choose a directory that this user may write to"
    )


def _take(file: IO[str]) -> bool:
    """Return whether the lock was taken. A command in `running_stores` holds it for an instant, so that several
    attempts are made."""
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_RETRY_S)
        else:
            return True
    return False


def publish(state_dir: Path, addresses: StoreAddresses) -> None:
    """Write the addresses to a file, in which other processes of this user find them by `running_stores`."""
    write_private(state_dir / RUNTIME_FILE, json.dumps(asdict(addresses)))


def withdraw(state_dir: Path) -> None:
    (state_dir / RUNTIME_FILE).unlink(missing_ok=True)


def running_stores(state_dir: Path) -> StoreAddresses | None:
    """Return the addresses of the local stores of the process that holds the state directory, or None if there is no
    such process or it has no local stores. Raise ConfigError if the directory cannot be used."""
    try:
        with (state_dir / LOCK_FILE).open("r+", encoding="ascii") as file:
            # If the lock can be taken, no other process holds the state directory.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except BlockingIOError:
        pass
    except OSError as error:
        raise _unusable(state_dir, error) from error
    try:
        written = json.loads((state_dir / RUNTIME_FILE).read_text(encoding="utf-8"))
        # A daemon of a newer release may write further fields.
        return StoreAddresses(
            **{each.name: written[each.name] for each in fields(StoreAddresses) if each.name in written}
        )
    except FileNotFoundError:
        return None


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole, so that it is never half written, even if the power fails. Only this user can read
    it."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
