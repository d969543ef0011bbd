"""setuptools installs a source archive by setup.py, setup.cfg and pyproject.toml (its user guide, "Package Discovery
and Namespace Packages"), and pbr by its `[files]`; this module says how."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from securechain_ingest.registries.pypi.file_patterns import whole_paths
from securechain_ingest.registries.pypi.ini_files import listed, mapped
from securechain_ingest.registries.pypi.layout import Layout, install, join, merged, normal_path
from securechain_ingest.registries.pypi.script_types import Find, Unknown, Value, strings
from securechain_ingest.registries.pypi.source_project import SourceProject

_MAX_PACKAGES: Final = 10_000
_TRUE: Final = frozenset({"1", "true", "yes"})
"""setup.cfg spells it so; setuptools takes every other word for false."""
_NEITHER: Final = frozenset(
    {"benchmark", "benchmarks", "build", "example", "examples", "exercise", "exercises", "fabfile", "tasks", "test"}
    | {"tests"}
)
_NO_MODULES: Final = _NEITHER | {"conanfile", "conftest", "dodo", "manage", "noxfile", "pavement", "setup", "toxfile"}
_NO_PACKAGES: Final = _NEITHER | (
    {"bin", "changelog", "ci", "debian", "dist", "doc", "docs", "documentation", "env", "htmlcov", "manpages", "news"}
    | {"newsfragments", "python", "requirements", "scripts", "site_scons", "tools", "unit_test", "unit_tests", "util"}
    | {"utils", "venv"}
)
"""setuptools takes modules or folders at the top with these names for something else."""


@dataclass(slots=True)
class SetuptoolsConfig:
    """This is what a project says about its packages; None means that it says nothing."""

    package_dir: dict[str, str] = field(default_factory=dict)
    packages: list[str | Find] | None = None
    modules: list[str] | None = None
    takes_data: bool | None = None
    """All that `SOURCES.txt` lists below a package is installed with it, even what is left out as a package."""
    package_data: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What these patterns mean below a package, or below any for an empty name, is installed with it."""
    is_certain: bool = True
    """Packages and modules were understood wherever something is said about them."""

    @property
    def root(self) -> str | None:
        """Return the folder in which all packages lie that have no folder of their own."""
        return normal_path(self.package_dir[""]) if "" in self.package_dir else None


def setuptools_config(
    project: SourceProject, arguments: Mapping[str, Value], ini: Mapping[str, Mapping[str, str]]
) -> SetuptoolsConfig:
    """Return the configuration, in which each value comes from the first file that says it: pyproject.toml, then
    setup.py, then setup.cfg."""
    config = SetuptoolsConfig()
    is_pbr = bool(arguments.get("pbr")) or project.backend.startswith("pbr")
    from_cfg, from_script = _from_setup_cfg(ini, takes_whole_packages=is_pbr), _from_arguments(arguments)
    for read in (from_cfg, from_script, _from_pyproject(project.tool("setuptools"))):
        config.package_dir.update(read.package_dir)
        config.package_data = read.package_data or config.package_data
        config.packages = read.packages if read.packages is not None else config.packages
        config.modules = read.modules if read.modules is not None else config.modules
        config.takes_data = read.takes_data if read.takes_data is not None else config.takes_data
        config.is_certain &= read.is_certain
    if config.takes_data is None:
        config.takes_data = "project" in project.document or bool(project.tool("setuptools"))
    return config


def layout_of(config: SetuptoolsConfig, project: SourceProject) -> Layout | None:
    """Return what the configuration installs. The result is None if setuptools finds that out itself, or if nobody can
    tell."""
    layout = Layout()
    if not config.is_certain or (config.packages is None and config.modules is None):
        for name, folder in config.package_dir.items():
            if name:
                install(layout.trees, folder, name.replace(".", "/"))
        return layout if layout.trees and config.is_certain else None
    # setuptools builds a wheel even if a search finds nothing.
    layout.is_chosen = not config.modules and all(isinstance(package, Find) for package in config.packages or ())
    for package in (config.packages or [])[:_MAX_PACKAGES]:
        if isinstance(package, Find):
            layout.finds.append(_where(package, config, project))
        else:
            install(layout.folders, _folder_of(package, config.package_dir), package.replace(".", "/"))
    for module in (config.modules or [])[:_MAX_PACKAGES]:
        around, _, name = module.rpartition(".")
        path = f"{join(_folder_of(around, config.package_dir), name)}.py"
        install(layout.files, path, f"{module.replace('.', '/')}.py")
    return layout


def discovered(config: SetuptoolsConfig, project: SourceProject) -> Layout | None:
    """Return the packages and modules that setuptools itself finds in a project with a pyproject.toml that names none
    (its user guide, "Automatic discovery"). The result is None if nobody can tell."""
    is_told = not config.is_certain or config.packages is not None or config.modules is not None
    if is_told or not _is_asked_for(project):
        return None
    layout = Layout()
    root = "src" if config.root is None else config.root
    if root and root in project.folders:
        layout.finds.append(Find(root, namespaces=True))
        install(layout.folders, root, "")
        return layout
    at_the_top = [path.rpartition(".py") for path in project.paths if "/" not in path]
    packages = _candidates({path.partition("/")[0] for path in project.paths if "/" in path}, _NO_PACKAGES)
    modules = _candidates({name for name, ending, rest in at_the_top if ending and not rest}, _NO_MODULES)
    if len(packages) == 1:
        install(layout.trees, packages[0], packages[0])
    elif not packages and len(modules) == 1:
        install(layout.files, f"{modules[0]}.py", f"{modules[0]}.py")
    elif not packages and not modules:
        layout.is_chosen = True
    else:
        return None
    return layout


