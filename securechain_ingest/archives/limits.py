"""How much of an archive is read before it is refused, and what both kinds of archive refuse alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from securechain_ingest.settings import ArchiveSettings


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Members of one archive, bytes that really come out of all of them, bytes of a member that is read whole."""

    max_members: int
    max_expanded_bytes: int
    max_member_bytes: int = 16 * 1024 * 1024

    @classmethod
    def from_settings(cls, archives: ArchiveSettings) -> Self:
        return cls(max_members=archives.max_members, max_expanded_bytes=archives.max_expanded_bytes)


def safe_name(raw: str) -> str | None:
    """A member's name as a relative path with `/`; None if it points outside of its archive or holds a NUL.

    Names are data here and never become paths, so a name of the second kind is left out and not a reason to refuse.
    """
    name = raw.replace("\\", "/")
    while name.startswith("./"):
        name = name[2:]
    if not name or name.startswith("/") or "\0" in name or name[1:2] == ":" or ".." in name.split("/"):
        return None
    return name
