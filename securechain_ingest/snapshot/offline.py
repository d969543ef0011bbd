"""This module has the command by which Neo4j's own tool imports the tables of a snapshot, while the server is stopped.

Its source is https://neo4j.com/docs/operations-manual/5/tools/neo4j-admin/neo4j-admin-import/.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from securechain_ingest.errors import SnapshotError
from securechain_ingest.graph.copying import ABSENT_LABEL, VERSION_LABEL
from securechain_ingest.model import Ecosystem
from securechain_ingest.snapshot.manifest import Part, SnapshotManifest
from securechain_ingest.snapshot.tables import ARRAY_DELIMITER

_TYPES: Final = {"have": "HAVE", "require": "REQUIRE", "awaited_by": "AWAITED_BY"}
_LEAST_BUFFER: Final = 4 * 1024 * 1024
"""This is the tool's own limit for the length of a row, in bytes."""


def offline_command(
    manifest: SnapshotManifest, folder: Path, ecosystems: Mapping[str, Ecosystem], database: str
) -> list[str]:
    """Return the command with its arguments. The names of the files are absolute.

    It raises SnapshotError if the snapshot has an ecosystem that is not one of `ecosystems`, or if the tool cannot be
    told where it is.
    """
    manifest.refuse_unknown(ecosystems)
    if "," in str(folder.resolve()):
        raise SnapshotError(
            f"{folder.resolve()} has a comma, where neo4j-admin begins another file: move the snapshot to another path"
        )
    options = [
        "--id-type=string",
        f"--array-delimiter=U+{ord(ARRAY_DELIMITER):04X}",
        "--multiline-fields=true",
        f"--read-buffer-size={_buffer(manifest)}",
    ]
    tables = []
    for part in manifest.parts:
        path = (folder / part.file).resolve()
        if part.kind in _TYPES:
            tables.append(f"--relationships={_TYPES[part.kind]}={path}")
        elif (label := _label(part, ecosystems)) is not None:
            tables.append(f"--nodes={label}={path}")
    return ["neo4j-admin", "database", "import", "full", database, *options, *tables]


def shell_line(command: list[str]) -> str:
    """Return the command as one shell command, with an argument a line."""
    return " \\\n  ".join([shlex.join(command[:5]), *map(shlex.quote, command[5:])])


def _label(part: Part, ecosystems: Mapping[str, Ecosystem]) -> str | None:
    match part.kind:
        case "packages":
            return ecosystems[part.ecosystem or ""].label
        case "versions":
            return VERSION_LABEL
        case "absent":
            return ABSENT_LABEL
    return None


def _buffer(manifest: SnapshotManifest) -> int:
    longest = max((part.longest_row for part in manifest.parts), default=0)
    size = _LEAST_BUFFER
    while size < 2 * longest:
        size *= 2
    return size
