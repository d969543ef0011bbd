"""This module compares what the graph holds about packages with what it should hold. Its functions are pure.

Only differences are written: a refresh of a package with a thousand versions costs as much as its new version alone,
and a repeated write changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from securechain_ingest.graph.identity import Identity, possible_names, registry_spelling
from securechain_ingest.graph.nodes import VersionNode
from securechain_ingest.graph.properties import change_properties, package_properties, version_properties
from securechain_ingest.model import ANY, PackageWrite, Requirement, Version

Row = dict[str, Any]


@dataclass(slots=True)
class Difference:
    """It holds what a transaction has to write, in the order in which the lists take effect.

    `write_statements.WRITE` has the steps of each list.
    """

    updated_packages: list[Row] = field(default_factory=list)
    """Each row has an element id and properties; `listed` has the same meaning as `PackageWrite.listed`."""
    created_packages: list[Row] = field(default_factory=list)
    """Each row has a purl and properties."""
    cleared_versions: list[str] = field(default_factory=list)
    """These are the purls of versions whose requirements are all new. Requirements that an older graph holds under such
    a purl are deleted."""
    created_versions: list[Row] = field(default_factory=list)
    """Each row has the purl of the package, the purl of the version, and properties. `vulnerabilities` is absent if
    there are none."""
    updated_versions: list[Row] = field(default_factory=list)
    """Each row has an element id and the properties that differ."""
    dropped_relationships: list[Row] = field(default_factory=list)
    """Each row has the element id of a version and the ids of those of its relationships that are to be deleted."""
    awaited: list[str] = field(default_factory=list)
    """These are the purls of packages that are in the graph now and for which requirements may wait."""
    targets: list[Row] = field(default_factory=list)
    """Each row has the purl, name and ecosystem of a package that versions require. It also says whether and for which
    package the required package is queued if it is absent."""
    created_requirements: list[Row] = field(default_factory=list)
    """Each row has the purl of a target, the parent that the edges carry, and `edges`. Each of these has the purl of a
    new version and its constraints."""
    changed_requirements: list[Row] = field(default_factory=list)
    """Each row is like one of `created_requirements`, but its versions may require the target already."""
    parents: list[Row] = field(default_factory=list)
    """Each row has the purl of a package, the element id of the node that requires it, and the constraints."""

    def add_package(self, write: PackageWrite, identity: Identity, *, parent_property: str) -> bool:
        """Take up one package. Return whether the graph has versions that the package lacks and that are not known for
        sure to be gone.

        `parent_property` names the property of the package that its edges carry as their parent.
        """
        package = write.package
        unconfirmed = _has_unconfirmed(write, identity)
        self.rename(identity)
        has_names = identity.node is not None and identity.node.has_names
        versions = Versions.of(identity)
        listed = {version.name: version for version in package.versions}
        accounted_for = write.gone.union(listed)
        has_pending = any(
            node.properties.get("requirements_pending")
            for name, node in versions.nodes.items()
            if name not in accounted_for
        )
        properties = package_properties(write, identity.name, has_names=has_names, has_pending=has_pending)
        if unconfirmed:
            # The next check must get the document, and not only the answer that it is still the same.
            properties["validator"] = None
        if identity.node is None:
            properties["listed"] = write.listed
            self.created_packages.append({"purl": package.ref.purl, "properties": properties})
        else:
            self.updated_packages.append({"id": identity.node.id, "properties": properties, "listed": write.listed})
        requirements = Requirements(self, write, package.ref.purl if parent_property == "purl" else identity.name)
        serials = package.ref.ecosystem.rank([*versions.nodes, *listed])
        for name in {**listed, **versions.nodes}:
            self.add_version(write, versions, name, listed.get(name), serials[name], requirements)
        self.awaited.append(package.ref.purl)
        self.add_parents(write)
        return unconfirmed

    def rename(self, identity: Identity) -> None:
        """Make another package give up its name before the package that takes the name is written.

        No other package of the transaction can want that name (see `Graph.write`).
        """
        if identity.renamed is not None:
            properties = {"name": registry_spelling(identity.renamed)}
            self.updated_packages.append({"id": identity.renamed.id, "properties": properties})

    def add_version(
        self,
        write: PackageWrite,
        versions: Versions,
        name: str,
        version: Version | None,
        serial: int,
        requirements: Requirements,
    ) -> None:
        """Take up one version of the package. `version` is None if the registry does not list it."""
        purl = write.package.ref.purl
        node, twins = versions.nodes.get(name), versions.twins.get(name, [])
        held = node.properties if node else {}
        wanted = version_properties(purl, version, name, serial, write.ratings.get(name), held)
        if version is not None or name in write.gone:
            wanted["removed"] = None if version is not None else True
        if version is None and name in write.gone:
            wanted["requirements_pending"] = None
        change = write.import_names.change if write.import_names else None
        if change is not None and change.version == name:
            wanted |= change_properties(change)
        needed = version.requirements if version else None
        is_new = node is None and wanted["purl"] not in versions.purls
        if node is None:
            versions.purls.add(wanted["purl"])
            properties = {key: value for key, value in wanted.items() if value != []}
            self.created_versions.append({"package": purl, "purl": wanted["purl"], "properties": properties})
            if needed is not None:
                self.cleared_versions.append(wanted["purl"])
        elif changed := {key: value for key, value in wanted.items() if held.get(key) != value}:
            self.updated_versions.append({"id": node.id, "properties": changed})
        if needed is not None or node is not None:
            surplus = requirements.compare(wanted["purl"], needed, node, twins, is_new=is_new)
            if node is not None and surplus:
                self.dropped_relationships.append({"id": node.id, "relationships": surplus})
        for twin in twins:
            relationships = [twin.have_id, *(edge.id for edge in twin.edges), *(wait.id for wait in twin.waits)]
            self.dropped_relationships.append({"id": twin.id, "relationships": relationships})

    def add_parents(self, write: PackageWrite) -> None:
        """Take up the edges that messages ask for. If several messages have the same parent, the last one counts."""
        purl = write.package.ref.purl
        constraints = {parent.element_id: parent.constraints for parent in write.parents}
        self.parents += [
            {"package": purl, "id": element_id, "constraints": text} for element_id, text in constraints.items()
        ]

    def portions(self, limit: int) -> Iterator[dict[str, list[Any]]]:
        """Yield the lists by name, in portions of about `limit` rows. There is at least one portion, and the rows are
        sorted to avoid deadlocks."""
        self.targets = _each_once(self.targets)
        self.created_requirements.sort(key=_purl)
        self.changed_requirements.sort(key=_purl)
        self.parents.sort(key=lambda row: row["id"])
        portion, room = _empty(), limit
        for key in portion:
            for row in _cut(getattr(self, key), limit):
                weight = len(row["edges"]) if isinstance(row, dict) and "edges" in row else 1
                if weight > room:
                    yield portion
                    portion, room = _empty(), limit
                portion[key].append(row)
                room -= weight
        yield portion


@dataclass(frozen=True, slots=True)
class Versions:
    """It holds what the graph has of a package's versions, or of some of them."""

    nodes: dict[str, VersionNode]
    """These are the nodes by the names of the versions."""
    twins: dict[str, list[VersionNode]]
    """These are the other nodes of a name, which upstream's races left. They lose their relationships, so that clients
    find one version. The nodes themselves stay, because other programs may be using their ids."""
    purls: set[str | None]
    """These are the purls that are taken."""

    @classmethod
    def of(cls, identity: Identity) -> Versions:
        """Return the versions that were read with the package's node."""
        nodes: dict[str, VersionNode] = {}
        twins: dict[str, list[VersionNode]] = {}
        versions = identity.node.versions if identity.node else []
        for node in sorted(versions, key=lambda each: (each.properties.get("purl") is None, len(each.id), each.id)):
            if nodes.setdefault(node.name, node) is not node:
                twins.setdefault(node.name, []).append(node)
        return cls(nodes, twins, {node.properties.get("purl") for node in nodes.values()})


