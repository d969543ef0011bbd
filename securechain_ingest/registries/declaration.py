"""What an ecosystem declares about itself, once, in its own folder.

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
    """Raises ValueError when an endpoint that it names is not among its own."""

    ecosystem: Ecosystem
    """Its identity, and the rules of its names and versions."""
    identify: Callable[[str], PackageRef]
    """The identity behind any spelling of a name; raises InvalidName."""
    registry: Callable[[], RegistryClass]
    """Imports and returns the class that reads its registry."""

    endpoints: tuple[Endpoint, ...]
    archives: str
    """The key of the endpoint that serves its archives; `Ecosystem.endpoint` is the one that every message needs."""

    ingestion_cron: str
    """When the job that lists the whole registry runs by default, if it is enabled."""
    updates_cron: str
    """When the job that follows what has changed runs by default."""
    reconcile_s: float
    """Seconds after which an update compares all names with the graph instead."""
    hints_s: float | None = None
    """How often to look for hints between two looks at the feed, in seconds; None: its feed needs none."""
    watched: int = 0
    """How many of the packages that were active last are checked with the hints."""
    workers: int = 32
    """Packages in work at once in one daemon, by default."""

    title: str
    """What people call the registry: `PyPI`."""
    other_words: tuple[str, ...] = ()
    """Words that the command line takes for its name and its purl type."""
    example: str
    """A package that everybody knows: `requests`."""
    archive_kinds: tuple[str, ...]
    """What its archives are called: `wheels`, `sdists`."""
    first_visit: str
    """What is asked for when a package is read for the first time, for the README."""
    feed: str
    """What its updates follow, for the README: `PyPI's serials`."""
    import_name_examples: tuple[str, ...]
    """What import names look like, for the README."""

    def __post_init__(self) -> None:
        keys = {endpoint.key for endpoint in self.endpoints}
        for named in (self.ecosystem.endpoint, self.archives):
            if named not in keys:
                msg = f"{self.ecosystem.name} declares no endpoint {named!r}; it declares {', '.join(sorted(keys))}"
                raise ValueError(msg)

    @property
    def name(self) -> str:
        return self.ecosystem.name

    @property
    def ingestion_job(self) -> str:
        """The name of the job that lists the whole registry."""
        return f"{self.name}_package_ingestion"

    @property
    def updates_job(self) -> str:
        """The name of the job that follows what has changed."""
        return f"{self.name}_packages_updates"

    @property
    def words(self) -> tuple[str, ...]:
        """Every word by which the ecosystem may be named, its name first."""
        return tuple(dict.fromkeys((self.name, self.ecosystem.purl_type, *self.other_words)))
