"""This module decides which node stands for a package. It is the node with the purl, or else an older node with any
spelling of the name (contract, section 1.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from securechain_ingest.graph.nodes import PackageNode
from securechain_ingest.model import Ecosystem, PackageRef


@dataclass(frozen=True, slots=True)
class Identity:
    """It is the decision for one package."""

    node: PackageNode | None
    """This node is to be used. None stands for a new node."""
    name: str
    """This is the `name` of the package from now on."""
    renamed: PackageNode | None
    """This is another package, which has to give up that name and take its own spelling."""


def possible_names(ref: PackageRef) -> tuple[str, ...]:
    """Return every `name` under which an older graph may hold the package. The right one comes first."""
    return tuple(dict.fromkeys((ref.name, ref.registry_name, *ref.ecosystem.older_spellings(ref.name))))


def identify(ref: PackageRef, candidates: Iterable[PackageNode]) -> Identity:
    """Return which of the nodes that carry the purl or one of the spellings is the package's, and the name that it
    gets.

    If two packages differ in case only, the one that is lower-case in its registry owns the lower-case name, and the
    other one keeps its own spelling. It does not matter which of them came first.
    """
    candidates = list(candidates)
    ours = [node for node in candidates if node.purl == ref.purl]
    if not ours:
        order = possible_names(ref)
        ours = sorted(
            (node for node in candidates if node.purl is None and node.name in order),
            key=lambda node: (order.index(node.name), node.id),
        )
    node = ours[0] if ours else None
    holder = next((other for other in candidates if other is not node and other.name == ref.name), None)
    if holder is None:
        return Identity(node, ref.name, None)
    if holder.purl is not None and ref.registry_name == ref.name and registry_spelling(holder) != ref.name:
        return Identity(node, ref.name, holder)
    return Identity(node, node.name if node else ref.registry_name, None)


def registry_spelling(node: PackageNode) -> str:
    """Return a package's name as its registry spells it: its `name`, too, if it has to give up the lower-case one."""
    return node.registry_name or node.name


def reference(ecosystem: Ecosystem, registry_name: str, purl: str) -> PackageRef:
    """Return a package reference from what the graph holds about a package."""
    return PackageRef(ecosystem, registry_name, registry_name.lower(), purl)


def version_purl(package_purl: str, version: str) -> str:
    """Return the purl of a version that only the graph knows (contract, section 1.2)."""
    return f"{package_purl}@{quote(version, safe=':')}"
