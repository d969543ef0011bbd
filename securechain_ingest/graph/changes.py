"""The difference between what the graph holds about packages and what it shall hold; pure.

Only differences are written: a refresh of a package with a thousand versions costs what its new version costs, and a
repeated write changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from securechain_ingest.graph.identity import Identity, new_name, spellings, version_purl
from securechain_ingest.graph.state import VersionState
from securechain_ingest.model import (
    ANY,
    Ecosystem,
    ImportNames,
    PackageRef,
    PackageWrite,
    Rating,
    Requirement,
    Version,
)

FORMAT = 2
"""Goes up when packages written by an earlier release have to be read from their registries again."""

Row = dict[str, Any]


@dataclass(slots=True)
class Changes:
    """The parameters of `Statements.apply`, in the order in which they take effect."""

    updated_packages: list[Row] = field(default_factory=list)
    created_packages: list[Row] = field(default_factory=list)
    created_versions: list[Row] = field(default_factory=list)
    updated_versions: list[Row] = field(default_factory=list)
    dropped: list[Row] = field(default_factory=list)
    settle: list[str] = field(default_factory=list)
    targets: list[Row] = field(default_factory=list)
    parents: list[Row] = field(default_factory=list)

    def add(self, write: PackageWrite, identity: Identity, *, parent_property: str) -> bool:
        """Take up one package; whether the graph has versions that it lacks without being gone for sure.

        `parent_property`: which property of the package its edges carry as their parent.
        """
        package = write.package
        unconfirmed = _has_unconfirmed(write, identity)
        if identity.renamed is not None:
            # In front of whoever takes the name. No other package of the transaction can want it (`Graph.write`).
            self.updated_packages.append(
                {"id": identity.renamed.id, "properties": {"name": new_name(identity.renamed)}}
            )
        has_names = identity.node is not None and identity.node.has_names
        properties = package_properties(write, identity.name, has_names=has_names)
        if unconfirmed:
            # The next check is to get the document, and not only hear that it is the same as this one.
            properties["validator"] = None
        if identity.node is None:
            properties["listed"] = write.listed
            self.created_packages.append({"purl": package.ref.purl, "properties": properties})
        else:
            self.updated_packages.append({"id": identity.node.id, "properties": properties, "listed": write.listed})
        targets = Targets(write, package.ref.purl if parent_property == "purl" else identity.name)
        self._add_versions(write, identity, targets)
        self.settle.append(package.ref.purl)
        self.targets += targets.rows.values()
        self.parents += parent_rows(write)
        return unconfirmed

    def _add_versions(self, write: PackageWrite, identity: Identity, targets: Targets) -> None:
        versions = Versions.of(identity)
        listed = {version.name: version for version in write.package.versions}
        serials = write.package.ref.ecosystem.rank([*versions.states, *listed])
        for name in {**listed, **versions.states}:
            self.add_version(write, versions, name, listed.get(name), serials[name], targets)

    def add_version(
        self,
        write: PackageWrite,
        versions: Versions,
        name: str,
        version: Version | None,
        serial: int,
        targets: Targets,
    ) -> None:
        """Take up one version of the package; None: the registry does not list it."""
        purl = write.package.ref.purl
        state, twins = versions.states.get(name), versions.doubles.get(name, [])
        held = state.properties if state else {}
        wanted = _version_properties(purl, version, name, serial, write.ratings.get(name), held)
        if version is not None or name in write.gone:
            wanted["removed"] = None if version is not None else True
        needed = version.requirements if version else None
        is_new = state is None and wanted["purl"] not in versions.purls
        if state is None:
            versions.purls.add(wanted["purl"])
            created = {"package": purl, "purl": wanted["purl"], "properties": wanted, "clear": needed is not None}
            self.created_versions.append(created)
        elif changed := {key: value for key, value in wanted.items() if held.get(key) != value}:
            self.updated_versions.append({"id": state.id, "properties": changed})
        if (needed is not None or state is not None) and (
            dropped := targets.compare(wanted["purl"], needed, state, twins, is_new=is_new)
        ):
            self.dropped.append({"id": state.id if state else "", "relationships": dropped})
        for twin in twins:
            relationships = [twin.have_id, *(edge.id for edge in twin.edges), *(wait.id for wait in twin.waits)]
            self.dropped.append({"id": twin.id, "relationships": relationships})

    def chunks(self, limit: int) -> Iterator[dict[str, list[Any]]]:
        """The parameters in portions of about `limit` rows, at least one; sorted against deadlocks."""
        self.targets.sort(key=lambda row: (row["purl"], not row["new"]))  # to create an edge comes before to merge it
        self.parents.sort(key=lambda row: row["id"])
        portion, room = _empty(), limit
        for key in portion:
            rows = getattr(self, key)
            for row in _split(rows, limit) if key == "targets" else rows:
                weight = max(1, len(row["edges"])) if key == "targets" else 1
                if weight > room:
                    yield portion
                    portion, room = _empty(), limit
                portion[key].append(row)
                room -= weight
        yield portion


@dataclass(frozen=True, slots=True)
class Versions:
    """What the graph has of a package's versions, or of some of them."""

    states: dict[str, VersionState]
    """By name."""
    doubles: dict[str, list[VersionState]]
    """The other nodes of a name, which upstream's races left. They lose their relationships, so that clients find one
    version; the nodes stay: their ids are in flight."""
    purls: set[str | None]
    """Those that are taken."""

    @classmethod
    def of(cls, identity: Identity) -> Versions:
        states: dict[str, VersionState] = {}
        doubles: dict[str, list[VersionState]] = {}
        versions = identity.node.versions if identity.node else []
        for state in sorted(versions, key=lambda each: (each.properties.get("purl") is None, len(each.id), each.id)):
            if states.setdefault(state.name, state) is not state:
                doubles.setdefault(state.name, []).append(state)
        return cls(states, doubles, {state.properties.get("purl") for state in states.values()})


