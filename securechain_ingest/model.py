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
    """Return the later of two announcements. In most ecosystems it contains everything that the earlier one says."""
    return later


def no_older_spellings(_name: str) -> tuple[str, ...]:
    """Return no further names. In most ecosystems every graph has the lower-case name or the registry's spelling."""
    return ()


@dataclass(frozen=True, slots=True)
class Ecosystem:
    """This is what distinguishes one ecosystem's data in the stores. The code that reads its registry is in
    `registries`."""

    name: str
    """The command line, the settings and the logs use this word: `pypi`."""
    label: str
    """This is the graph label and the `node_type` of messages: `PyPIPackage`."""
    purl_type: str
    """Its package URLs have this type: `pypi`."""
    osv: str | None
    """OSV's advisories name the ecosystem by this literal: `PyPI`. None means that OSV does not have the ecosystem, so
    that nothing is known of its vulnerabilities."""
    version_key: Callable[[str], Any]
    """This maps a version name to a sortable key. It raises ValueError for a name that the scheme cannot order."""
    endpoint: str = ""
    """Every message needs the endpoint of this key; while the endpoint is paused, no message is served."""
    archives: str = ""
    """The endpoint of this key serves the archives. If it is not the one that every message needs, packages are written
    without their archive while it is away."""
    join_announcements: Callable[[str, str], str] = newest_announcement
    """This makes one announcement of two that concern one package (`Change.at_least`)."""
    range_key: Callable[[str], Any] | None = None
    """This is a version key for the ranges of advisories. An ecosystem has one if its own tool of today orders versions
    in another way than the clients of the graph. None means that `version_key` is used."""
    name_key: Callable[[str], str] = str
    """This maps a name to a key that is equal for all spellings that the registry takes for one name. By default each
    spelling is a name of its own."""
    namespace_separator: str = "/"
    """A name has this where its purl has a slash: `:` in Maven's `group:artifact`."""
    needs_namespace: bool = False
    """True means that each name has two parts with exactly one separator between them."""
    node_properties: tuple[tuple[str, str], ...] = ()
    """The nodes of its packages have these further string properties (`Package.properties`); each has a name and a
    meaning."""
    older_spellings: Callable[[str], tuple[str, ...]] = no_older_spellings
    """This returns further lower-case names under which an older graph may hold the package of a lower-case name."""
    listing_kept_s: float = 0.0
    """A list of all names may be used for so many seconds at least, because its registry wishes that nobody reads it
    more often. 0 means that the registry has no such wish."""
    document_has_all_but_names: bool = False
    """True means that a package's document tells everything but the import names, whatever the number of versions. What
    a first reading has left out is then completed from the archive alone."""
    import_names_version: int = 1
    """This goes up when a change of the parser gives other import names. It stands on each package beside them, so that
    `backfill import-names` finds the packages that an older parser has read."""

    announced: re.Pattern[str] = re.compile(r"[^\s\x00-\x1f\x7f]{1,1024}")
    """Every announcement of the ecosystem's feed (`Change.at_least`) matches this. A message with another announcement
    does not come from this program."""

    def has_form_of_name(self, name: str) -> bool:
        """Return whether a name has as many parts as it must have. Its characters are checked by `identify`."""
        if not self.needs_namespace:
            return True
        parts = name.split(self.namespace_separator)
        return len(parts) == 2 and all(part.strip() for part in parts)

    def range_order(self, name: str) -> Any:
        """Return the key by which versions are compared with the ranges of advisories. ValueError is raised as
        by `version_key`."""
        return (self.range_key or self.version_key)(name)

    def rank(self, names: Iterable[str]) -> dict[str, int]:
        """Return the serial numbers of one package's versions: ascending and dense from 0, and UNORDERED for names
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
    """This is the identity of one package. Two refs mean one package exactly if their purls are equal (contract,
    section 1.4)."""

    ecosystem: Ecosystem
    registry_name: str
    """The registry is asked for this spelling, whose case is kept."""
    name: str
    """This is the `name` in the graph, in lower case."""
    purl: str
    """This is the package URL, without a version."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """This is one runtime dependency of a version. A version has at most one for each target: several constraints on
    the same target are already joined."""

    target: PackageRef
    constraints: str
    """These have the form that contract section 2 demands. They are never empty; `any` means that there are none."""


@dataclass(frozen=True, slots=True)
class Version:
    """This is one version as the registry lists it. Yanked and deprecated versions are included."""

    name: str
    purl: str
    """This is the purl of the package, followed by `@` and the percent-encoded name of the version."""
    release_date: str | None
    """This is in ISO 8601, in UTC and whole seconds: `2021-05-11T14:05:36Z`. It is None if the registry gives none."""
    requirements: tuple[Requirement, ...] | None
    """None means that they were not asked for again because they are in the graph, or that the registry cannot tell.
    Then the edges in the graph stay as they are."""
    yanked: bool = False
    deprecated: bool = False
    requirements_pending: bool = False
    """True means that a first reading has left the requirements of this version for later."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """This is a file from which the import names can be read."""

    url: str
    filename: str
    version: str
    """The file belongs to this version."""
    size: int | None
    """This is in bytes. It is None if the registry does not say."""
    sha256: str | None = None
    """This is in hexadecimal digits. It is None if the registry does not say."""
    digest: str | None = None
    """This is any other digest of the contents in the registry's document, in the registry's own notation. It is None
    if there is none."""


@dataclass(frozen=True, slots=True)
class Package:
    """This is the whole answer of a registry about one package."""

    ref: PackageRef
    """This has the registry's own spelling."""
    vendor: str | None
    repository_url: str | None
    """For this and for the vendor, None means that the documents do not say. Then the value in the artifact counts, and
    if there is none, the value in the graph."""
    versions: tuple[Version, ...]
    """There are no duplicates. Their order has no meaning; the graph orders them (`Ecosystem.rank`)."""
    artifacts: tuple[Artifact, ...]
    """These are files of the version that a user gets by default. The best source of import names comes first. The
    tuple is empty if there are no files."""
    validator: str | None
    """This is the ETag (or Last-Modified) of the document. The next conditional request sends it."""
    revision: str | None = None
    """The registry's list gives this name to this state of the package. It is None if the list gives no name."""
    lists_all_versions: bool = True
    """True means that the registry no longer has a version that is not among `versions`."""
    license: str | None = None
    """This is the licence of the version that a user gets by default. It is an SPDX expression, or the registry's own
    words if they are no SPDX expression. None has the same meaning as for the vendor."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """These are the values of `Ecosystem.node_properties`."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """This is the last attempt to read a package's archive, if none has succeeded yet."""

    version: str
    """The archive belongs to this version. For the archive of another version, the count of attempts begins anew."""
    attempts: int
    tried_at: datetime
    """This is aware, in UTC."""
    retry_at: datetime | None = None
    """The archive is tried again at this time. None means that it is not tried again before the package changes."""


