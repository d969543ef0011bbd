"""A package of the graph as a tree in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.tree import Tree

from securechain_ingest.graph.view import PackageView, VersionView

_SHOWN = 10
"""Of each list; the graph holds all of it."""


def package_tree(package: PackageView, unknown: str | None = None) -> Tree:
    """Versions (newest first), what the newest one requires, import names, vulnerabilities.

    `unknown` says why nothing is known of the vulnerabilities, or not of all of them.
    """
    tree = Tree(f"[bold]{escape(package.purl)}[/bold]")
    tree.add(escape(f"repository {package.repository_url}, vendor {package.vendor}"))
    newest_first = list(reversed(package.versions))
    _list(tree, f"{len(newest_first)} versions", [_version_line(version) for version in newest_first])
    if newest_first:
        newest = newest_first[0]
        lines = [
            f"{requirement.purl} {requirement.constraints}{'' if requirement.present else '  (not in the graph yet)'}"
            for requirement in newest.requirements
        ]
        _list(tree, f"{newest.name} requires {len(lines)} packages", lines)
    names = _list(tree, f"{len(package.import_names)} import names", package.import_names)
    if package.import_names_error:
        names.add(f"[yellow]{escape(package.import_names_error)}[/yellow]")
    vulnerable = [version for version in newest_first if version.vulnerabilities]
    _list(
        tree,
        _vulnerable_title(len(vulnerable), unknown),
        [f"{version.name}: {', '.join(version.vulnerabilities)} (mean {version.mean})" for version in vulnerable],
    )
    return tree


def _vulnerable_title(count: int, unknown: str | None) -> str:
    if unknown is None:
        return f"{count} versions with known vulnerabilities"
    return f"versions with known vulnerabilities: {f'at least {count}, the rest ' if count else ''}{unknown}"


def _version_line(version: VersionView) -> str:
    return f"{version.name}  {version.release_date or 'no date'}"


def _list(tree: Tree, title: str, lines: Sequence[str]) -> Tree:
    branch = tree.add(escape(title))
    for line in lines[:_SHOWN]:
        branch.add(escape(line))
    if len(lines) > _SHOWN:
        branch.add(f"… and {len(lines) - _SHOWN} more")
    return branch
