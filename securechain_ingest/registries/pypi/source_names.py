"""This module says what can be imported once a source archive is installed, without running anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import BinaryIO, Final, TypeAlias

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.tars import iterate_tar
from securechain_ingest.archives.zips import open_zip
from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.model import ImportNames
from securechain_ingest.registries.pypi.backends import layout_by_backend
from securechain_ingest.registries.pypi.import_names import (
    EXCLUDED_FOLDERS,
    MAX_PATH_LENGTH,
    declared_names,
    is_importable,
    module_of,
    names_of,
)
from securechain_ingest.registries.pypi.ini_files import read_ini
from securechain_ingest.registries.pypi.layout import Layout, folders_around, install, is_init, normal_path
from securechain_ingest.registries.pypi.native_modules import native_modules
from securechain_ingest.registries.pypi.script_types import Value
from securechain_ingest.registries.pypi.setup_script import setup_arguments
from securechain_ingest.registries.pypi.setuptools_layout import data_of, discovered, layout_of, setuptools_config
from securechain_ingest.registries.pypi.source_project import SourceProject
from securechain_ingest.registries.pypi.toml_files import read_toml

_ROOTS: Final = ("src", "lib", "")
# Beside setup.py there are scripts and folders that are not installed.
_NOT_INSTALLED: Final = frozenset(
    {"benchmark", "benchmarks", "build", "ci", "conftest", "dist", "distribute_setup", "doc", "documentation"}
    | {"ez_setup", "fabfile", "noxfile", "run_tests", "runtests", "samples", "scripts", "setup", "tasks", "tools"}
    | {"versioneer"}
)
_C_SUFFIXES: Final = (".c", ".cc", ".cpp", ".cxx")
_SUFFIXES: Final = (".py", ".pyx", ".so", *_C_SUFFIXES)

_NAME: Final = re.compile(rb"^Name:[ \t]*([A-Za-z0-9._-]{1,200})[ \t\r]*$", re.MULTILINE)

_Members: TypeAlias = Iterator[tuple[str, Callable[[], bytes]]]
"""Each name comes with a function that reads the member; it is to be called before the next name is asked for."""


_MAX_LISTS: Final = 16
"""One archive has at most this many lists of top-level names; real ones have one."""
_MAX_LIST_BYTES: Final = 64 * 1024
_MAX_SOURCES_BYTES: Final = 2 * 1024 * 1024
_MAX_LISTED: Final = 20_000
"""With more paths than these no further list of sources is read."""
_CONFIGURATIONS: Final = ("PKG-INFO", "setup.py", "setup.cfg", "pyproject.toml", "hatch.toml")


@dataclass(slots=True)
class _Source:
    """These are the parts of a source archive from which its names follow."""

    paths: list[str] = field(default_factory=list)
    stubs: set[str] = field(default_factory=set)
    """These are the paths of `.pyi` files, without the suffix."""
    texts: dict[str, bytes] = field(default_factory=dict)
    """The files that say what is installed are kept here, by path."""
    top_level: dict[str, bytes] = field(default_factory=dict)
    """This maps the path of each `top_level.txt` to its contents."""
    listed: set[str] = field(default_factory=set)
    """setuptools has written these paths into its `SOURCES.txt`."""
    tops: set[str] = field(default_factory=set)
    """These are the first parts of all paths."""


def read_sdist(file: BinaryIO, limits: ArchiveLimits, filename: str, fallback: tuple[str, ...]) -> ImportNames:
    """Return the names in an sdist, which its filename shows to be zip or tar. Without any they are `fallback`. It
    raises ArchiveRefused."""
    source = _Source()
    is_zip = filename.lower().endswith(".zip")
    left_out = 0
    for name, read in _zip_members(file, limits) if is_zip else _tar_members(file, limits):
        if len(name) > MAX_PATH_LENGTH:
            left_out += 1
        else:
            _take(source, name, partial(_contents, read, is_zip=is_zip))
    source = _below_its_folder(source)
    metadata = source.texts.get("PKG-INFO")
    declared = declared_names(metadata) if metadata is not None else None
    names = names_of(_modules(source, fallback), declared, left_out=left_out)
    return names if names.names else replace(names, names=fallback)


def _tar_members(file: BinaryIO, limits: ArchiveLimits) -> _Members:
    for member in iterate_tar(file, limits):
        if member.is_file:
            yield member.name, member.read


def _zip_members(file: BinaryIO, limits: ArchiveLimits) -> _Members:
    listing = open_zip(file, limits)
    for name in listing.names():
        yield name, partial(listing.read, name)


def _contents(read: Callable[[], bytes], *, is_zip: bool) -> bytes:
    """The result is empty for a member that is too large or, in a zip, cannot be read: the names of the others
    stand."""
    try:
        return read()
    except ArchiveRefused as error:
        if is_zip or error.reason == "member_too_large":
            return b""
        raise


def _take(source: _Source, name: str, read: Callable[[], bytes]) -> None:
    path = "/".join(part for part in name.split("/") if part not in ("", "."))
    folder, _, filename = path.rpartition("/")
    if filename[:2] == "._" or filename == ".DS_Store":
        return  # what macOS leaves beside every file
    source.tops.add(path.partition("/")[0])
    if filename in _CONFIGURATIONS and folder.count("/") < 1:
        source.texts[path] = read()
    elif filename == "top_level.txt" and folder.endswith(".egg-info") and folder.count("/") < 3:
        # Further down they are test data.
        if len(source.top_level) < _MAX_LISTS:
            source.top_level[path] = read()[:_MAX_LIST_BYTES]
    elif filename == "SOURCES.txt" and folder.endswith(".egg-info") and folder.count("/") < 3:
        if len(source.listed) < _MAX_LISTED:
            lines = read()[:_MAX_SOURCES_BYTES].decode("utf-8", "replace").splitlines()
            source.listed.update(filter(None, map(normal_path, lines)))
    elif filename.endswith(".pyi"):
        source.stubs.add(path.removesuffix(".pyi"))
    elif filename.endswith(_SUFFIXES):
        source.paths.append(path)


def _below_its_folder(source: _Source) -> _Source:
    """pip unpacks the archive so: without the one folder around everything, if there is one."""
    if len(source.tops) > 1 and not source.texts.keys().isdisjoint(_CONFIGURATIONS):
        return source

    def below(path: str) -> str:
        return path.partition("/")[2]

    return _Source(
        paths=[path for path in map(below, source.paths) if path],
        stubs=set(map(below, source.stubs)),
        listed=source.listed,
        texts={below(path): text for path, text in source.texts.items()},
        top_level={below(path): text for path, text in source.top_level.items() if below(path).count("/") < 3},
    )


def _modules(source: _Source, own_names: tuple[str, ...]) -> Iterator[str]:
    """The project's configuration or else the layout of its files says what is installed; setuptools' own list of
    top-level names decides where there is one."""
    script = source.texts.get("setup.py", b"")
    arguments = setup_arguments(script)
    paths = [built for path in source.paths if path != "setup.py" and (built := _built_path(source, path)) is not None]
    document, hatch = (read_toml(source.texts.get(name, b"")) for name in ("pyproject.toml", "hatch.toml"))
    project = SourceProject(document, next(iter(own_names), ""), paths, hatch=hatch)
    tops = _top_level_names(source)
    layout, root = _layout(source, project, arguments)
    extensions = native_modules(script, arguments or {}, project)
    files = chain(extensions, layout.installed(paths, project.packages)) if layout is not None else ()
    installed = list(_importable(files))
    if tops:
        installed = [module for module in installed if module.partition(".")[0] in tops]
        yield from tops
    if installed:
        yield from installed
    elif tops:
        yield from _guessed_by_names(source, tops, paths, extensions)
    elif layout is None or not layout.is_chosen:
        yield from _guessed(paths, extensions, own_names, root)


def _layout(
    source: _Source, project: SourceProject, arguments: Mapping[str, Value] | None
) -> tuple[Layout | None, str | None]:
    """Return the layout that the configuration describes and, where only that is known, the folder of all packages."""
    layout = layout_by_backend(project)
    if layout is not None:
        return layout, None
    script = source.texts.get("setup.py", b"")
    config = setuptools_config(project, arguments or {}, read_ini(source.texts.get("setup.cfg", b"")))
    layout = layout_of(config, project)
    # What a script hands on with `**` may name packages.
    is_understood = not script or (arguments is not None and b"**" not in script)
    if layout is None and is_understood:
        layout = discovered(config, project)
    if layout is not None:
        layout.is_chosen &= is_understood
        layout.is_data = data_of(config, project, source.listed)
    return layout, config.root


def _top_level_names(source: _Source) -> set[str]:
    lines = (line for body in source.top_level.values() for line in body.decode("utf-8", "replace").split())
    return {line for line in lines if is_importable(line) and line not in EXCLUDED_FOLDERS}


def _guessed_by_names(source: _Source, tops: set[str], paths: list[str], extensions: list[str]) -> Iterator[str]:
    """These modules lie below the names that setuptools installed, in the folders where packages lie."""
    roots = {*_ROOTS, *(path.rpartition("/")[0].rpartition("/")[0] for path in source.top_level)}
    below = [path[len(root) :].lstrip("/") for path in paths for root in folders_around(path) if root in roots]
    found = [module for module in _importable(chain(extensions, below)) if module.partition(".")[0] in tops]
    yield from found
    # A package whose folder is called otherwise.
    missing = tops - {module.partition(".")[0] for module in found}
    others = [folder for folder in _packages_at_the_top(paths) if folder not in tops and _is_installed(folder)]
    if len(missing) == 1 and others[:1] == [""] and any(map(_is_module_of_the_archive, paths)):
        yield from _renamed(paths, "", _own_package(source, *missing))
    elif len(missing) == len(others) == 1:
        yield from _renamed(paths, others[0], *missing)


def _is_module_of_the_archive(path: str) -> bool:
    """With an `__init__.py` beside such a module the archive's folder is the package itself."""
    return "/" not in path and path.endswith(".py") and not is_init(path) and _is_installed(path[:-3])


