"""How much of an archive is read before it is refused, and what both kinds of archive refuse alike.

Archives lie in archives (a gem's data, an aar's jars). What a limit bounds is the sum over an archive and all that lie
in it, since otherwise a thousand inner ones would have a thousand times as much: an inner one is opened by
`ZipListing.inner` or `TarMember.inner`, which share one ExpansionBudget.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.settings import ArchiveSettings


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Members of an archive and all that lie in it, bytes that really come out of them, bytes of one member."""

    max_members: int
    max_expanded_bytes: int
    max_member_bytes: int = 16 * 1024 * 1024

    @classmethod
    def from_settings(cls, archives: ArchiveSettings) -> Self:
        return cls(max_members=archives.max_members, max_expanded_bytes=archives.max_expanded_bytes)


class ExpansionBudget:
    """What is still left of the limits for an archive and all that lie in it."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self.limits = limits
        self._members = 0
        self._expanded_bytes = 0

    @property
    def expanded_bytes_left(self) -> int:
        return self.limits.max_expanded_bytes - self._expanded_bytes

    def take_members(self, count: int) -> None:
        """Raises ArchiveRefused."""
        self._members += count
        if self._members > self.limits.max_members:
            msg = f"{self._members} members, at most {self.limits.max_members} are allowed"
            raise ArchiveRefused(msg, reason="too_many_members")

    def take_expanded(self, size: int) -> None:
        """Raises ArchiveRefused."""
        self._expanded_bytes += size
        if self._expanded_bytes > self.limits.max_expanded_bytes:
            msg = f"expands to more than {self.limits.max_expanded_bytes} bytes"
            raise ArchiveRefused(msg, reason="expanded_too_large")


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
