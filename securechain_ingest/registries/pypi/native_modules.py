"""This module says which native modules setuptools compiles for a source archive, without running anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from securechain_ingest.registries.pypi.script_types import Value, strings
from securechain_ingest.registries.pypi.source_project import SourceProject

_MAX_NATIVES: Final = 1_000
# A call in a setup.py that nobody can parse: setuptools' documentation, "Building Extension Modules". Each compiler
# has a class of its own: `CUDAExtension`, `Pybind11Extension`.
_EXTENSION: Final = re.compile(
    rb"""\b\w*Extension\(\s*+(?:\#[^\n]*+\s*+)*+(?:name\s*=\s*)?[rub]?["']([A-Za-z_][\w.]*)["']"""
)


def native_modules(script: bytes, arguments: Mapping[str, Value], project: SourceProject) -> list[str]:
    """Return the modules as files. `arguments` are those of `setup()` in the script; the others are in
    pyproject.toml."""
    found = {*(name.decode() for name in _EXTENSION.findall(script)), *strings(arguments.get("ext_modules"))}
    package = arguments.get("ext_package")
    if isinstance(package, str) and package:
        found = {f"{package}.{name}" for name in found}
    found.update(_texts(project.tool("setuptools").get("ext-modules"), "name"))
    found.update(_texts(project.tool("setuptools-rust").get("ext-modules"), "target"))
    return [name.replace(".", "/") + ".py" for name in sorted(found)[:_MAX_NATIVES]]


def _texts(tables: object, key: str) -> tuple[str, ...]:
    entries: list[Any] = tables if isinstance(tables, list) else []
    return strings([entry.get(key) for entry in entries if isinstance(entry, dict)])
