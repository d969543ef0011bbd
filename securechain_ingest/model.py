"""This module has the plain data that every room shares.

`None` means unknown, and an empty tuple means none. What could not be found out is an exception.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

ANY = "any"
"""This constraint string means that there is no constraint (contract, section 2)."""

NOT_AVAILABLE = "n/a"
"""`vendor` and `repository_url` hold this when they are unknown (contract, section 1.1)."""

UNORDERED = -1
"""A version has this serial number if the ecosystem's scheme cannot order its name."""


def newest_announcement(_earlier: str, later: str) -> str:
    """In most ecosystems the later of two announcements says all that is to be known."""
    return later


def no_older_spellings(_name: str) -> tuple[str, ...]:
    """In most ecosystems every graph has the lower-case name or the registry's spelling."""
    return ()


@dataclass(frozen=True, slots=True)
class Ecosystem:
    """This is what distinguishes one ecosystem's data in the stores. How its registry is read is in `registries`."""

    name: str
    """The command line, the settings and the logs use this word: `pypi`."""
    label: str
    """This is the graph label and the `node_type` of messages: `PyPIPackage`."""
    purl_type: str
    """Its package URLs have this type: `pypi`."""
    osv: str
    """Advisories name the ecosystem by this literal: `PyPI`."""
    version_key: Callable[[str], Any]
    """This maps a version name to a sortable key. It raises ValueError for a name that the scheme cannot order."""
    endpoint: str = ""
    """Every message needs the endpoint of this key; while the endpoint is paused, no message is served."""
    archives: str = ""
    """The endpoint of this key serves the archives. If it is another one, packages are written without while it is
    away."""
    join_announcements: Callable[[str, str], str] = newest_announcement
    """This makes one announcement of two that concern one package (`Change.at_least`)."""
    range_key: Callable[[str], Any] | None = None
    """This is the same for the ranges of advisories, where the ecosystem's own tool of today has another order than the
    clients of the graph. None means that `version_key` is used."""
    name_key: Callable[[str], str] = str
    """This is equal for all spellings that the registry takes for one name. Else each spelling is another name."""
    namespace_separator: str = "/"
    """A name has this where its purl has a slash: `:` in Maven's `group:artifact`."""
    needs_namespace: bool = False
    """True means that each name has two parts with exactly one separator between them."""
    older_spellings: Callable[[str], tuple[str, ...]] = no_older_spellings
    """This returns further lower-case names under which an older graph may hold the package of a lower-case name."""
    listing_kept_s: float = 0.0
    """A list of all names is good for so many seconds at least, if its registry wishes it to be read no oftener."""
    older_listing_key: str | None = None
    """Other programs know the list of all names in Redis by this key, if it is not `all_<name>_packages`."""
    import_names_version: int = 1
    """This goes up when a change of the parser gives other import names. It stands on each package beside them, so that
    `backfill import-names` finds the packages that an older parser has read."""

    announced: re.Pattern[str] = re.compile(r"[^\s\x00-\x1f\x7f]{1,1024}")
    """An announcement of its feed (`Change.at_least`) matches this. A message that says anything else is not ours."""

    @property
    def listing_key(self) -> str:
        """Redis keeps the list of all names of the registry under this key."""
        return self.older_listing_key or f"all_{self.name}_packages"

    def has_form_of_name(self, name: str) -> bool:
        """This tells whether a name has as many parts as it must have. Its characters are checked by `identify`."""
        if not self.needs_namespace:
            return True
        parts = name.split(self.namespace_separator)
        return len(parts) == 2 and all(part.strip() for part in parts)

    def range_order(self, name: str) -> Any:
        """This returns the key by which advisories' ranges are read. It raises ValueError as `version_key` does."""
        return (self.range_key or self.version_key)(name)

    def rank(self, names: Iterable[str]) -> dict[str, int]:
        """This gives one package's versions their serial numbers: ascending and dense from 0, and UNORDERED for names
        without an order.

        Names that the scheme calls equal (`1.0` and `1.0.0` in PEP 440) are told apart by their text.
        """
        keyed: list[tuple[Any, str]] = []
        ranks: dict[str, int] = {}
        for name in set(names):
            try:
                keyed.append((self.version_key(name), name))
            except ValueError:
                ranks[name] = UNORDERED
        keyed.sort()
        ranks.update((name, serial) for serial, (_, name) in enumerate(keyed))
        return ranks


