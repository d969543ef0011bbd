"""These are the files of the bucket, written at the first request from the advisories alone."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import unquote

import orjson

from tests.registry_server.resources import IncomingRequest, Resource, Site, archive, document, json_document, missing

ENDPOINTS = ("osv",)
HOMELESS = "[EMPTY]"


@dataclass(frozen=True)
class Advisory:
    """This is one record about any number of packages."""

    id: str
    packages: tuple[tuple[str, str], ...] = ()
    """These are (ecosystem, name); if there are none, the record has lost its ecosystem."""
    modified: str = "2026-08-01T00:00:00Z"
    fixed: str | None = None
    """Versions from the start up to this one are affected; None: all."""
    vector: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    """This is whatever else the record says."""

    def record(self) -> dict[str, Any]:
        events = [{"introduced": "0"}, *([{"fixed": self.fixed}] if self.fixed else [])]
        severity = {"severity": [{"type": "CVSS_V3", "score": self.vector}]} if self.vector else {}
        affected = [
            {
                "package": {"ecosystem": ecosystem, "name": name},
                "ranges": [{"type": "SEMVER" if ecosystem == "npm" else "ECOSYSTEM", "events": events}],
            }
            for ecosystem, name in self.packages
        ]
        return {
            "schema_version": "1.7.5",
            "id": self.id,
            "modified": self.modified,
            "published": "2026-07-01T00:00:00Z",
            "summary": "Made.",
            "details": "Made for a test.",
            "affected": affected,
            **severity,
            **self.fields,
        }


def sites(advisories: Iterable[Advisory]) -> dict[str, Site]:
    """Return the bucket."""
    folders: dict[str, list[Advisory]] = {}
    for advisory in sorted(advisories, key=lambda each: each.modified, reverse=True):
        for ecosystem in dict.fromkeys(ecosystem for ecosystem, _ in advisory.packages) or (HOMELESS,):
            folders.setdefault(ecosystem, []).append(advisory)

    @cache
    def resource(path: str) -> Resource:
        ecosystem, _, name = path.removeprefix("/").rpartition("/")
        held = folders.get(ecosystem, [])
        if path == "/modified_id.csv":
            lines = {f"{each.modified},{home}/{each.id}" for home, some in folders.items() for each in some}
            return _csv(sorted(lines, reverse=True))
        if name == "modified_id.csv":
            return _csv([f"{each.modified},{each.id}" for each in held])
        if name == "all.zip" and ecosystem != HOMELESS:
            return archive(_zip(held), "application/zip")
        return next((json_document(each.record()) for each in held if name == f"{each.id}.json"), missing())

    def find(request: IncomingRequest) -> Resource:
        return resource(unquote(request.path))

    return {"osv": find}


def _csv(lines: Iterable[str]) -> Resource:
    return document("".join(f"{line}\n" for line in lines).encode(), "text/csv")


def _zip(advisories: Iterable[Advisory]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for advisory in advisories:
            file.writestr(f"{advisory.id}.json", orjson.dumps(advisory.record()))
    return packed.getvalue()
