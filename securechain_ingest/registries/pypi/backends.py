"""This module reads from pyproject.toml how the backend that builds a source archive lays out its files.

Formats: the documentation of hatchling ("Build configuration", "Wheel builder"), poetry-core ("packages"), flit_core
("Module section"), pdm-backend ("Build configuration"), maturin ("Project layout"), scikit-build-core ("packages")
and uv's build backend ("Modules"). What a project does not say its backend finds by the project's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from securechain_ingest.registries.pypi.layout import (
    Layout,
    folders_around,
    install,
    is_init,
    join,
    merged,
    normal_path,
)
from securechain_ingest.registries.pypi.setup_script import strings

_GLOB: Final = re.compile(r"[*?\[]")
_ROOTS: Final = ("", "src", "python", "lib")


class SourceProject:
    """A source project is the tables of pyproject.toml, the project's name as code spells it, and the files of its
    archive."""

    def __init__(self, document: Mapping[str, Any], name: str, paths: Iterable[str]) -> None:
        project = merged(document.get("project"))
        own = project.get("name") or merged(self.table(document, "tool", "poetry")).get("name")
        self.document = document
        self.name = re.sub(r"[-_.]+", "_", own) if isinstance(own, str) and len(own) < 200 else name
        self.dotted_name = own.replace("-", "_") if isinstance(own, str) and len(own) < 200 else name
        self.paths = frozenset(paths)
        self.folders = frozenset(folder for path in self.paths for folder in folders_around(path))
        self.packages = frozenset(path.rpartition("/")[0] for path in self.paths if is_init(path))
        """These folders have an `__init__.py`."""
        self.holders = frozenset(around for folder in self.packages for around in folders_around(folder))
        """These folders have such a folder in them."""
        self._by_lower = {path.lower(): path for path in sorted((*self.folders, *self.paths), reverse=True)}

    @staticmethod
    def table(document: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
        """The result is a table inside of tables; it is empty if the table is not there."""
        for key in keys:
            document = merged(document.get(key))
        return document

    def tool(self, *keys: str) -> Mapping[str, Any]:
        return self.table(self.document, "tool", *keys)

    def is_there(self, path: str) -> bool:
        return path in self.paths or path in self.folders

    def spelled(self, path: str) -> str:
        """The result is the folder or file of that name in any case, spelled as in the archive."""
        return path if self.is_there(path) else self._by_lower.get(path.lower(), path)


def layout_by_backend(project: SourceProject) -> Layout | None:
    """The result is None for a backend that is not known here (setuptools is read elsewhere)."""
    backend = SourceProject.table(project.document, "build-system").get("build-backend")
    if isinstance(backend, str):
        for prefix, read in _BACKENDS.items():
            if backend.startswith(prefix):
                return read(project)
    return None


def _add(layout: Layout, source: str, target: str, project: SourceProject) -> None:
    """This adds a folder with all that is in it, or a file."""
    path = normal_path(source)
    if path is None or normal_path(target) is None:
        return
    install(layout.files if path in project.paths else layout.trees, path, target)


def _exclude(layout: Layout, patterns: Iterable[str]) -> None:
    """This leaves out what patterns name, except patterns with wildcards: most of them are about files that are not
    modules."""
    paths = (normal_path(pattern.strip("/")) for pattern in patterns if not _GLOB.search(pattern))
    layout.excluded.update(path for path in paths if path)


def _add_module(layout: Layout, name: str, project: SourceProject, roots: Iterable[str] = _ROOTS) -> bool:
    """This adds the package or module of a dotted name, from the first of the folders that has it."""
    path = name.replace(".", "/")
    for root in roots:
        for candidate in (join(root, path), join(root, f"{path}.py")):
            found = project.spelled(candidate)
            if project.is_there(found):
                _add(layout, found, found[len(root) :].lstrip("/"), project)
                return True
    return False


def _literal(pattern: str) -> str:
    """The result is the folder or file that a pattern is about: its parts before the first with a wildcard."""
    parts = pattern.replace("\\", "/").strip("/").split("/")
    count = next((index for index, part in enumerate(parts) if _GLOB.search(part)), len(parts))
    return "/".join(parts[:count])


def _hatch(project: SourceProject) -> Layout:
    options = merged(project.tool("hatch", "build"), project.tool("hatch", "build", "targets", "wheel"))
    layout = Layout()
    prefixes = _prefixes(options.get("sources"))
    packages, only = strings(options.get("packages")), strings(options.get("only-include"))
    for path in only or packages:
        target = _rewritten(path, prefixes) if only else path.replace("\\", "/").strip("/").rpartition("/")[2]
        _add(layout, path, target, project)
    if not only and not packages:
        for pattern in strings(options.get("include")):
            path = _literal(pattern)
            _add(layout, path, _rewritten(path, prefixes), project)
            for prefix, target in prefixes.items() if path == "" else ():
                _add(layout, prefix, target, project)
    _exclude(layout, strings(options.get("exclude")))
    for source, forced in merged(options.get("force-include")).items():
        if isinstance(forced, str):
            _add(layout, source, forced, project)
    if not (layout.trees or layout.files) and not _add_module(layout, project.name, project, ("", "src")):
        spaces = (path.split("/") for path in project.paths if path.endswith(f"/{project.name}/__init__.py"))
        for parts in spaces:
            if len(parts) == 3:
                _add(layout, parts[0], _rewritten(parts[0], prefixes), project)
    return layout


def _prefixes(sources: object) -> dict[str, str]:
    """hatchling's `sources` are a list of prefixes that are taken away, or a table of new ones."""
    table = dict.fromkeys(strings(sources), "") if isinstance(sources, list) else merged(sources)
    read = {normal_path(prefix.strip("/")): target for prefix, target in table.items()}
    return {prefix: target.strip("/") for prefix, target in read.items() if prefix and isinstance(target, str)}