class Targets:
    """The requirements of one package's versions that differ from the graph, gathered by target."""

    def __init__(self, write: PackageWrite, parent: str) -> None:
        self.rows: dict[tuple[str, bool], Row] = {}
        self._write = write
        self._parent = parent

    def compare(
        self,
        version_purl: str,
        needed: tuple[Requirement, ...] | None,
        state: VersionState | None,
        twins: list[VersionState],
        *,
        is_new: bool,
    ) -> list[str]:
        """Note what one version lacks; returns the ids of the relationships that it has too many.

        `is_new`: the transaction creates the version, and no other of the write has its purl.
        """
        edges = list(state.edges) if state else []
        waits = list(state.waits) if state else []
        if needed is None:
            wanted = _held(state, twins)
        else:
            wanted = {item.target.purl: (item.target.registry_name, item.constraints) for item in needed}
        present = {edge.purl: edge for edge in reversed(edges) if edge.purl is not None}
        awaited = {wait.purl: wait for wait in reversed(waits)}
        for purl, (name, constraints) in wanted.items():
            edge, wait = present.get(purl), awaited.get(purl)
            if edge is not None and (edge.constraints, edge.parent) == (constraints, self._parent):
                continue
            if edge is None and wait is not None and wait.constraints == constraints:
                if wait.queueable and self._write.follow:
                    self._row(purl, name, is_new=is_new)
                continue
            self._row(purl, name, is_new=is_new)["edges"].append([version_purl, constraints])
        kept = {edge.id for purl, edge in present.items() if purl in wanted}
        kept |= {wait.id for purl, wait in awaited.items() if purl in wanted and purl not in present}
        unnamed = None if needed is None else {name for item in needed for name in spellings(item.target)}
        kept |= {edge.id for edge in edges if edge.purl is None and (unnamed is None or edge.name in unnamed)}
        return [held for held in (*(edge.id for edge in edges), *(wait.id for wait in waits)) if held not in kept]

    def _row(self, purl: str, name: str, *, is_new: bool) -> Row:
        row = self.rows.get((purl, is_new))
        if row is None:
            ref: PackageRef = self._write.package.ref
            row = self.rows[purl, is_new] = {
                "package": ref.purl,
                "purl": purl,
                "name": name,
                "ecosystem": ref.ecosystem.name,
                "parent": self._parent,
                "follow": self._write.follow,
                "new": is_new,
                "edges": [],
            }
        return row


