"""An ecosystem declares everything about itself once, in its own folder.

The tables of the configuration, the jobs, the lanes, the node types, the words of the command line and the README's
table follow from it. It imports nothing that opens a connection, so that the command line starts quickly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from securechain_ingest.http.endpoints import Endpoint
from securechain_ingest.model import Ecosystem, PackageRef

if TYPE_CHECKING:
    from securechain_ingest.registries.protocol import RegistryClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """Making one raises ValueError if an endpoint that it names is not among its own."""

    ecosystem: Ecosystem
    """This has its identity and the rules of its names and versions."""
    identify: Callable[[str], PackageRef]
    """This identifies a package by any spelling of its name. It raises InvalidName."""
    registry: Callable[[], RegistryClass]
    """This imports and returns the class that reads the registry."""
    parsers: tuple[str, ...]
    """Parser processes import these modules of its folder when they start, and any other when it is first needed. The
    modules have the functions that such a process runs, and import nothing that opens a connection."""

    endpoints: tuple[Endpoint, ...]

    ingestion_cron: str
    """The job that lists the whole registry runs then by default, if it is enabled."""
    updates_cron: str
    """The job that follows what has changed runs then by default."""
    reconcile_s: float
    """After so many seconds an update compares all names with the graph instead."""
    hints_s: float | None = None
    """So many seconds lie between two looks for hints beside the feed; None means that the feed needs no hints."""
    watched: int = 0
    """So many of the packages that were active last are checked with the hints."""
    workers: int = 64
    """So many packages may be in work at once in one daemon by default. The more there are, the more of them the graph
    gets in one transaction."""

    title: str
    """People call the registry so: `PyPI`."""
    other_words: tuple[str, ...] = ()
    """The command line also takes these words for the ecosystem."""
    example: str
    """Everybody knows this package: `requests`."""
    archive_kinds: tuple[str, ...]
    """Its archives are called so: `wheels`, `sdists`."""
    first_visit: str
    """The README says that this is asked for when a package is read for the first time."""
    feed: str
    """The README says that updates follow this: `PyPI's serials`."""
    import_name_examples: tuple[str, ...]
    """The README shows by these what import names look like."""

    def __post_init__(self) -> None:
        keys = {endpoint.key for endpoint in self.endpoints}
        parents = [endpoint.below[0] for endpoint in self.endpoints if endpoint.below]
        for named in (self.ecosystem.endpoint, self.ecosystem.archives, *parents):
            if named not in keys:
                msg = f"{self.ecosystem.name} declares no endpoint {named!r}; it declares {', '.join(sorted(keys))}"
                raise ValueError(msg)

    @property
    def name(self) -> str:
        return self.ecosystem.name

    @property
    def ingestion_job(self) -> str:
        """Return the name of the job that lists the whole registry."""
        return f"{self.name}_package_ingestion"

    @property
    def updates_job(self) -> str:
        """Return the name of the job that follows what has changed."""
        return f"{self.name}_packages_updates"

    @property
    def words(self) -> tuple[str, ...]:
        """Return the words by which the ecosystem may be named. The first is its name."""
        return tuple(dict.fromkeys((self.name, self.ecosystem.purl_type, *self.other_words)))