def _rewritten(path: str, prefixes: Mapping[str, str]) -> str:
    """The path is moved by the longest of the prefixes that it has."""
    path = normal_path(path.strip("/")) or ""
    for prefix in (path, *reversed([*folders_around(path)])):
        if prefix in prefixes:
            return join(prefixes[prefix], path[len(prefix) :].lstrip("/"))
    return path


def _poetry(project: SourceProject) -> Layout:
    layout = Layout()
    options = project.tool("poetry")
    packages, others = options.get("packages"), options.get("include")
    _exclude(layout, strings(options.get("exclude")))
    wanted = [merged(package, {"format": package.get("format", "wheel")}) for package in _tables(packages)]
    wanted += [merged(other, {"include": other.get("path")}) for other in _tables(others)]
    for table in wanted:
        formats, include = table.get("format"), table.get("include")
        source, target = (text if isinstance(text := table.get(key), str) else "" for key in ("from", "to"))
        if isinstance(include, str) and "wheel" in ([formats] if isinstance(formats, str) else strings(formats)):
            path = _literal(include)
            _add(layout, join(source, path), join(target, path), project)
    if not packages:
        _add_module(layout, project.name, project, ("", "src"))
    return layout


def _tables(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _flit(project: SourceProject) -> Layout:
    layout = Layout()
    declared = project.tool("flit", "module").get("name") or project.tool("flit", "metadata").get("module")
    _add_module(layout, declared if isinstance(declared, str) else project.dotted_name, project, ("", "src"))
    return layout


def _pdm(project: SourceProject) -> Layout:
    options = merged(project.tool("pdm"), project.tool("pdm", "build"))
    declared = options.get("package-dir")
    root = declared if isinstance(declared, str) else "src" if "src" in project.folders else ""
    root = normal_path(root) or ""
    layout = Layout()
    _exclude(layout, strings(options.get("excludes")))
    for pattern in strings(options.get("includes")):
        path = normal_path(_literal(pattern)) or ""
        _add(layout, path, path[len(root) :].lstrip("/") if f"{path}/".startswith(f"{root}/") else path, project)
    if not (layout.trees or layout.files):
        for folder in project.packages:
            if folder and folder.rpartition("/")[0] == root:
                _add(layout, folder, folder[len(root) :].lstrip("/"), project)
    if not (layout.trees or layout.files):
        install(layout.folders, root, "")
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
    layout = Layout()
    packages = project.tool("scikit-build", "wheel").get("packages")
    if isinstance(packages, list):
        for path in strings(packages):
            _add(layout, path, path.strip("/").rpartition("/")[2], project)
    elif isinstance(packages, dict):
        for target, source in packages.items():
            if isinstance(source, str):
                _add(layout, source, target, project)
    else:
        _add_module(layout, project.name, project, ("src", "python", ""))
    return layout


def _uv(project: SourceProject) -> Layout:
    options = project.tool("uv", "build-backend")
    root, declared = options.get("module-root", "src"), options.get("module-name", project.name)
    layout = Layout()
    for name in [declared] if isinstance(declared, str) else strings(declared):
        _add_module(layout, name, project, (root if isinstance(root, str) else "src",))
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
