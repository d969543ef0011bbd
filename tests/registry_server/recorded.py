"""These are recorded payloads under their registry paths: documents and archives that real registries gave.

The recordings' links lead to the real hosts; they are turned to the server's own, or a client would leave loopback. The
real addresses are the defaults of the product's settings, the only place where they stand.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from securechain_ingest.ecosystem_settings import EndpointSettings
from tests.registry_server.cargo.site import index_path
from tests.registry_server.npm.site import ABBREVIATED
from tests.registry_server.pypi.projects import normal_name
from tests.registry_server.pypi.site import SIMPLE_JSON
from tests.registry_server.resources import IncomingRequest, Resource, Site, archive, document, missing

FIXTURES = Path(__file__).resolve().parents[3] / "shared" / "fixtures"
"""This is where the recordings lie beside a checkout; a clone elsewhere has none."""

Documents = dict[tuple[str, str], Resource]
"""These are resources by path and by the media type that has to be asked for; `` for any."""


def sites(folder: Path, addresses: Mapping[str, str]) -> dict[str, Site]:
    """Return the sites of the recorded payloads below `folder`, which has a folder for each ecosystem."""
    index = _pypi_documents(folder / "pypi" / "metadata", addresses)
    packuments = _npm_documents(folder / "npm" / "metadata" / "packument", addresses)
    files = _archives(folder / "pypi" / "archives", index, addresses["pypi_files"])
    tarballs = _archives(folder / "npm" / "archives", packuments, addresses["npm_registry"])
    return {
        "pypi": _site(index),
        "pypi_files": _site(files),
        "npm_registry": _site(packuments | tarballs),
        "maven_central": _site(_maven_documents(folder / "maven")),
        **_gem_sites(folder / "rubygems", addresses),
        **_crate_sites(folder / "crates"),
        "nuget_api": _site(_nuget_documents(folder / "nuget", addresses)),
    }


def _crate_sites(folder: Path) -> dict[str, Site]:
    """Return index files, of which the large ones are packed here, and archives."""
    index: Documents = {}
    for path in (folder / "metadata" / "index").iterdir():
        body = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        index[index_path(path.name.removesuffix(".gz")), ""] = document(body, "text/plain")
    archives: Documents = {}
    for path in (folder / "archives").glob("*.crate"):
        name = re.sub(r"-[0-9]+\..*", "", path.name)
        archives[f"/crates/{name}/{path.name.replace('+', '%2B')}", ""] = archive(path.read_bytes(), "application/gzip")
    return {"crates_index": _site(index), "crates_static": _site(archives)}


def _site(documents: Documents) -> Site:
    def find(request: IncomingRequest) -> Resource:
        path = request.path.replace("%2f", "%2F").replace("%40", "@")
        for media_type in (SIMPLE_JSON, ABBREVIATED):
            if media_type in request.accept and (path, media_type) in documents:
                return documents[path, media_type]
        return documents.get((path, "")) or missing()

    return find


def _pypi_documents(folder: Path, addresses: Mapping[str, str]) -> Documents:
    documents: Documents = {}
    for _, body, value in _read(folder / "json", addresses):
        info = value.get("info")
        if info is None:
            continue
        version = "" if "releases" in value else f"/{info['version']}"
        serial = (("X-PyPI-Last-Serial", str(value.get("last_serial", 0))),)
        path = f"/pypi/{normal_name(info['name'])}{version}/json"
        documents.setdefault((path, ""), document(body, headers=serial))
    for _, body, value in _read(folder / "simple-json", addresses):
        if "files" in value and "name" in value:
            path = f"/simple/{normal_name(value['name'])}/"
            documents.setdefault((path, SIMPLE_JSON), document(body, SIMPLE_JSON))
    return documents


def _npm_documents(folder: Path, addresses: Mapping[str, str]) -> Documents:
    """Where a package was recorded several times, the plain file name goes before those with a remark."""
    documents: Documents = {}
    for path, body, value in sorted(_read(folder, addresses), key=lambda read: read[0].name.count(".")):
        if "name" in value:
            media_type = ABBREVIATED if ".abbreviated" in path.name else ""
            target = f"/{value['name'].replace('/', '%2F')}"
            documents.setdefault((target, media_type), document(body, media_type or "application/json"))
    return documents


def _maven_documents(folder: Path) -> Documents:
    """Return the POMs of the effective ones, the jars that belong to them, and all lists of versions."""
    documents: Documents = {}
    jars = {path.name: path for path in (folder / "archives").glob("*.jar")}
    for pom in (folder / "metadata/effective-pom").glob("*/*.pom"):
        group_id, artifact_id, version = pom.stem.split("__")
        path = f"/{group_id.replace('.', '/')}/{artifact_id}/{version}/{artifact_id}-{version}"
        documents[f"{path}.pom", ""] = document(pom.read_bytes(), "text/xml")
        if jar := jars.get(f"{artifact_id}-{version}.jar"):
            documents[f"{path}.jar", ""] = archive(jar.read_bytes(), "application/java-archive")
    lists = (folder / "metadata/maven-metadata").glob("*.xml")
    for listed in sorted(lists, key=lambda path: ".2026" in path.name):
        body = listed.read_bytes()
        ids = [re.search(rf"<{name}>(.*?)</{name}>", body.decode()) for name in ("groupId", "artifactId")]
        if b"<versions>" in body and all(ids):
            group_id, artifact_id = (match[1] for match in ids if match)
            documents[f"/{group_id.replace('.', '/')}/{artifact_id}/maven-metadata.xml", ""] = document(
                body, "text/xml"
            )
    return documents


def _gem_sites(folder: Path, addresses: Mapping[str, str]) -> dict[str, Site]:
    infos = {path.name: document(path.read_bytes(), "text/plain") for path in (folder / "metadata/info").iterdir()}
    api = {
        f"gems/{value['name']}": document(body)
        for _, body, value in _read(folder / "metadata/api", addresses)
        if "number" not in value
    }
    for path in (folder / "metadata/api").glob("versions-*.json"):
        api[f"versions/{path.stem.removeprefix('versions-')}"] = document(path.read_bytes())
    api = {f"/api/v1/{path}.json": resource for path, resource in api.items()}
    gems = {f"/gems/{path.name}": archive(path.read_bytes()) for path in (folder / "archives").glob("*.gem")}
    return {
        "rubygems_index": _site({(f"/info/{name}", ""): resource for name, resource in infos.items()}),
        "rubygems_api": _site({(path, ""): resource for path, resource in (api | gems).items()}),
    }


def _nuget_documents(folder: Path, addresses: Mapping[str, str]) -> Documents:
    """Registrations are served at the one address, whichever of the registry's they were recorded from."""
    documents: Documents = {}
    for file, body, _ in _read(folder / "enumeration", addresses):
        documents[f"/v3/{file.name.removeprefix('v3-')}", ""] = document(body)
    folders = (folder / "metadata/registration", folder / "metadata/registration/nlog")
    for _, body, value in (read for registrations in folders for read in _read(registrations, addresses)):
        path = value["@id"].removeprefix(addresses["nuget_api"])
        documents[path.replace("registration5-semver1", "registration5-gz-semver2"), ""] = document(body)
    for file in (folder / "archives").glob("*.nupkg"):
        name, version = re.split(r"\.(?=\d)", file.stem.lower().removesuffix(".nuspec-only"), maxsplit=1)
        path = f"/v3-flatcontainer/{name}/{version}/{name}.{version}.nupkg"
        documents[path, ""] = archive(file.read_bytes())
    return documents


def _archives(folder: Path, documents: Documents, address: str) -> Documents:
    """Return each archive under the path by which a recorded document names it, else under `/recorded/`."""
    names = {path.name: path for path in folder.iterdir() if path.suffix != ".txt"}
    archives: Documents = {(f"/recorded/{name}", ""): archive(path.read_bytes()) for name, path in names.items()}
    link = re.compile(re.escape(address.encode()) + rb'(/[^"\s]*?/([^"/\s]+))"')
    for resource in documents.values():
        for path, name in set(link.findall(resource.body)):
            if name.decode() in names:
                archives[path.decode(), ""] = archives[f"/recorded/{name.decode()}", ""]
    return archives


def _read(folder: Path, addresses: Mapping[str, str]) -> Iterator[tuple[Path, bytes, dict[str, Any]]]:
    """Yield the JSON objects of a folder, their links turned to this server."""
    real = EndpointSettings().own()
    for path in sorted(folder.glob("*.json")):
        body = path.read_bytes()
        for name, address in addresses.items():
            if name in real:
                for link in (real[name], real[name].replace("https://", "http://")):
                    body = body.replace(link.encode(), address.encode())
        value = orjson.loads(body)
        if isinstance(value, dict):
            yield path, body, value
