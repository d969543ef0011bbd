"""This module reads from pyproject.toml how the backend that builds a source archive lays out its files.

Formats: the documentation of hatchling ("Build configuration", "Wheel builder"), poetry-core ("packages"), flit_core
("Module section"), pdm-backend ("Build configuration"), maturin ("Project layout"), scikit-build-core ("packages")
and uv's build backend ("Modules"). What a project does not say its backend finds by the project's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import dropwhile
from typing import Any, Final

from securechain_ingest.registries.pypi.file_patterns import FilePatterns, gitignore, globs, whole_paths
from securechain_ingest.registries.pypi.hatch import hatch_layout
from securechain_ingest.registries.pypi.layout import Layout, folders_around, install, join, merged, normal_path
from securechain_ingest.registries.pypi.script_types import strings
from securechain_ingest.registries.pypi.source_project import SourceProject

_ROOTS: Final = ("", "src", "python", "lib")
_FOR_SETUPTOOLS: Final = "scikit_build_core.setuptools"
"""This backend of scikit-build-core has setuptools choose the packages."""
_MAX_TABLES: Final = 64
"""poetry's packages and other files beyond these are passed over."""


def layout_by_backend(project: SourceProject) -> Layout | None:
    """Return what the project's build backend installs. The result is None for a backend that is not known here
    (setuptools is read elsewhere)."""
    backend = SourceProject.table(project.document, "build-system").get("build-backend")
    if isinstance(backend, str) and not backend.startswith(_FOR_SETUPTOOLS):
        for prefix, read in _BACKENDS.items():
            if backend.startswith(prefix):
                return read(project)
    return None


def _add(layout: Layout, source: str, target: str, project: SourceProject) -> None:
    """Add a folder with all that is in it, or a file."""
    path = normal_path(source)
    if path is None or normal_path(target) is None:
        return
    install(layout.files if path in project.paths else layout.trees, path, target)


def _add_matching(layout: Layout, patterns: FilePatterns, target: Callable[[str], str], project: SourceProject) -> bool:
    """Add each file that the patterns mean and that has no place yet, which `target` tells. Return whether they mean
    any."""
    found = [path for path in project.paths if patterns.hold(path)]
    for path in found:
        if path not in layout.files:
            install(layout.files, path, target(path))
    return bool(found)


def _add_module(layout: Layout, name: str, project: SourceProject, roots: Iterable[str] = _ROOTS) -> bool:
    """Add the package or module of a dotted name if one of the folders has it, and return whether one has."""
    found = _module(name, project, roots)
    if found is not None:
        root, path = found
        _add(layout, path, path[len(root) :].lstrip("/"), project)
    return found is not None


def _module(name: str, project: SourceProject, roots: Iterable[str]) -> tuple[str, str] | None:
    """Return the first of the folders in which a dotted name is, and the path of that package or module; another case
    of its letters counts only where none has it."""
    path = name.replace(".", "/")
    candidates = [(root, join(root, end)) for root in roots for end in (path, f"{path}.py")]
    for spelled in (str, project.spelled):
        for root, candidate in candidates:
            if project.is_there(found := spelled(candidate)):
                return root, found
    return None


def _hatch(project: SourceProject) -> Layout:
    return hatch_layout(project, merged(project.hatch.get("build", project.tool("hatch", "build"))))


def _poetry(project: SourceProject) -> Layout:
    layout = Layout()
    options = project.tool("poetry")
    packages = [table for table in _tables(options.get("packages")) if _is_in_wheels(table.get("format", "wheel"))]
    others = [table.get("path") for table in _tables(options.get("include")) if _is_in_wheels(table.get("format"))]
    if not packages and (found := _module(project.name, project, ("", "src"))) is not None:
        root, path = found
        packages = [{"include": path[len(root) :].lstrip("/"), "from": root}]
    # A file goes where the first that means it puts it, and what is asked for by itself is not left out.
    asked_for = [globs(strings([path])) for path in others[:_MAX_TABLES]]
    excluded = globs(strings(options.get("exclude")))
    layout.excludes = lambda path: excluded.hold(path) and not any(patterns.hold(path) for patterns in asked_for)
    for table in packages[:_MAX_TABLES]:
        include, source, target = (str(table.get(key, "")) for key in ("include", "from", "to"))
        if (folder := normal_path(source)) is None or normal_path(target) is None:
            continue  # it lies outside of the archive
        move = partial(_moved, f"{folder}/" if folder else "", target)
        layout.is_chosen |= _add_matching(layout, globs([include], folder), move, project)
    for patterns in asked_for:
        _add_matching(layout, patterns, str, project)
    return layout


def _is_in_wheels(formats: object) -> bool:
    return "wheel" in ([formats] if isinstance(formats, str) else strings(formats))