def _own_package(source: _Source, top: str) -> str:
    """Return the package below the top-level one that a dotted name (`ruamel.yaml`) tells, or the top-level one."""
    name = _NAME.search(source.texts.get("PKG-INFO", b""))
    dotted = name[1].decode().replace("-", "_") if name else top
    return dotted if dotted.startswith(f"{top}.") else top


def _guessed(paths: list[str], extensions: list[str], own_names: tuple[str, ...], root: str | None) -> Iterator[str]:
    """Return the packages and, unless one module has the project's name, the modules beside them."""
    root = _root(paths) if root is None else root
    below = [path[len(root) :].lstrip("/") for path in paths if not root or path.startswith(f"{root}/")]
    packages = {path.partition("/")[0] for path in below if path.endswith("/__init__.py")}
    modules = [module for module in _importable(chain(extensions, below)) if _is_installed(module.partition(".")[0])]
    if "__init__.py" in below and own_names and packages.isdisjoint(own_names):
        # The archive's folder is the package itself.
        yield from _renamed([path for path in paths if _is_installed(re.split("[/.]", path)[0])], "", own_names[0])
        return
    is_named = not packages.isdisjoint(own_names) or not set(modules).isdisjoint(own_names)
    for module in modules:
        top, dot, _ = module.partition(".")
        if top in packages or top in own_names or not (is_named or (dot and not root)):
            yield module


