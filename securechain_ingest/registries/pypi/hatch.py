"""This module reads from pyproject.toml or hatch.toml what hatchling puts into a wheel (its documentation, "Build
configuration" and "Wheel builder")."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from securechain_ingest.registries.pypi.file_patterns import gitignore
from securechain_ingest.registries.pypi.layout import Layout, folders_around, install, join, merged, normal_path
from securechain_ingest.registries.pypi.script_types import strings
from securechain_ingest.registries.pypi.source_project import SourceProject

_ALWAYS_EXCLUDED: Final = ("/dist",)
_CHOICES: Final = frozenset(
    {"packages", "only-include", "include", "exclude", "only-packages", "artifacts", "force-include"}
    | {"bypass-selection"}
)
"""With one of these options hatchling builds a wheel even if nothing is in it."""


def hatch_layout(project: SourceProject, configuration: Mapping[str, object]) -> Layout:
    """Return what hatchling installs. `configuration` is the table `tool.hatch.build`, or `build` of hatch.toml."""
    wheel = project.table(configuration, "targets", "wheel")
    options = merged(configuration, wheel)
    packages, only = _folders(options.get("packages")), _folders(options.get("only-include"))
    include = strings(options.get("include"))
    forced = {normal_path(source): target for source, target in merged(options.get("force-include")).items()}
    layout = Layout(is_chosen=not _CHOICES.isdisjoint(options))
    if not (packages or only or include):
        packages, only = _found_by_name(project)
    moved = _mover(options.get("sources"), packages)
    excluded = gitignore((*_ALWAYS_EXCLUDED, *strings(options.get("exclude"))))
    artifacts = gitignore(strings(options.get("artifacts")))
    included = gitignore(include)
    explicit = frozenset(only or packages)
    has_packages_alone = options.get("only-packages") is True
    # What is put elsewhere is not where it was.
    reserved = {moved(source) for source in forced if source}

    for path in project.paths:
        if explicit and path not in explicit and explicit.isdisjoint(folders_around(path)):
            continue
        is_asked_for = bool(explicit) or included.hold(path)
        is_in_package = not has_packages_alone or path.rpartition("/")[0] in project.packages
        if not (artifacts.hold(path) or (is_asked_for and is_in_package and not excluded.hold(path))):
            continue
        if (target := moved(path)) not in reserved:
            install(layout.files, path, target)
    for source, destination in forced.items():
        if source and isinstance(destination, str):
            path = moved(normal_path(destination.strip("/")) or "")
            install(layout.files if source in project.paths else layout.trees, source, path)
    return layout


def _folders(value: object) -> list[str]:
    paths = (normal_path(text.strip("/")) for text in strings(value))
    return [path for path in paths if path]


def _found_by_name(project: SourceProject) -> tuple[list[str], list[str]]:
    """Return the packages and the other files that hatchling finds by the project's name."""
    for folder in (project.spelled(path) for path in (project.name, f"src/{project.name}")):
        if folder in project.packages:
            return [folder], []
    if (module := f"{project.name}.py") in project.paths:
        return [], [module]
    spaces = [path for path in project.packages if path.count("/") == 1 and path.endswith(f"/{project.name}")]
    return [path.partition("/")[0] for path in spaces], []


def _mover(sources: object, packages: Iterable[str]) -> Callable[[str], str]:
    """The result tells where a file goes: hatchling's `sources` are a list of prefixes that are taken away, or a table
    of new ones, and from a package's path all but the last folder is taken away."""
    table = dict.fromkeys(strings(sources), "") if isinstance(sources, list) else merged(sources)
    read = ((normal_path(prefix.strip("/")), target) for prefix, target in table.items())
    prefixes = {prefix: target.strip("/") for prefix, target in read if prefix is not None and isinstance(target, str)}
    for package in packages:
        around = package.rpartition("/")[0]
        if around and package not in prefixes:
            prefixes[around] = ""

    def moved(path: str) -> str:
        # hatchling takes the first of the sorted prefixes, which is the shortest.
        for prefix in folders_around(path):
            if prefix in prefixes:
                return join(prefixes[prefix], path[len(prefix) :].lstrip("/"))
        return path

    return moved