def _moved(root: str, target: str, path: str) -> str:
    return join(target, path.removeprefix(root))


def _tables(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _flit(project: SourceProject) -> Layout:
    layout = Layout()
    declared = project.tool("flit", "module").get("name") or project.tool("flit", "metadata").get("module")
    name = declared if isinstance(declared, str) else project.dotted_name
    layout.is_chosen = _add_module(layout, name, project, ("", "src"))
    return layout


def _pdm(project: SourceProject) -> Layout:
    options = merged(project.tool("pdm"), project.tool("pdm", "build"))
    declared = options.get("package-dir")
    includes = strings(options.get("includes"))
    excludes = (*strings(options.get("excludes")), *strings(options.get("source-includes")))
    is_in_src = any(f"{normal_path(path)}/".startswith("src/") for path in includes) or not includes
    root = "src" if is_in_src and "src" in project.folders and not {"src", "src/"} & {*excludes} else ""
    root = (normal_path(declared) or "") if isinstance(declared, str) else root
    # pdm takes the folder from the beginning of a path only where it is written as the path is: `./src` stays.
    is_taken_away = bool(root) and declared in (None, root)
    layout = Layout(excludes=globs(excludes).hold, is_chosen=True)
    if included := globs(includes):
        _add_matching(layout, included, partial(_moved, f"{root}/" if is_taken_away else "", ""), project)
    elif packages := [folder for folder in project.packages if folder and folder.rpartition("/")[0] == root]:
        for folder in packages:
            _add(layout, folder, folder.removeprefix(f"{root}/") if is_taken_away else folder, project)
    else:
        install(layout.folders, root, "" if is_taken_away else root)
    return layout


def _maturin(project: SourceProject) -> Layout:
    options = project.tool("maturin")
    declared, source = options.get("module-name"), options.get("python-source")
    module = declared if isinstance(declared, str) else project.name
    layout = Layout()
    roots = (source,) if isinstance(source, str) else ("", "python", "src")
    is_mixed = False
    for package in (module.partition(".")[0], *strings(options.get("python-packages"))):
        is_mixed |= _add_module(layout, package, project, roots)
    # Beside Python code the native module of the project's own name is a part of the package.
    native = f"{module}.{module}" if is_mixed and "." not in module else module
    layout.natives.append(f"{native.replace('.', '/')}.abi3.so")
    return layout


def _scikit_build(project: SourceProject) -> Layout:
    options = project.tool("scikit-build", "wheel")
    packages, excludes = options.get("packages"), strings(options.get("exclude"))
    layout = Layout(excludes=gitignore(excludes).hold, is_chosen=packages is not None or bool(excludes))
    if isinstance(packages, list):
        for path in strings(packages):
            _add(layout, path, path.strip("/").rpartition("/")[2], project)
    elif isinstance(packages, dict):
        for target, source in packages.items():
            if isinstance(source, str):
                _add(layout, source, target, project)
    else:
        spaced = project.dotted_name.replace(".", "/")
        found = [(join(root, path), path) for root in ("src", "python", "") for path in (project.name, spaced)]
        if package := next((each for each in found if each[0] in project.packages), None):
            _add(layout, *package, project)
            layout.is_chosen = True
        else:
            # What CMake installs, nobody knows.
            _add_module(layout, project.name, project, ("src", "python", ""))
    return layout


def _uv(project: SourceProject) -> Layout:
    options = project.tool("uv", "build-backend")
    root, declared = options.get("module-root", "src"), options.get("module-name", project.name)
    root = (normal_path(root) or "") if isinstance(root, str) else "src"
    layout = Layout()
    patterns = [text for key in ("source-exclude", "wheel-exclude") for text in strings(options.get(key))]
    # A pattern that does not begin with a slash fits at any depth, and only such a one fits folders.
    anywhere = [f"**/{text}" for text in patterns if not text.startswith("/")]
    folders, files = (
        whole_paths(anywhere),
        whole_paths([*anywhere, *(text[1:] for text in patterns if text[:1] == "/")]),
    )

    def is_left_out(path: str) -> bool:
        in_modules = dropwhile(lambda folder: folder not in layout.trees, folders_around(path))
        return files.hold(path) or any(map(folders.hold, in_modules))

    layout.excludes = is_left_out
    for name in [declared] if isinstance(declared, str) else strings(declared):
        layout.is_chosen |= _add_module(layout, name, project, (root,))
    return layout


_BACKENDS: Final[Mapping[str, Callable[[SourceProject], Layout]]] = {
    "hatchling": _hatch,
    "poetry": _poetry,
    "flit": _flit,
    "pdm": _pdm,
    "maturin": _maturin,
    "scikit_build_core": _scikit_build,
    "uv_build": _uv,
    "uv": _uv,
}
"""A backend is found by the beginning of its name."""
