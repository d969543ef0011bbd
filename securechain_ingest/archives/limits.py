"""This module limits how much of an archive is read before it is refused, and has the rule on names that zips and tars
share.

An archive may contain archives (a gem its data, an aar its jars). A limit applies to the sum over an archive and all
archives in it; otherwise a thousand inner archives could have a thousand times as much. `ZipListing.inner` and
`TarMember.inner` open an inner archive so that it shares the ExpansionBudget of the outer one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from securechain_ingest.errors import ArchiveRefused

if TYPE_CHECKING:
    from securechain_ingest.settings import ArchiveSettings


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """These are the highest number of members in an archive and all archives in it, the most bytes that may really come
    out of these members, and the most bytes of one member."""

    max_members: int
    max_expanded_bytes: int
    max_member_bytes: int = 16 * 1024 * 1024

    @classmethod
    def from_settings(cls, archives: ArchiveSettings) -> Self:
        return cls(max_members=archives.max_members, max_expanded_bytes=archives.max_expanded_bytes)


class ExpansionBudget:
    """This counts what is left of the limits for an archive and all archives in it."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self.limits = limits
        self._members = 0
        self._expanded_bytes = 0

    @property
    def expanded_bytes_left(self) -> int:
        """Return how many bytes the archive may still expand to."""
        return self.limits.max_expanded_bytes - self._expanded_bytes

    def take_members(self, count: int) -> None:
        """Count `count` more members. Raise ArchiveRefused if they are too many."""
        self._members += count
        if self._members > self.limits.max_members:
            msg = f"{self._members} members, at most {self.limits.max_members} are allowed"
            raise ArchiveRefused(msg, reason="too_many_members")

    def take_expanded(self, size: int) -> None:
        """Count `size` more expanded bytes. Raise ArchiveRefused if they are too many."""
        self._expanded_bytes += size
        if self._expanded_bytes > self.limits.max_expanded_bytes:
            msg = f"expands to more than {self.limits.max_expanded_bytes} bytes"
            raise ArchiveRefused(msg, reason="expanded_too_large")


def safe_name(raw: str) -> str | None:
    """Return a member's name as a relative path with `/`, without the parts that unpacking passes over (`a//b`,
    `a/./b`). Return None if it is empty, points outside of its archive, or contains a NUL.

    Names are only data here and never become paths of files. Therefore a member whose name is None is left out, and the
    archive is not refused.
    """
    name = raw.replace("\\", "/")
    while name.startswith("./"):
        name = name[2:]
    if not name or name.startswith("/") or "\0" in name or name[1:2] == ":" or ".." in name.split("/"):
        return None
    if "//" in name or "/./" in name:
        folder = "/" if name.endswith("/") else ""
        name = "/".join(part for part in name.split("/") if part not in ("", ".")) + folder
    return name