def parent_rows(write: PackageWrite) -> list[Row]:
    """The edges that messages ask for; the last message on one parent counts."""
    purl = write.package.ref.purl
    constraints = {parent.element_id: parent.constraints for parent in write.parents}
    return [{"package": purl, "id": element_id, "constraints": text} for element_id, text in constraints.items()]


def _has_unconfirmed(write: PackageWrite, identity: Identity) -> bool:
    if identity.node is None or not write.package.lists_all_versions:
        return False
    accounted_for = write.gone.union(version.name for version in write.package.versions)
    held = identity.node.versions
    return any(state.name not in accounted_for and not state.properties.get("removed") for state in held)


def package_properties(write: PackageWrite, name: str, *, has_names: bool) -> Row:
    """What a package's node holds when all of it has been written; `has_names`: it has import names already."""
    package = write.package
    properties: Row = {
        **package.properties,
        "name": name,
        "purl": package.ref.purl,
        "registry_name": package.ref.registry_name,
        "moment": write.checked_at,
        "validator": package.validator,
        "revision": package.revision,
        "format": FORMAT,
        "tried_at": None,
        "removed_at": None,
        "writing": None,
    }
    if package.vendor is not None:
        properties["vendor"] = package.vendor
    if package.repository_url is not None:
        properties["repository_url"] = package.repository_url
    if write.import_names is not None:
        properties |= tries_properties(write.import_names)
        if not (write.import_names.is_stopgap and has_names):
            properties |= names_properties(package.ref.ecosystem, write.import_names)
    return properties


def names_properties(ecosystem: Ecosystem, names: ImportNames) -> Row:
    """What a package's node holds of its import names; not written if it has any and these are a stopgap."""
    return {"import_names": list(names.names), "import_names_parser": ecosystem.import_names_version}


def tries_properties(names: ImportNames) -> Row:
    """What a package's node holds of the tries to read its archive; all absent when nothing is wrong."""
    failed = names.failed
    return {
        "import_names_error": names.error,
        "import_names_failed_version": failed.version if failed else None,
        "import_names_tries": failed.tries if failed else None,
        "import_names_tried_at": failed.tried_at if failed else None,
        "import_names_retry_at": failed.retry_at if failed else None,
    }


def _version_properties(
    package_purl: str, version: Version | None, name: str, serial: int, rating: Rating | None, held: Mapping[str, Any]
) -> Row:
    """The properties that the version shall have; those of others on the node are left alone."""
    properties: Row = {
        "name": name,
        "purl": version.purl if version else held.get("purl") or version_purl(package_purl, name),
        "serial_number": serial,
        "release_date": (version.release_date if version else None) or _iso_date(held.get("release_date")),
    }
    if version is not None:
        properties["yanked"] = version.yanked or None
        properties["deprecated"] = version.deprecated or None
    if rating is None and held.get("vulnerabilities") is None:
        rating = Rating()
    if rating is not None:
        properties |= rating_properties(rating)
    return properties


def rating_properties(rating: Rating) -> Row:
    """What a version's node holds of its rating."""
    return {
        "mean": float(rating.mean),
        "weighted_mean": float(rating.weighted_mean),
        "vulnerabilities": list(rating.vulnerabilities),
    }


def _iso_date(held: Any) -> str | None:
    """Upstream writes epoch milliseconds for Maven (contract, section 1.2)."""
    if isinstance(held, int):
        try:
            return datetime.fromtimestamp(held / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        except (ValueError, OverflowError, OSError):
            return None  # no moment that there can be
    return None if held is None else str(held)


def _held(state: VersionState | None, twins: list[VersionState]) -> dict[str, tuple[str, str]]:
    """The requirements that the graph holds: those of the node itself come before those of its twins."""
    held: dict[str, tuple[str, str]] = {}
    for version in [*twins, *([state] if state else [])]:
        held.update((wait.purl, (wait.name, wait.constraints)) for wait in version.waits)
        held.update(
            (edge.purl, (edge.name, edge.constraints or ANY)) for edge in version.edges if edge.purl is not None
        )
    return held


def _empty() -> dict[str, list[Any]]:
    return {name: [] for name in Changes.__dataclass_fields__}


def _split(targets: list[Row], limit: int) -> Iterator[Row]:
    for row in targets:
        edges = row["edges"]
        for start in range(0, max(1, len(edges)), limit):
            yield {**row, "edges": edges[start : start + limit]}