@dataclass(frozen=True, slots=True)
class NamesChange:
    """This is how the import names of a version differ from those of the version whose archive was read before it."""

    version: str
    before: str
    """The names are compared with those of this version, which is older."""
    added: tuple[str, ...]
    removed: tuple[str, ...]
    """Both are sorted."""


@dataclass(frozen=True, slots=True)
class ImportNames:
    """These are the names that can be imported from a package, or the reason why they could not be found."""

    names: tuple[str, ...]
    """The names are sorted, unique and cleaned as contract section 1.5 says. If none was found, this is the fallback
    name."""
    error: str | None = None
    """This is one sentence if the archive could not be read, or if `names` lacks a part of it; otherwise it is None."""
    retry: bool = False
    """True means that the best archive could not be read, and that the names are those of another archive."""
    repository_url: str | None = None
    """This is the normalised repository that the archive itself names, if the registry's documents name none."""
    license: str | None = None
    """This is the licence that the archive itself names, if the registry's documents name none."""
    is_stopgap: bool = False
    """True means that no archive could be read and `names` is the fallback. Any names in the graph are better."""
    failed: FailedAttempt | None = None
    """This is set if an archive could not be read."""
    version: str | None = None
    """These are all names of the archive of this version. It is None if a part of them may be missing, or if no archive
    was read."""
    change: NamesChange | None = None
    """None means that the names were not compared with those of another version."""