def data_of(config: SetuptoolsConfig, project: SourceProject, listed_files: Container[str]) -> Callable[[str], bool]:
    """The result tells which files setuptools takes for data of a package; modules may be among them."""
    listed_files = listed_files if config.takes_data else ()
    paths = []
    for package, patterns in config.package_data.items():
        # The names in setup.cfg come in lower case.
        folder = project.spelled(_folder_of(package, config.package_dir)) if package else "**"
        if not package or (folder in project.folders and _may_be_installed(package, config)):
            paths += [join(folder, path) for pattern in patterns if (path := normal_path(pattern))]
    named = whole_paths(paths)
    return lambda path: path in listed_files or named.hold(path)


def _may_be_installed(package: str, config: SetuptoolsConfig) -> bool:
    packages = config.packages
    return packages is None or any(isinstance(each, Find) or each.lower() == package.lower() for each in packages)


def _is_asked_for(project: SourceProject) -> bool:
    is_there = "build-system" in project.document or "project" in project.document
    return is_there and project.backend.startswith("setuptools")


def _candidates(names: Iterable[str], others: frozenset[str]) -> list[str]:
    return [name for name in names if name.isidentifier() and name not in others and name[0] != "_"]


def _where(find: Find, config: SetuptoolsConfig, project: SourceProject) -> Find:
    """The folder is corrected to one that has packages: `find_packages()` beside a `package_dir` looks in the wrong
    one."""
    where = normal_path(find.where) or ""
    if where not in project.holders and config.root:
        where = config.root
    return Find(where, find.include, find.exclude, find.namespaces)


def _folder_of(package: str, package_dir: Mapping[str, str]) -> str:
    """Return the folder of a package's files, by the nearest package around it that has a folder of its own."""
    around, rest = package, ""
    while around:
        if around in package_dir:
            return join(normal_path(package_dir[around]) or "", rest)
        around, _, last = around.rpartition(".")
        rest = join(last, rest)
    return join(normal_path(package_dir.get("", "")) or "", rest)


def _from_arguments(arguments: Mapping[str, Value]) -> SetuptoolsConfig:
    folders = arguments.get("package_dir")
    config = SetuptoolsConfig({key: value for key, value in merged(folders).items() if isinstance(value, str)})
    takes_data = arguments.get("include_package_data")
    config.takes_data = bool(takes_data) if isinstance(takes_data, bool | int) else None
    config.package_data = {package: strings(value) for package, value in merged(arguments.get("package_data")).items()}
    packages, modules = arguments.get("packages"), arguments.get("py_modules")
    if isinstance(packages, list):
        config.packages = [item for item in packages if isinstance(item, str | Find)]
    config.modules = (
        list(strings(modules)) if isinstance(modules, list) else [modules] if isinstance(modules, str) else None
    )
    values = [value for each in (packages, modules) for value in (each if isinstance(each, list) else [each])]
    values += [folders, *(folders.values() if isinstance(folders, dict) else ())]
    config.is_certain = not any(isinstance(value, Unknown) for value in values)
    return config


def _from_setup_cfg(ini: Mapping[str, Mapping[str, str]], *, takes_whole_packages: bool) -> SetuptoolsConfig:
    """pbr takes whole packages, with all that lies below those that are named."""
    options, files = ini.get("options", {}), ini.get("files", {})
    config = SetuptoolsConfig(mapped(options.get("package_dir", "")))
    if takes_data := options.get("include_package_data", "").strip().lower():
        config.takes_data = takes_data in _TRUE
    data = ini.get("options.package_data", {})
    config.package_data = {_all_as_empty(package): tuple(listed(value)) for package, value in data.items()}
    if packages := options.get("packages", "").strip():
        if packages in ("find:", "find_namespace:"):
            find = ini.get("options.packages.find", {})
            include, exclude = listed(find.get("include", "*")), listed(find.get("exclude", ""))
            spaces = packages == "find_namespace:"
            config.packages = [Find(find.get("where", "").strip(), tuple(include), tuple(exclude), spaces)]
        elif takes_whole_packages and not config.package_dir:
            config.packages = _whole("", packages)
        else:
            config.packages = list(listed(packages))
    if modules := options.get("py_modules"):
        config.modules = listed(modules)
    if "packages" in files or "modules" in files:
        config.packages = _whole(files.get("packages_root", "").strip(), files.get("packages", ""))
        config.modules = listed(files.get("modules", ""))
    return config


def _all_as_empty(package: str) -> str:
    return "" if package == "*" else package


def _whole(root: str, packages: str) -> list[str | Find]:
    return [Find(root, (name, f"{name}.*"), (), True) for name in listed(packages)]


def _from_pyproject(options: Mapping[str, Any]) -> SetuptoolsConfig:
    config = SetuptoolsConfig(
        {key: value for key, value in merged(options.get("package-dir")).items() if isinstance(value, str)}
    )
    takes_data = options.get("include-package-data")
    config.takes_data = takes_data if isinstance(takes_data, bool) else None
    data = merged(options.get("package-data"))
    config.package_data = {_all_as_empty(package): strings(value) for package, value in data.items()}
    packages, modules = options.get("packages"), options.get("py-modules")
    if isinstance(packages, list):
        config.packages = list(strings(packages))
    elif isinstance(packages, dict) and isinstance(find := packages.get("find"), dict):
        include, exclude = strings(find.get("include")) or ("*",), strings(find.get("exclude"))
        is_spaced = find.get("namespaces", True) is not False
        config.packages = [Find(where, include, exclude, is_spaced) for where in strings(find.get("where")) or ("",)]
    if isinstance(modules, list):
        config.modules = list(strings(modules))
    return config