@dataclass(frozen=True, slots=True)
class PackageRef:
    """One package's identity. Two refs are one package exactly if their purls are equal (contract, section 1.4)."""

    ecosystem: Ecosystem
    registry_name: str
    """The spelling that the registry is asked with (case kept)."""
    name: str
    """The graph's `name`: lower-case."""
    purl: str
    """Without version."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One runtime dependency of a version. At most one per target: clauses on the same target are already joined."""

    target: PackageRef
    constraints: str
    """As contract section 2 demands: never empty, `any` for none."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version as the registry lists it, yanked and deprecated ones included."""

    name: str
    purl: str
    """Package purl + `@` + percent-encoded name."""
    release_date: str | None
    """ISO 8601 in UTC to the second, `2021-05-11T14:05:36Z`; None if the registry gives none."""
    requirements: tuple[Requirement, ...] | None
    """None: not asked again because already in the graph, or the registry cannot tell; edges stay as they are."""
    yanked: bool = False
    deprecated: bool = False
    requirements_pending: bool = False
    """A first reading has left its requirements for later."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """The one file that the import names are read from."""

    url: str
    filename: str
    version: str
    """The version that it belongs to."""
    size: int | None
    """Bytes; None if the registry does not say."""
    sha256: str | None = None
    """In hexadecimal digits; None if the registry does not say."""
    digest: str | None = None
    """Whatever else the registry's document calls it by its contents, in the registry's own words."""


@dataclass(frozen=True, slots=True)
class Package:
    """A registry's whole answer about one package."""

    ref: PackageRef
    """With the registry's own spelling."""
    vendor: str | None
    repository_url: str | None
    """None, as for the vendor: the documents do not say. Then the artifact's word counts, else what the graph has."""
    versions: tuple[Version, ...]
    """Without duplicates; the order is the graph's business (`Ecosystem.rank`)."""
    artifacts: tuple[Artifact, ...]
    """Files of the version that a user gets by default, best source of import names first; empty if there is none."""
    validator: str | None
    """The ETag (or Last-Modified) of the document, for the next conditional request."""
    revision: str | None = None
    """What the registry's listing calls this state of the package; None if it has no word for it."""
    lists_all_versions: bool = True
    """Whether a version that is not among `versions` is no longer there."""
    license: str | None = None
    """That of the version that a user gets by default: an SPDX expression, or the registry's words where it is none.
    None, as for the vendor."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """Further string properties of the node, such as Maven's `group_id`."""


@dataclass(frozen=True, slots=True)
class FailedTry:
    """The last of the tries to read a package's archive, none of which has succeeded yet."""

    version: str
    """Whose archive it is; that of another version begins anew."""
    tries: int
    tried_at: datetime
    """Aware, UTC."""
    retry_at: datetime | None = None
    """When it is to be tried again; None: not before the package changes."""


@dataclass(frozen=True, slots=True)
class ImportNames:
    """What can be imported from a package, or why that could not be found out."""

    names: tuple[str, ...]
    """Sorted, unique, cleaned as contract section 1.5 says; the fallback name if nothing was found."""
    error: str | None = None
    """One sentence if the archive could not be read, or not all of it is among `names`."""
    retry: bool = False
    """Whether the best archive could not be read and the names are those of another one."""
    repository_url: str | None = None
    """The normalised repository that the archive itself names, of a registry whose documents do not."""
    license: str | None = None
    """The licence that the archive itself names, likewise."""
    is_stopgap: bool = False
    """No archive could be read: `names` is the fallback, and whatever the graph has is better."""
    failed: FailedTry | None = None
    """Set if an archive could not be read."""


