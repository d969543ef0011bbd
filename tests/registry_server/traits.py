"""This says what the walks over all ecosystems must know of a made registry beside its packages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from tests.registry_server.declarations import ExpectedPackage


class Made(Protocol):
    """This is a made package of any ecosystem."""

    def truth(self) -> ExpectedPackage:
        """Return what the graph must hold of it."""


class SampleVersion(NamedTuple):
    """This is one version of a small package."""

    version: str
    date: str
    module: str
    """Its archive offers this module beside the package's root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """These are the ways of one registry."""

    sample: Callable[[str, Sequence[SampleVersion]], Made]
    """This makes a package, from a short name of small letters and its versions in ascending order."""
    name: str = "{0}"
    """The registry spells the short name so."""
    version: Callable[[int], str] = "{}.0.0".format
    """This names the n-th version of a sample, from 1 to 9, in ascending order of the ecosystem."""
    document: Callable[[str], str]
    """This gives the path of the document that lists the versions, from the short name. `Ecosystem.endpoint` serves it.
    """
    archives: str
    """This is a pattern for the paths of a sample's archives, with `{0}` for the short name."""
    archive_endings: tuple[str, ...]
    """The paths of all archives end in one of these, and the path of no document does."""
    most_requests: int
    """A first visit costs at most so many, without the archive."""
    empty_document: bytes | None
    """This is a document that lists no version and is malformed for that. It is None if the registry may have such
    documents."""
    client_ranges: type[Any] | None
    """This is the class of univers by which the clients of the graph read its constraints. It is None if they do not
    know the ecosystem."""

    versions_field: str = "versions"
    """This field of a made package holds its versions, in the order of their publication."""
    version_field: str = "version"
    """This field of such a version names it."""
    yanks: bool = False
    """This says whether a version may be taken back, by its field `yanked`."""
    removes_versions: bool = False
    """This says whether a version may vanish, and the next field says so of a whole package."""
    removes_packages: bool = False
    hides_removals: bool = False
    """This says whether its list of a package's versions is never complete enough to tell that one is gone."""


DATES: Final = {f"{number}.0.0": f"2024-0{number}-01T00:00:00Z" for number in range(1, 10)}
"""These are the versions that samples may have, with the dates that each has whatever others there are."""


def numbered_versions(traits: Traits, *numbers: int) -> tuple[SampleVersion, ...]:
    """Return versions of these numbers (`Traits.version`), each with a module of its own."""
    return tuple(SampleVersion(traits.version(each), DATES[f"{each}.0.0"], f"module{each}") for each in numbers)


def sample_versions(versions: Iterable[str]) -> tuple[SampleVersion, ...]:
    """Return versions among DATES, each with a module of its own."""
    return tuple(SampleVersion(each, DATES[each], f"module{each[0]}") for each in versions)
