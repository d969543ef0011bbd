"""This module has the list of what a snapshot holds. It is written last, so that a folder with a manifest is whole."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from securechain_ingest import __version__
from securechain_ingest.errors import SnapshotError
from securechain_ingest.times import now_iso

FORMAT: Final = 1
"""This number goes up when an earlier release cannot import a snapshot any more."""

NAME: Final = "manifest.json"
UNFINISHED: Final = f"{NAME}.part"
"""An export makes this file first, and renames it last."""
PART_NAME: Final = r"^[a-z0-9_.-]+\.(csv|jsonl)\.gz$"
_PRODUCT: Final = "securechain-ingest snapshot"
_NAMED_IN_ALL: Final = ("format", "id", "made_at", "cursors", "parts")
"""Every manifest has these keys: what they would be by default is true of a new snapshot only."""

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

_OF_AN_ECOSYSTEM: Final = frozenset({"packages", "versions", "have", "require"})
"""A table of these kinds belongs to one ecosystem, and a file of no other kind does."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Part(_Model):
    """A part is one file of a snapshot."""

    file: Annotated[str, Field(pattern=PART_NAME)]
    kind: Kind
    ecosystem: str | None = None
    """A table of nodes or relationships of one ecosystem has its name here."""
    rows: Annotated[int, Field(ge=0)]
    bytes: Annotated[int, Field(ge=0)]
    """This is the size of the compressed file."""
    longest_row: Annotated[int, Field(ge=0)] = 0
    """This is the length of the longest row, in bytes."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @model_validator(mode="after")
    def _belongs(self) -> Self:
        if (self.ecosystem is not None) != (self.kind in _OF_AN_ECOSYSTEM):
            raise ValueError("the kind and the ecosystem do not belong together")
        return self


class SnapshotManifest(_Model):
    """It says what a snapshot holds and when it was made."""

    product: Literal["securechain-ingest snapshot"] = _PRODUCT
    format: Annotated[int, Field(ge=1, strict=True)] = FORMAT
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] = Field(default_factory=lambda: secrets.token_hex(16))
    made_by: str = __version__
    made_at: Annotated[str, Field(pattern=r"^[0-9TZ:.+-]+$")] = Field(default_factory=now_iso)
    """The cursors were read at this time (ISO 8601, UTC), before the first row of the graph."""
    cursors: Mapping[str, Mapping[str, Any]] = {}
    """It maps the name of each cursor to the cursor's document."""
    rating_rule: int = 0
    """The versions are rated by this rule (`advisories.matching.RULE`). It is 0 if they are rated by several rules."""
    left_out: Mapping[str, int] = {}
    """It says how many nodes or values of other programs no table can hold, by their kind."""
    parts: tuple[Part, ...] = ()
    sha256: str | None = None
    """This is the digest of all the rest of the manifest. A snapshot of an earlier release lacks it."""

    @model_validator(mode="after")
    def _names_each_file_once(self) -> Self:
        if any(count > 1 for count in Counter(part.file for part in self.parts).values()):
            raise ValueError("a file has two entries")
        return self

    def refuse_unknown(self, ecosystems: Container[str]) -> None:
        """Raise SnapshotError if the snapshot has an ecosystem that is none of these names."""
        unknown = {part.ecosystem for part in self.parts if part.ecosystem and part.ecosystem not in ecosystems}
        if unknown:
            raise SnapshotError(f"the snapshot has {', '.join(sorted(unknown))}, which this release does not know")

    def rows(self, kind: Kind) -> int:
        """Return how many rows the tables of a kind have together."""
        return sum(part.rows for part in self.parts if part.kind == kind)

    def write(self, folder: Path) -> None:
        """Write the manifest, with which the snapshot is complete."""
        document = self.model_dump(mode="json")
        document["sha256"] = _digest(document)
        unfinished = folder / UNFINISHED
        unfinished.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        unfinished.replace(folder / NAME)


def _digest(document: Mapping[str, Any]) -> str:
    """Return the digest of a manifest, without its own digest."""
    rest = {name: value for name, value in document.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_manifest(folder: Path) -> SnapshotManifest:
    """Return the manifest of a snapshot. It raises SnapshotError, which says in one line what is wrong."""
    path = folder / NAME
    try:
        if path.exists() and not path.is_file():
            raise SnapshotError(f"{path} is no file: name the folder that the snapshot was exported to")
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SnapshotError(
            f"{folder} holds no whole snapshot: it has no {NAME}, which an export writes last"
        ) from None
    except NotADirectoryError:
        raise SnapshotError(f"{folder} is no folder: name the folder that the snapshot was exported to") from None
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SnapshotError(f"{path} cannot be read ({type(error).__name__}): copy the snapshot once more") from error
    if not isinstance(document, dict) or document.get("product") != _PRODUCT:
        raise SnapshotError(f"{path} is not the manifest of a snapshot of this product")
    made_in = document.get("format")
    if isinstance(made_in, int) and made_in > FORMAT:
        raise SnapshotError(
            f"{folder} was made by a newer release ({document.get('made_by')}, format {made_in}), and this release"
            f" reads format {FORMAT}: upgrade securechain-ingest before the import"
        )
    if missing := next((name for name in _NAMED_IN_ALL if name not in document), None):
        raise SnapshotError(f"{path} does not have {missing}: copy or export the snapshot once more")
    try:
        manifest = SnapshotManifest.model_validate(document)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "parts"
        raise SnapshotError(f"{path} has a wrong value at {where}: copy or export the snapshot once more") from error
    if manifest.sha256 is not None and manifest.sha256 != _digest(document):
        raise SnapshotError(f"{path} is not the manifest that was exported: copy the snapshot once more")
    return manifest
