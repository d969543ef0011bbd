"""This is the host of a made npm registry: packuments in their two forms, and tarballs."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import orjson

from tests.registry_server.history import RegistryHistory
from tests.registry_server.npm.packages import NpmPackage, NpmVersion
from tests.registry_server.npm.replication import replication, revision
from tests.registry_server.resources import IncomingRequest, Resource, Site, archive, json_document, missing
from tests.registry_server.tars import tar_gz

ENDPOINTS = ("npm_registry", "npm_replicate")

ABBREVIATED = "application/vnd.npm.install-v1+json"
ABBREVIATED_FIELDS = (
    "name",
    "version",
    "dependencies",
    "devDependencies",
    "peerDependencies",
    "optionalDependencies",
    "bin",
    "directories",
    "dist",
    "engines",
    "deprecated",
)


def sites(packages: Iterable[NpmPackage], addresses: Mapping[str, str], history: RegistryHistory) -> dict[str, Site]:
    """Return the site of the one host; every document and archive is made here, before the first request."""
    full: dict[str, Resource] = {}
    abbreviated: dict[str, Resource] = {}
    tarballs: dict[str, Resource] = {}
    for package in packages:
        path = f"/{package.name.replace('/', '%2F')}"
        if package.unpublished:
            full[path] = abbreviated[path] = json_document(_stub(package))
            continue
        built = {version.version: _tarball(package, version) for version in package.versions}
        for version in package.versions:
            if version.tarball:
                tarballs[_tarball_path(package, version)] = archive(built[version.version])
        packument = _packument(package, built, addresses["npm_registry"], history)
        full[path] = json_document(packument)
        abbreviated[path] = json_document(_abbreviated(packument), ABBREVIATED)
    return {"npm_registry": _site(full, abbreviated, tarballs), "npm_replicate": replication(history)}


def _site(full: Mapping[str, Resource], abbreviated: Mapping[str, Resource], tarballs: Mapping[str, Resource]) -> Site:
    """Names are case-sensitive; a scope's slash has to be encoded in the path of a document, not in a tarball's."""

    def find(request: IncomingRequest) -> Resource:
        tarball = tarballs.get(unquote(request.path))
        if tarball is not None:
            return tarball
        path = request.path.replace("%2f", "%2F").replace("%40", "@")
        document = (abbreviated if ABBREVIATED in request.accept else full).get(path)
        if document is not None:
            return document
        if re.fullmatch(r"/@[^/]+/[^/]+", path):
            return missing("a scope's slash that is not encoded")
        return missing()

    return find


def _packument(
    package: NpmPackage, built: Mapping[str, bytes], address: str, history: RegistryHistory
) -> dict[str, Any]:
    time = {version.version: _milliseconds(package.date_of(version)) for version in package.versions}
    dates = sorted([*time.values(), *([] if time else ["2015-01-01T12:00:00.000Z"])])
    gone = dict.fromkeys(package.unpublished_versions, dates[0])
    latest = package.default_version()
    packument: dict[str, Any] = {
        "_id": package.name,
        "_rev": revision(history, package.name),
        "name": package.name,
        "dist-tags": {} if latest is None else {"latest": latest},
        "versions": {
            version.version: _version_document(package, version, built[version.version], address)
            for version in sorted(package.versions, key=package.date_of)
        },
        "time": {"created": dates[0], "modified": dates[-1], **gone, **dict(sorted(time.items(), key=_second))},
        "maintainers": [{"name": "somebody", "email": "somebody@example.org"}],
        "description": "Made.",
        "readme": package.readme,
        "readmeFilename": "README.md",
        "license": "MIT",
    }
    if package.repository is not None:
        packument["repository"] = package.repository
    return packument | dict(package.fields)


def _version_document(package: NpmPackage, version: NpmVersion, tarball: bytes, address: str) -> dict[str, Any]:
    document = _manifest(package, version) | {
        "_id": f"{package.name}@{version.version}",
        "_nodeVersion": "20.11.0",
        "_npmVersion": "10.2.4",
        "_npmUser": {"name": "somebody", "email": "somebody@example.org"},
        "_hasShrinkwrap": False,
        "maintainers": [{"name": "somebody", "email": "somebody@example.org"}],
        "directories": {},
        "dist": {
            "integrity": "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode(),
            "shasum": hashlib.sha1(tarball, usedforsecurity=False).hexdigest(),
            "tarball": address + _tarball_path(package, version),
            "fileCount": len(_members(version)) + 1,
            "unpackedSize": sum(map(len, _members(version).values())),
        },
    }
    return document if version.deprecated is None else document | {"deprecated": version.deprecated}


def _manifest(package: NpmPackage, version: NpmVersion) -> dict[str, Any]:
    """Return the version's package.json."""
    manifest: dict[str, Any] = {
        "name": package.name,
        "version": version.version,
        "description": "Made.",
        "license": "MIT",
        "main": "index.js",
        "devDependencies": {"a-test-runner": "^9.0.0"},
    }
    if version.needs:
        manifest["dependencies"] = {need.key or need.target: need.written for need in version.needs}
    if package.repository is not None:
        manifest["repository"] = package.repository
    return manifest | dict(version.fields)


def _abbreviated(packument: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": packument["name"],
        "dist-tags": packument["dist-tags"],
        "modified": packument["time"]["modified"],
        "versions": {
            name: {key: value for key, value in document.items() if key in ABBREVIATED_FIELDS}
            for name, document in packument["versions"].items()
        },
    }


def _stub(package: NpmPackage) -> dict[str, Any]:
    time = {version.version: _milliseconds(package.date_of(version)) for version in package.versions}
    gone = {"time": "2022-01-14T12:34:23.941Z", "versions": list(time)}
    created = {"created": "2015-01-01T12:00:00.000Z", "modified": "2022-01-14T12:34:23.941Z"}
    return {"_id": package.name, "name": package.name, "time": {**created, **time, "unpublished": gone}}


def _tarball(package: NpmPackage, version: NpmVersion) -> bytes:
    members = {"package.json": orjson.dumps(_manifest(package, version)), **_members(version)}
    return tar_gz({f"{version.root}/{path}": body for path, body in members.items()})


def _tarball_path(package: NpmPackage, version: NpmVersion) -> str:
    return f"/{package.name}/-/{package.name.rpartition('/')[2]}-{version.version}.tgz"


def _members(version: NpmVersion) -> Mapping[str, bytes]:
    return {"index.js": b"module.exports = {};\n"} if version.members is None else version.members


def _milliseconds(date: str) -> str:
    return date.removesuffix("Z") + ".000Z"


def _second(pair: tuple[str, str]) -> str:
    return pair[1]