class Requirements:
    """It gathers, by target, the requirements of one package's versions that differ from the graph."""

    def __init__(self, difference: Difference, write: PackageWrite, parent: str) -> None:
        """`parent` is what the package's edges carry as their parent."""
        self._difference = difference
        self._write = write
        self._parent = parent
        self._targets: set[str] = set()
        self._created: dict[str, Row] = {}
        self._changed: dict[str, Row] = {}

    def compare(
        self,
        version_purl: str,
        needed: tuple[Requirement, ...] | None,
        node: VersionNode | None,
        twins: list[VersionNode],
        *,
        is_new: bool,
    ) -> list[str]:
        """Take up what one version lacks. Return the ids of the relationships that the version should not have.

        `is_new` says that the transaction creates the version, and that no other version of the write has its purl.
        """
        edges = list(node.edges) if node else []
        waits = list(node.waits) if node else []
        if needed is None:
            wanted = _held(node, twins)
        else:
            wanted = {item.target.purl: (item.target.registry_name, item.constraints) for item in needed}
        present = {edge.purl: edge for edge in reversed(edges) if edge.purl is not None}
        awaited = {wait.purl: wait for wait in reversed(waits)}
        for purl, (name, constraints) in wanted.items():
            edge, wait = present.get(purl), awaited.get(purl)
            if edge is not None and (edge.constraints, edge.parent) == (constraints, self._parent):
                continue
            if edge is None and wait is not None and wait.constraints == constraints:
                if wait.queueable and (self._write.follow or self._write.leave_out is not None):
                    self._target(purl, name)
                continue
            self._target(purl, name)
            self._edges(purl, is_new=is_new).append([version_purl, constraints])
        kept = {edge.id for purl, edge in present.items() if purl in wanted}
        kept |= {wait.id for purl, wait in awaited.items() if purl in wanted and purl not in present}
        unnamed = None if needed is None else {name for item in needed for name in possible_names(item.target)}
        kept |= {edge.id for edge in edges if edge.purl is None and (unnamed is None or edge.name in unnamed)}
        return [held for held in (*(edge.id for edge in edges), *(wait.id for wait in waits)) if held not in kept]

    def _target(self, purl: str, name: str) -> None:
        if purl in self._targets:
            return
        self._targets.add(purl)
        ref, leave_out = self._write.package.ref, self._write.leave_out
        self._difference.targets.append(
            {
                "purl": purl,
                "name": name,
                "ecosystem": ref.ecosystem.name,
                "follow": self._write.follow,
                "leave_out": leave_out is not None,
                "depth": leave_out and leave_out.depth,
                "first": bool(leave_out and leave_out.first),
                "package": ref.purl,
            }
        )

    def _edges(self, purl: str, *, is_new: bool) -> list[list[str]]:
        rows = self._created if is_new else self._changed
        if purl not in rows:
            rows[purl] = {"purl": purl, "parent": self._parent, "edges": []}
            difference = self._difference
            (difference.created_requirements if is_new else difference.changed_requirements).append(rows[purl])
        edges: list[list[str]] = rows[purl]["edges"]
        return edges


