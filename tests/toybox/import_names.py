"""This is what can be imported from a toy: its modules, which are the files `*.toy` of its zip."""

from __future__ import annotations

from typing import BinaryIO

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.zips import open_zip
from securechain_ingest.model import ImportNames
from securechain_ingest.registries.kit.import_name_rules import import_names


def read_toy(file: BinaryIO, limits: ArchiveLimits) -> ImportNames:
    """Return the modules' dotted names. It raises ArchiveRefused."""
    modules = [name.removesuffix(".toy") for name in open_zip(file, limits).names() if name.endswith(".toy")]
    return import_names([module.replace("/", ".") for module in modules], separator=".")
