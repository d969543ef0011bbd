"""What can be imported once a source archive is installed, as far as its files tell without running anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import BinaryIO, Final, TypeAlias

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.tars import iterate_tar
from securechain_ingest.archives.zips import open_zip
from securechain_ingest.model import ImportNames
from securechain_ingest.registries.pypi.import_names import (
    EXCLUDED_FOLDERS,
    declared_names,
    is_importable,
    module_of,
    names_of,
)

_ROOTS: Final = ("src", "lib", "")
# Beside setup.py there are scripts and folders that are not installed.
_NOT_INSTALLED: Final = frozenset(
    {"benchmark", "benchmarks", "build", "ci", "conftest", "dist", "distribute_setup", "doc", "documentation"}
    | {"ez_setup", "fabfile", "noxfile", "run_tests", "runtests", "samples", "scripts", "setup", "tasks", "tools"}
    | {"versioneer"}
)
_C_SUFFIXES: Final = (".c", ".cc", ".cpp", ".cxx")
_SUFFIXES: Final = (".py", ".pyx", ".so", *_C_SUFFIXES)

# A call in a setup.py that is not run: setuptools' documentation, "Building Extension Modules".
_EXTENSION: Final = re.compile(rb"""\bExtension\(\s*(?:name\s*=\s*)?["']([A-Za-z_][\w.]*)["']""")

_Members: TypeAlias = Iterator[tuple[str, Callable[[], bytes]]]
"""Names, each with what reads that member, to be called before the next one is asked for."""


@dataclass(slots=True)
class _Source:
    """What of a source archive matters, by paths below its one top folder."""

    paths: list[str] = field(default_factory=list)
    stubs: set[str] = field(default_factory=set)
    """Paths of `.pyi` files without the suffix."""
    extensions: list[str] = field(default_factory=list)
    """Native modules that setup.py builds, as paths below what is installed."""
    metadata: bytes | None = None
    top_level: dict[str, bytes] = field(default_factory=dict)
    """Contents of each `top_level.txt` by the folder that its egg-info lies in."""


def read_sdist(file: BinaryIO, limits: ArchiveLimits, filename: str, fallback: tuple[str, ...]) -> ImportNames:
    """The names in an sdist, zip or tar by its filename; `fallback` if there are none. Raises ArchiveRefused."""
    source = _Source()
    members = _zip_members(file, limits) if filename.lower().endswith(".zip") else _tar_members(file, limits)
    for name, read in members:
        _take(source, name.partition("/")[2], read)
    declared = declared_names(source.metadata) if source.metadata is not None else None
    names = names_of(_modules(source, fallback), declared)
    return names if names.names else ImportNames(fallback)


def _tar_members(file: BinaryIO, limits: ArchiveLimits) -> _Members:
    for member in iterate_tar(file, limits):
        if member.is_file:
            yield member.name, member.read


def _zip_members(file: BinaryIO, limits: ArchiveLimits) -> _Members:
    listing = open_zip(file, limits)
    for name in listing.names():
        yield name, partial(listing.read, name)


def _take(source: _Source, path: str, read: Callable[[], bytes]) -> None:
    folder, _, filename = path.rpartition("/")
    if path == "PKG-INFO":
        source.metadata = read()
    elif path == "setup.py":
        source.extensions += (name.decode().replace(".", "/") + ".py" for name in _EXTENSION.findall(read()))
    elif filename == "top_level.txt" and folder.endswith(".egg-info") and folder.count("/") < 2:
        # Further down they are test data.
        source.top_level[folder.rpartition("/")[0]] = read()
    elif filename.endswith(".pyi"):
        source.stubs.add(path.removesuffix(".pyi"))
    elif filename.endswith(_SUFFIXES):
        source.paths.append(path)


def _modules(source: _Source, own_names: tuple[str, ...]) -> Iterator[str]:
    """Modules below the roots; setuptools' list of top-level names decides, or else the layout: packages and, unless
    one module is named as the project, the modules beside them.
    """
    tops = {
        line
        for body in source.top_level.values()
        for line in body.decode("utf-8", "replace").split()
        if is_importable(line) and line not in EXCLUDED_FOLDERS
    }
    paths = [built for path in source.paths if (built := _built_path(source, path)) is not None]
    extensions = _below("", source.extensions)
    if tops:
        yield from tops
        found = chain(extensions, *(_below(root, paths) for root in {*_ROOTS, *source.top_level}))
        yield from (module for module in found if module.partition(".")[0] in tops)
    else:
        root = _root(paths)
        packages = {path.removeprefix(f"{root}/").partition("/")[0] for path in paths if path.endswith("/__init__.py")}
        found = chain(extensions, _below(root, paths))
        modules = [module for module in found if _is_installed(module.partition(".")[0])]
        is_named = not packages.isdisjoint(own_names) or not set(modules).isdisjoint(own_names)
        for module in modules:
            top, dot, _ = module.partition(".")
            if top in packages or top in own_names or not (is_named or (dot and not root)):
                yield module


def _built_path(source: _Source, path: str) -> str | None:
    """The file that installing makes of one: a native module of Cython, and of C where a stub says that it is one."""
    stem, _, suffix = path.rpartition(".")
    if suffix == "pyx" or (path.endswith(_C_SUFFIXES) and stem in source.stubs):
        return f"{stem}.py"
    return None if path.endswith(_C_SUFFIXES) else path


def _root(paths: list[str]) -> str:
    """The folder whose contents are installed: one with packages in it that is none itself."""
    for root in ("src", "lib"):
        below = [path for path in paths if path.startswith(f"{root}/")]
        has_modules = any(path.endswith("/__init__.py") or (root == "src" and path.count("/") == 1) for path in below)
        if has_modules and f"{root}/__init__.py" not in below:
            return root
    return ""


def _below(root: str, paths: list[str]) -> Iterator[str]:
    prefix = f"{root}/" if root else ""
    for path in paths:
        if path.startswith(prefix) and (module := module_of(path.removeprefix(prefix))) is not None:
            yield module


def _is_installed(top: str) -> bool:
    return not (top in _NOT_INSTALLED or top.startswith("test_") or top.endswith(("_test", "_tests")))
