"""This module has what the layouts of all build backends are found from: the tables of a project and its files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from securechain_ingest.registries.pypi.layout import folders_around, is_init, merged


class SourceProject:
    """A source project is the tables of pyproject.toml and hatch.toml, the project's name as code spells it, and the
    files of its archive."""

    def __init__(
        self, document: Mapping[str, Any], name: str, paths: Iterable[str], *, hatch: Mapping[str, Any]
    ) -> None:
        project = merged(document.get("project"))
        own = project.get("name") or merged(self.table(document, "tool", "poetry")).get("name")
        self.document = document
        self.hatch = hatch
        backend = self.table(document, "build-system").get("build-backend", "setuptools")
        self.backend = backend if isinstance(backend, str) else ""
        """setuptools builds what names no other."""
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
        """Return a table inside of tables. The result is empty if the table is not there."""
        for key in keys:
            document = merged(document.get(key))
        return document

    def tool(self, *keys: str) -> Mapping[str, Any]:
        """Return a table below `[tool]` of pyproject.toml. The result is empty if the table is not there."""
        return self.table(self.document, "tool", *keys)

    def is_there(self, path: str) -> bool:
        return path in self.paths or path in self.folders

    def spelled(self, path: str) -> str:
        """Return the folder or file of that name in any case, spelled as in the archive."""
        return path if self.is_there(path) else self._by_lower.get(path.lower(), path)