def _packages_at_the_top(paths: list[str]) -> list[str]:
    return sorted({path.rpartition("/")[0] for path in paths if path.count("/") < 2 and is_init(path)})


def _renamed(paths: list[str], folder: str, package: str) -> Iterator[str]:
    layout = Layout()
    install(layout.trees, folder, package.replace(".", "/"))
    return _importable(layout.installed(paths, ()))


def _importable(paths: Iterable[str]) -> Iterator[str]:
    return (module for path in paths if (module := module_of(path)) is not None)


def _built_path(source: _Source, path: str) -> str | None:
    """Return the file that installing makes: a native module from Cython, and from C where a stub says that there is
    one."""
    stem, _, suffix = path.rpartition(".")
    if suffix == "pyx" or (path.endswith(_C_SUFFIXES) and stem in source.stubs):
        return f"{stem}.py"
    return None if path.endswith(_C_SUFFIXES) else path


def _root(paths: list[str]) -> str:
    """Return the folder whose contents are installed: it has packages in it and is not a package itself."""
    for root in ("src", "lib"):
        below = [path for path in paths if path.startswith(f"{root}/")]
        has_modules = any(path.endswith("/__init__.py") or (root == "src" and path.count("/") == 1) for path in below)
        if has_modules and f"{root}/__init__.py" not in below:
            return root
    return ""


def _is_installed(top: str) -> bool:
    return not (top in _NOT_INSTALLED or top.startswith("test_") or top.endswith(("_test", "_tests")))
