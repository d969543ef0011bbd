"""This module says where the files of a source archive go when it is installed."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from securechain_ingest.registries.pypi.script_types import Find

MAX_DEPTH: Final = 24
"""So many folders around a file are looked at; nobody writes the name of a module that lies deeper."""
_TARGETS_OF_ONE: Final = 4
"""One folder is installed in at most this many folders; no real project has more."""
_MAX_FINDS: Final = 16
_MAX_PATTERNS: Final = 64
_MAX_PATTERN_LENGTH: Final = 100


@dataclass(slots=True)
class Layout:
    """A layout maps paths in the archive to the paths that they get; an empty path is the top. Nothing else is
    installed."""

    trees: dict[str, list[str]] = field(default_factory=dict)
    """These folders are installed with all that is in them."""
    folders: dict[str, list[str]] = field(default_factory=dict)
    """These folders are installed with the files that lie in them directly."""
    files: dict[str, list[str]] = field(default_factory=dict)
    finds: list[Find] = field(default_factory=list)
    excludes: Callable[[str], bool] | None = None
    """It tells which files are left out in any case."""
    natives: list[str] = field(default_factory=list)
    """A compiler makes these modules, which are given as files."""
    is_data: Callable[[str], bool] | None = None
    """It tells which files are installed along with the nearest package that they lie below."""
    is_chosen: bool = False
    """The project itself says what its build takes: where that is nothing, nothing else is installed."""

    def installed(self, paths: Iterable[str], packages: Container[str]) -> Iterator[str]:
        """Yield the paths that files get; `packages` are the folders with an `__init__.py`."""
        yield from self.natives
        finders = [_Finder(find, packages) for find in self.finds[:_MAX_FINDS]]
        for path in paths:
            if self.excludes is not None and self.excludes(path):
                continue
            yield from self.files.get(path, ())
            folder, _, filename = path.rpartition("/")
            for target in self.folders.get(folder, ()):
                yield join(target, filename)
            for around in folders_around(path) if self.trees else ():
                for target in self.trees.get(around, ()):
                    yield join(target, path[len(around) :].lstrip("/"))
            for finder in finders:
                if (found := finder.installed(path)) is not None:
                    yield found
            if self.is_data is not None and self.is_data(path):
                yield from self._with_its_package(path, finders)

    def _with_its_package(self, path: str, finders: Iterable[_Finder]) -> Iterator[str]:
        for around in reversed([*folders_around(path)][1:]):
            rest = path[len(around) + 1 :]
            found = [join(target, rest) for target in self.folders.get(around, ()) if target]
            found += [name for finder in finders if (name := finder.installed(path, around)) is not None]
            if found:
                yield from found
                return


class _Finder:
    """This is setuptools' `find_packages` of one folder; it decides about each folder once."""

    def __init__(self, find: Find, packages: Container[str]) -> None:
        self._prefix = f"{find.where}/" if find.where else ""
        self._find = find
        self._packages = packages
        self._decided: dict[str, bool] = {}

    def installed(self, path: str, package: str | None = None) -> str | None:
        """`package` is the folder to decide about, which is the one around the path if it is None."""
        folder = path.rpartition("/")[0] if package is None else package
        if not path.startswith(self._prefix) or len(folder) < len(self._prefix):
            return None
        if folder not in self._decided:
            self._decided[folder] = self._is_package(folder)
        return path[len(self._prefix) :] if self._decided[folder] else None

    def _is_package(self, folder: str) -> bool:
        name = folder[len(self._prefix) :].replace("/", ".")
        if not name or not (self._find.namespaces or self._is_regular(folder)):
            return False
        return _matches(name, self._find.include) and not _matches(name, self._find.exclude)

    def _is_regular(self, folder: str) -> bool:
        parents = [around for around in folders_around(f"{folder}/x") if len(around) > len(self._prefix)]
        return all(around in self._packages for around in parents)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns[:_MAX_PATTERNS] if len(pattern) < _MAX_PATTERN_LENGTH)


def install(table: dict[str, list[str]], source: str, target: str) -> None:
    """Note that something is installed at a path; a path that points outside of the archive is left out."""
    source, target = normal_path(source) or "", normal_path(target) or ""
    targets = table.setdefault(source, [])
    if len(targets) < _TARGETS_OF_ONE and target not in targets:
        targets.append(target)


def normal_path(path: str) -> str | None:
    """Return a path without dots. The result is empty for the top, and None if the path points outside."""
    path = posixpath.normpath(path.replace("\\", "/")) if path else "."
    if path.startswith(("/", "..")) or path[1:2] == ":":
        return None
    return "" if path == "." else path


def is_init(path: str) -> bool:
    """Return whether a file makes its folder a package, whatever the file's suffix."""
    return path.rpartition("/")[2].partition(".")[0] == "__init__"


def join(folder: str, rest: str) -> str:
    """Return a path below a folder. Either may be empty, which stands for the top."""
    return f"{folder}/{rest}" if folder and rest else folder or rest


def folders_around(path: str) -> Iterator[str]:
    """Yield the folders that a path lies in, the top as an empty one. Below `MAX_DEPTH` folders nothing is yielded."""
    yield ""
    position = path.find("/")
    for _ in range(MAX_DEPTH):
        if position < 0:
            return
        yield path[:position]
        position = path.find("/", position + 1)


def merged(*tables: object) -> Mapping[str, object]:
    """Return one table laid over the other. A value that is not a table counts as an empty one."""
    return {key: value for table in tables if isinstance(table, dict) for key, value in table.items()}
