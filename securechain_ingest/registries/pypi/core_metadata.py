"""This module reads a distribution's core metadata file (METADATA, PKG-INFO) by `packaging` (registries.md, section
2)."""

from __future__ import annotations

from codecs import BOM_UTF8
from dataclasses import dataclass
from email.errors import MessageError

from packaging.metadata import parse_email


@dataclass(frozen=True, slots=True)
class CoreMetadata:
    """These are the fields that we use; each value is on one line."""

    requires_dist: tuple[str, ...]
    import_names: tuple[str, ...] | None
    """It is None without the field, and empty if the field declares that there are none."""
    import_namespaces: tuple[str, ...]


def read_core_metadata(body: bytes) -> CoreMetadata:
    """Return the fields of a core metadata file. Bytes that are not UTF-8 are read as Latin-1.

    It raises ValueError for a file that is not core metadata: a field that every version of the format demands is
    missing.
    """
    try:
        fields, others = parse_email(body.removeprefix(BOM_UTF8))
    except MessageError as error:
        raise ValueError(f"no core metadata: {error}") from error

    def values(name: str) -> tuple[str, ...] | None:
        found: object = fields.get(name, others.get(name.replace("_", "-")))
        if found is None:
            return None
        return tuple(" ".join(str(value).split()) for value in (found if isinstance(found, list) else [found]))

    if values("metadata_version") is None or values("name") is None:
        raise ValueError("no core metadata: Metadata-Version or Name is missing")
    return CoreMetadata(values("requires_dist") or (), values("import_names"), values("import_namespaces") or ())