@dataclass(frozen=True, slots=True)
class Rating:
    """This rates the known vulnerabilities of one version (contract, section 1.2)."""

    mean: float = 0.0
    weighted_mean: float = 0.0
    vulnerabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownPackage:
    """This is what the graph has about a package that this daemon has written, or has adopted completely."""

    purl: str
    registry_name: str
    versions: frozenset[str]
    checked_at: datetime
    validator: str | None
    """The next conditional request sends this. None means that the whole document is asked for again."""
    removed: frozenset[str] = frozenset()
    """These are the versions among `versions` that are marked as gone from the registry."""
    names_failed: FailedAttempt | None = None
    """This is set as long as the archive could not be read."""
    pending: frozenset[str] = frozenset()
    """These are the versions among `versions` whose requirements have not been read yet."""
    archive_pending: bool = False
    """True means that the archive has not been read yet."""
    pending_archive: Artifact | None = None
    """The first reading has left out nothing but this archive. None means that the registry's document must be read to
    complete the package."""
    element_id: str = ""
    """This identifies the package's node."""
    names_of: str | None = None
    """The import names in the graph are all names of this version's archive. None means that this is not known."""

    @property
    def is_pending(self) -> bool:
        """Return whether only a first reading has been made, which has left something for later."""
        return self.archive_pending or bool(self.pending)

    @property
    def read_versions(self) -> frozenset[str]:
        """Return the versions whose requirements have been read."""
        return self.versions - self.pending


@dataclass(frozen=True, slots=True)
class NamesGap:
    """This is a package of the graph whose import names must be read."""

    element_id: str
    name: str
    """This is the name in the graph."""
    position: str
    """A walk through the packages goes on behind it."""
    known: KnownPackage
    """This has all versions that the graph has, whether they are complete or not."""


@dataclass(frozen=True, slots=True)
class Parent:
    """This is the other end of an edge that a message asks for (contract, section 4: parent_id, constraints)."""

    element_id: str
    constraints: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A lane has no room for absent packages now; this says how they are queued later."""

    depth: int | None
    """So many levels of their requirements are followed then. None means that there is no limit."""
    first: bool
    """True means that they are read with the fewest requests, because the package that requires them was read so."""


@dataclass(frozen=True, slots=True)
class PackageWrite:
    """This is everything that one transaction writes about one package."""

    package: Package
    ratings: Mapping[str, Rating]
    """The keys are version names. Versions of the graph that are not among them keep their ratings."""
    import_names: ImportNames | None
    """None means that the graph keeps the import names that it has."""
    checked_at: datetime
    """The registry was asked at this time, which is aware, in UTC."""
    parents: tuple[Parent, ...]
    follow: bool
    """True means that absent packages that it requires are queued (their remaining depth is above 0)."""
    gone: frozenset[str] = frozenset()
    """These versions are marked as gone, because two readings agree that the registry lacks them."""
    listed: str | None = None
    """The registry's list gives this name to the state that made the daemon ask for the package (`Message.listed`)."""
    leave_out: LeftOut | None = None
    """This is set if absent packages are queued later, when there is room. Then `follow` is False."""
    archive_pending: bool = False
    """True means that the archive was left for later."""
    complete_depth: int | None = None
    """So many levels of requirements are followed when the part that was left for later is read. None means that a
    setting says how many."""


@dataclass(frozen=True, slots=True)
class Link:
    """This is a request for a package that the graph already has. It makes the edges from parents and resolves waiting
    requirements, and it may queue absent packages that the package requires."""

    ref: PackageRef
    parents: tuple[Parent, ...]
    follow: bool
    repeat_follow: bool
    """True means that the message was delivered before. Then absent packages are queued again even if they are marked
    as queued, because a crash may have come between the commit and the queueing."""
    checked_at: datetime | None
    """If this is set, the registry has confirmed at this time that the package is unchanged, and `moment` moves."""
    ratings: Mapping[str, Rating] | None = None
    """The keys are version names. Versions that are not among them have no known vulnerability. None leaves all ratings
    as they are."""
    revision: str | None = None
    """This is the `Package.revision` of the state that was confirmed. None leaves the value in the graph."""
    listed: str | None = None
    """This has the meaning of `PackageWrite.listed`. None leaves the value in the graph."""
    leave_out: LeftOut | None = None
    """If this is set, no absent package is queued now. Those that would be are left for later."""


@dataclass(frozen=True, slots=True)
class WriteResult:
    """This says what is left to do after the committed write."""

    purl: str
    to_queue: tuple[PackageRef, ...]
    """These absent packages must be queued now. They are already marked as queued."""
    lost_parents: tuple[str, ...]
    """These are the elementIds of those parents in messages that are no longer in the graph."""
    is_awaited_still: bool = False
    """True means that more requirements wait for the package than one transaction resolves. The rest must be resolved
    before its message is acknowledged."""
    unconfirmed: bool = False
    """True means that the graph has versions that the document lacks, and that nobody has confirmed that they are
    gone."""