def _has_unconfirmed(write: PackageWrite, identity: Identity) -> bool:
    if identity.node is None or not write.package.lists_all_versions:
        return False
    accounted_for = write.gone.union(version.name for version in write.package.versions)
    held = identity.node.versions
    return any(node.name not in accounted_for and not node.properties.get("removed") for node in held)


def _held(node: VersionNode | None, twins: list[VersionNode]) -> dict[str, tuple[str, str]]:
    """Return by purl the requirements that the graph holds, as (name, constraints). Those of the node go before those
    of its twins."""
    held: dict[str, tuple[str, str]] = {}
    for version in [*twins, *([node] if node else [])]:
        held.update((wait.purl, (wait.name, wait.constraints)) for wait in version.waits)
        held.update(
            (edge.purl, (edge.name, edge.constraints or ANY)) for edge in version.edges if edge.purl is not None
        )
    return held


def _empty() -> dict[str, list[Any]]:
    return {each.name: [] for each in fields(Difference)}


def _purl(row: Row) -> str:
    return str(row["purl"])


def _each_once(targets: Iterable[Row]) -> list[Row]:
    """Return each target once, with the row of the package that asks for most. A row that has the target queued asks
    for more than a row that leaves it out."""
    kept: dict[str, Row] = {}
    for row in sorted(targets, key=lambda row: (row["purl"], not row["follow"], not row["leave_out"], _little(row))):
        kept.setdefault(row["purl"], row)
    return list(kept.values())


def _little(row: Row) -> tuple[float, bool]:
    """Return a sort key for a target that is left out: the less the row asks for, the greater is the key."""
    depth = row["depth"]
    return (float("-inf") if depth is None else -depth), row["first"]


def _cut(rows: list[Any], limit: int) -> Iterator[Any]:
    """Yield the rows. A row with more than `limit` edges is split into several rows."""
    for row in rows:
        if isinstance(row, dict) and len(row.get("edges", ())) > limit:
            for start in range(0, len(row["edges"]), limit):
                yield {**row, "edges": row["edges"][start : start + limit]}
        else:
            yield row
