"""This module follows what a version requires, level by level, as far as a picture can show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from securechain_ingest.graph.lookups import Lookups, RequiredPackage
from securechain_ingest.model import Ecosystem

MOST_NODES: Final = 200
MOST_LEVELS: Final = 8
_MOST_EDGES: Final = 1_000


@dataclass(slots=True)
class RequirementNode:
    """This is one package of the tree. Below the root its newest version stands for it."""

    purl: str
    level: int
    """The root has level 0, what it requires level 1, and so on; a package stands on its first level."""
    version: str | None = None
    """This is the purl of the version that stands for the package. It is None if the package is not in the graph."""
    vulnerabilities: tuple[str, ...] = ()
    is_pending: bool = False
    """The requirements of that version have not been read yet."""


@dataclass(slots=True)
class RequirementTree:
    """This is what a version requires, directly and by others."""

    nodes: dict[str, RequirementNode]
    """This has the nodes by the purls of their packages; the root comes first, and then level by level."""
    edges: list[tuple[str, str, str]] = field(default_factory=list)
    """Each edge has the requiring package's purl, the required one's, and the constraints."""
    is_cut: bool = False
    """There is more than the tree may hold."""

    def levels(self) -> list[list[RequirementNode]]:
        """Return the nodes of each level."""
        found: list[list[RequirementNode]] = []
        for node in self.nodes.values():
            if node.level == len(found):
                found.append([])
            found[node.level].append(node)
        return found


async def requirement_tree(
    lookups: Lookups, ecosystem: Ecosystem, package: str, version: str, vulnerabilities: Sequence[str]
) -> RequirementTree:
    """Return what a version (`version` is its purl, `package` its package's) requires: at most MOST_NODES packages on
    at most MOST_LEVELS levels.

    The graph is asked three times a level. Raise StoreError.
    """
    tree = RequirementTree({package: RequirementNode(package, 0, version, tuple(vulnerabilities))})
    asked = {version: package}
    for level in range(1, MOST_LEVELS + 1):
        if not asked:
            return tree
        required = await lookups.required(asked, _MOST_EDGES)
        new = _add(tree, asked, required, level)
        newest = await lookups.newest(ecosystem, new) if new else {}
        asked = {}
        for purl, found in newest.items():
            node = tree.nodes[purl]
            node.version, node.vulnerabilities, node.is_pending = found.purl, found.vulnerabilities, found.is_pending
            asked[found.purl] = purl
    tree.is_cut = tree.is_cut or bool(asked)
    return tree


def _add(
    tree: RequirementTree, asked: dict[str, str], required: Sequence[RequiredPackage], level: int
) -> dict[str, RequirementNode]:
    new: dict[str, RequirementNode] = {}
    for each in sorted(required, key=lambda one: (one.version, one.purl)):
        if each.purl is None:
            continue  # Another program wrote the node.
        if each.purl not in tree.nodes:
            if len(tree.nodes) >= MOST_NODES:
                tree.is_cut = True
                continue
            tree.nodes[each.purl] = RequirementNode(each.purl, level)
            if each.is_present:
                new[each.purl] = tree.nodes[each.purl]
        if len(tree.edges) < _MOST_EDGES:
            tree.edges.append((asked[each.version], each.purl, each.constraints))
        else:
            tree.is_cut = True
    return new
