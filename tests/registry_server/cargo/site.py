"""These are the hosts of a made crates registry: the sparse index, the archives, and an API that nobody should need."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import orjson

from tests.registry_server.cargo.crates import Crate, CrateDependency, CrateVersion
from tests.registry_server.cargo.listings import Listings
from tests.registry_server.history import RegistryHistory
from tests.registry_server.resources import IncomingRequest, Resource, Site, archive, document, missing
from tests.registry_server.tars import tar_gz

ENDPOINTS = ("crates_index", "crates_static", "crates_api")


def sites(crates: Iterable[Crate], addresses: Mapping[str, str], history: RegistryHistory) -> dict[str, Site]:
    """Return the site of each host; every document and archive is made here, before the first request."""
    index: dict[str, Resource] = {}
    archives: dict[str, Resource] = {}
    for crate in crates:
        built = {version.version: _archive(crate, version) for version in crate.versions}
        lines = [_line(crate, version, built[version.version]) for version in sorted(crate.versions, key=_published)]
        if lines:
            index[index_path(crate.name)] = document(b"".join(line + b"\n" for line in lines), "text/plain")
        for version in crate.versions:
            if version.archive:
                filename = f"{crate.name}-{version.version}.crate"
                archives[f"/crates/{crate.name}/{filename}"] = archive(built[version.version], "application/gzip")
    listings, files = Listings(history), _site(archives)

    def static(request: IncomingRequest) -> Resource:
        return files(request) if request.path.startswith("/crates/") else listings.find(request.path)

    return {"crates_index": _site(index), "crates_static": static, "crates_api": _api}


def _site(resources: Mapping[str, Resource]) -> Site:
    """An object store takes a plus sign for a blank, as old ones do."""

    def find(request: IncomingRequest) -> Resource:
        return resources.get(unquote(request.path.replace("+", "%20"))) or missing()

    return find


def _api(request: IncomingRequest) -> Resource:
    return missing("the API is asked, which allows one request a second")


def index_path(name: str) -> str:
    """Return where the sparse index has a crate (The Cargo Book, "Registry Index")."""
    lower = name.lower()
    match len(lower):
        case 1 | 2:
            return f"/{len(lower)}/{lower}"
        case 3:
            return f"/3/{lower[0]}/{lower}"
        case _:
            return f"/{lower[:2]}/{lower[2:4]}/{lower}"


def _published(version: CrateVersion) -> str:
    """Return the date; without dates the order is that of the author."""
    return version.date or ""


def _line(crate: Crate, version: CrateVersion, packed: bytes) -> bytes:
    line: dict[str, Any] = {
        "name": crate.name,
        "vers": version.version,
        "deps": [_dependency(dependency) for dependency in version.dependencies],
        "cksum": hashlib.sha256(packed).hexdigest(),
        "features": {"default": ["std"], "std": []},
        "yanked": version.yanked,
        "pubtime": crate.date_of(version),
    }
    line |= version.fields
    return orjson.dumps({key: value for key, value in line.items() if value is not None})


def _dependency(dependency: CrateDependency) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": dependency.alias or dependency.name,
        "req": dependency.req,
        "features": [],
        "optional": False,
        "default_features": True,
        "target": None,
        "kind": "normal",
    }
    if dependency.alias is not None:
        entry["package"] = dependency.name
    return entry | dict(dependency.fields)


def _archive(crate: Crate, version: CrateVersion) -> bytes:
    members = {"Cargo.toml": _manifest(crate, version).encode()}
    members |= {path: text.encode() for path, text in version.members.items()}
    if version.padding_bytes:
        members["assets/noise.bin"] = random.Random(crate.name).randbytes(version.padding_bytes)
    return tar_gz({f"{crate.name}-{version.version}/{path}": body for path, body in members.items()})


def _manifest(crate: Crate, version: CrateVersion) -> str:
    repository = "" if crate.repository is None else f'repository = "{crate.repository}"\n'
    return (
        f'[package]\nname = "{crate.name}"\nversion = "{version.version}"\nedition = "2021"\n{repository}'
        f"{version.manifest}\n"
    )
