"""This module has the list of what a snapshot holds. It is written last, so that a folder with a manifest is whole."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from securechain_ingest import __version__
from securechain_ingest.errors import SnapshotError
from securechain_ingest.times import now_iso

FORMAT: Final = 1
"""This number goes up when an earlier release cannot import a snapshot any more."""

NAME: Final = "manifest.json"
_PRODUCT: Final = "securechain-ingest snapshot"

Kind = Literal[
    "packages",
    "versions",
    "absent",
    "have",
    "require",
    "awaited_by",
    "advisories",
    "release_changes",
    "unrated",
    "changed",
]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Part(_Model):
    """A part is one file of a snapshot."""

    file: Annotated[str, Field(pattern=r"^[a-z0-9_.-]+\.(csv|jsonl)\.gz$")]
    kind: Kind
    ecosystem: str | None = None
    """A table of nodes or relationships of one ecosystem has its name here."""
    rows: Annotated[int, Field(ge=0)]
    bytes: Annotated[int, Field(ge=0)]
    """This is the size of the compressed file."""
    longest_row: Annotated[int, Field(ge=0)] = 0
    """This is the length of the longest row, in bytes."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class SnapshotManifest(_Model):
    """It says what a snapshot holds and when it was made."""

    product: Literal["securechain-ingest snapshot"] = _PRODUCT
    format: int = FORMAT
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] = Field(default_factory=lambda: secrets.token_hex(16))
    made_by: str = __version__
    made_at: str = Field(default_factory=now_iso)
    """The cursors were read at this time (ISO 8601, UTC), before the first row of the graph."""
    cursors: Mapping[str, Mapping[str, Any]] = {}
    """It maps the name of each cursor to the cursor's document."""
    rating_rule: int = 0
    """The versions are rated by this rule (`advisories.matching.RULE`). It is 0 if they are rated by several rules."""
    left_out: Mapping[str, int] = {}
    """It says how many nodes or values of other programs no table can hold, by their kind."""
    parts: tuple[Part, ...] = ()

    def rows(self, kind: Kind) -> int:
        """Return how many rows the tables of a kind have together."""
        return sum(part.rows for part in self.parts if part.kind == kind)

    def write(self, folder: Path) -> None:
        """Write the manifest, with which the snapshot is complete."""
        unfinished = folder / f"{NAME}.part"
        unfinished.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        unfinished.replace(folder / NAME)


def read_manifest(folder: Path) -> SnapshotManifest:
    """Return the manifest of a snapshot. It raises SnapshotError, which says in one line what is wrong."""
    path = folder / NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SnapshotError(
            f"{folder} holds no whole snapshot: it has no {NAME}, which an export writes last"
        ) from None
    except NotADirectoryError:
        raise SnapshotError(f"{folder} is no folder: name the folder that the snapshot was exported to") from None
    except (ValueError, OSError) as error:
        raise SnapshotError(f"{path} cannot be read ({type(error).__name__}): copy the snapshot once more") from error
    if not isinstance(document, dict) or document.get("product") != _PRODUCT:
        raise SnapshotError(f"{path} is not the manifest of a snapshot of this product")
    made_in = document.get("format")
    if isinstance(made_in, int) and made_in > FORMAT:
        raise SnapshotError(
            f"{folder} was made by a newer release ({document.get('made_by')}, format {made_in}), and this release"
            f" reads format {FORMAT}: upgrade securechain-ingest before the import"
        )
    try:
        return SnapshotManifest.model_validate(document)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise SnapshotError(f"{path} has a wrong value at {where}: copy or export the snapshot once more") from error