@dataclass(frozen=True, slots=True)
class Rating:
    """The known vulnerabilities of one version (contract, section 1.2)."""

    mean: float = 0.0
    weighted_mean: float = 0.0
    vulnerabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownPackage:
    """What the graph already holds about a package that this daemon has written or adopted completely."""

    purl: str
    registry_name: str
    versions: frozenset[str]
    checked_at: datetime
    validator: str | None
    """To be sent with a conditional request; None asks for the whole document again."""
    removed: frozenset[str] = frozenset()
    """Those of `versions` that are marked as gone from the registry."""
    names_failed: FailedTry | None = None
    """Set while the archive could not be read."""
    pending: frozenset[str] = frozenset()
    """Those of `versions` whose requirements have not been read yet."""
    archive_pending: bool = False
    """Its archive has not been looked at yet."""

    @property
    def is_pending(self) -> bool:
        """Whether it has been read only for the first time, and not whole."""
        return self.archive_pending or bool(self.pending)

    @property
    def read_versions(self) -> frozenset[str]:
        """The versions whose requirements have been read."""
        return self.versions - self.pending


@dataclass(frozen=True, slots=True)
class NamesGap:
    """A package of the graph whose import names are wanting."""

    element_id: str
    name: str
    """As the graph has it."""
    known: KnownPackage
    """With the versions that the graph has, complete or not."""


@dataclass(frozen=True, slots=True)
class Parent:
    """The other end of an edge that a message asks for (contract, section 4: parent_id, constraints)."""

    element_id: str
    constraints: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How absent packages are asked for later that a lane has no room for now."""

    depth: int | None
    """How many levels of what they require are followed then; None: without limit."""
    first: bool
    """Whether from the fewest requests, because whoever requires them was read so."""


@dataclass(frozen=True, slots=True)
class PackageWrite:
    """Everything that one transaction writes about one package."""

    package: Package
    ratings: Mapping[str, Rating]
    """By version name; versions of the graph that are not named keep theirs."""
    import_names: ImportNames | None
    """None leaves what the graph has."""
    checked_at: datetime
    """Aware, UTC: when the registry was asked."""
    parents: tuple[Parent, ...]
    follow: bool
    """Whether absent packages that it requires are to be queued (their remaining depth is above 0)."""
    gone: frozenset[str] = frozenset()
    """Versions that are to be marked as gone: two readings agree that the registry lacks them."""
    listed: str | None = None
    """What the registry's list calls the state because of which it was asked (`Message.listed`)."""
    leave_out: LeftOut | None = None
    """Set if absent packages are to be queued later, when there is room; then `follow` is False."""
    archive_pending: bool = False
    """The archive was left for later."""
    complete_depth: int | None = None
    """How many levels of requirements are followed when what was left for later is read; None: as a setting says."""


@dataclass(frozen=True, slots=True)
class Link:
    """A request on a package the graph already knows: edges from parents, waiting requirements, follow-ups."""

    ref: PackageRef
    parents: tuple[Parent, ...]
    follow: bool
    repeat_follow: bool
    """The message was delivered before: name absent packages again even if they were marked as queued (a crash may have
    come between the commit and the queueing)."""
    checked_at: datetime | None
    """If set, the package was just checked and is unchanged: `moment` moves."""
    ratings: Mapping[str, Rating] | None = None
    """By version name; versions that are not named have no known vulnerability. None leaves all as they are."""
    revision: str | None = None
    """`Package.revision` of the state that was confirmed; None leaves what the graph has."""
    listed: str | None = None
    """As in PackageWrite; None leaves what the graph has."""


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What the committed write leaves to do."""

    purl: str
    to_queue: tuple[PackageRef, ...]
    """Absent packages that wait to be queued, now marked as queued."""
    lost_parents: tuple[str, ...]
    """elementIds of messages' parents that are no longer in the graph."""
    is_awaited_still: bool = False
    """More requirements wait for the package than one transaction takes; the rest is to be resolved before its message
    is acknowledged."""
    unconfirmed: bool = False
    """The graph has versions that the document lacks and nobody has confirmed to be gone."""
