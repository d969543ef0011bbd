"""This is the host of a made NuGet registry: the service index, registrations, the flat container and the search."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.registry_server.history import RegistryHistory
from tests.registry_server.nuget.catalog import CATALOG, catalog, newest_stamp
from tests.registry_server.nuget.packages import DependencyGroup, NuGetPackage, NuGetVersion, nupkg
from tests.registry_server.resources import IncomingRequest, Resource, Site, archive, json_document, missing

ENDPOINTS = ("nuget_api",)

REGISTRATIONS = "/v3/registration5-gz-semver2"
CONTENTS = "/v3-flatcontainer"
SEARCH = "/query"
UNKNOWN_TIME = "2020-02-08T01:42:24.8901684+00:00"
LAG = timedelta(hours=1)
UNLISTED = "1900-01-01T00:00:00+00:00"
MAX_HITS = 20


def sites(packages: Iterable[NuGetPackage], addresses: Mapping[str, str], history: RegistryHistory) -> dict[str, Site]:
    """Return the site of the one host; every document and archive is made here, before the first request."""
    address = addresses["nuget_api"]
    packages = list(packages)
    found = {"/v3/index.json": json_document(_service_index(address))}
    for package in (package for package in packages if package.versions):
        for path, document in _registration(package, address, history).items():
            found[path] = _always_gzipped(json_document(document))
        for version in package.versions:
            if version.nupkg:
                found[_content_path(package, version)] = archive(nupkg(package, version))
    return {"nuget_api": _site(found, packages, catalog(history, address))}


def _site(found: Mapping[str, Resource], packages: list[NuGetPackage], catalogued: Site) -> Site:
    """Ids and versions are lower-case in every path."""

    def find(request: IncomingRequest) -> Resource:
        path = unquote(request.path)
        if path == SEARCH:
            return json_document(_search(request.target, packages))
        if path.startswith(f"{CATALOG}/"):
            return catalogued(request)
        if path != path.lower():
            return missing("an id or a version that is not lower-case")
        return found.get(path) or missing()

    return find


def _service_index(address: str) -> dict[str, Any]:
    resources = {
        "SearchQueryService": f"{address}{SEARCH}",
        "RegistrationsBaseUrl": f"{address}/v3/registration5-semver1/",
        "RegistrationsBaseUrl/3.6.0": f"{address}{REGISTRATIONS}/",
        "PackageBaseAddress/3.0.0": f"{address}{CONTENTS}/",
        "Catalog/3.0.0": f"{address}{CATALOG}/index.json",
    }
    return {"version": "3.0.0", "resources": [{"@id": url, "@type": kind} for kind, url in resources.items()]}


def _always_gzipped(resource: Resource) -> Resource:
    """Registrations are compressed whatever a client accepts."""
    packed = resource.gzipped or gzip.compress(resource.body, 1, mtime=0)
    return replace(resource, body=packed, gzipped=None, headers=(*resource.headers, ("Content-Encoding", "gzip")))


def _registration(package: NuGetPackage, address: str, history: RegistryHistory) -> dict[str, dict[str, Any]]:
    """Return the index and the pages that are not inlined, by path; all were written a while after the catalog."""
    newest = newest_stamp(history, package.id)
    written = UNKNOWN_TIME
    if newest is not None:
        written = f"{datetime.fromisoformat(newest[:19]) + LAG:%Y-%m-%dT%H:%M:%S}.1234567+00:00"
    folder = f"{REGISTRATIONS}/{package.id.lower()}"
    index = f"{address}{folder}/index.json"
    size = package.page_size or len(package.versions)
    documents: dict[str, dict[str, Any]] = {}
    pages: list[dict[str, Any]] = []
    for start in range(0, len(package.versions), max(1, size)):
        versions = package.versions[start : start + size]
        lower, upper = (version.version.lower().partition("+")[0] for version in (versions[0], versions[-1]))
        page = {"@type": "catalog:CatalogPage", "count": len(versions), "lower": lower, "upper": upper, "parent": index}
        page["commitTimeStamp"] = written
        leaves = [
            _leaf(package, version, address, index, written, newest_stamp(history, package.id, version.version))
            for version in versions
        ]
        if package.page_size is None:
            pages.append({"@id": f"{index}#page/{lower}/{upper}", **page, "items": leaves})
        else:
            path = f"{folder}/page/{lower}/{upper}.json"
            pages.append({"@id": f"{address}{path}", **page})
            documents[path] = {"@id": f"{address}{path}", **page, "items": leaves}
    documents[f"{folder}/index.json"] = {"@id": index, "commitTimeStamp": written, "count": len(pages), "items": pages}
    return documents


def _leaf(
    package: NuGetPackage, version: NuGetVersion, address: str, index: str, written: str, catalogued: str | None
) -> dict[str, Any]:
    folder = re.sub("[-T:]", ".", (catalogued or UNKNOWN_TIME)[:19])
    content = f"{address}{_content_path(package, version)}"
    name = f"{package.id}.{version.version}".lower()
    entry: dict[str, Any] = {
        "@id": f"{address}{CATALOG}/data/{folder}/{name}.json",
        "@type": "PackageDetails",
        "authors": "Made",
        "description": "Made.",
        "id": package.id,
        "version": version.version,
        "listed": version.listed,
        "published": package.date_of(version).removesuffix("Z") + ".123+00:00" if version.listed else UNLISTED,
        "packageContent": content,
        "projectUrl": package.project_url,
        "requireLicenseAcceptance": False,
        "tags": ["made"],
    }
    if version.groups:
        entry["dependencyGroups"] = [_group(group, entry["@id"], address) for group in version.groups]
    if version.deprecation is not None:
        entry["deprecation"] = dict(version.deprecation)
    return {
        "@id": index.replace("index.json", f"{version.version.lower()}.json"),
        "@type": "Package",
        "commitTimeStamp": written,
        "catalogEntry": entry | dict(version.fields),
        "packageContent": content,
        "registration": index,
    }


def _group(group: DependencyGroup, entry: str, address: str) -> dict[str, Any]:
    document: dict[str, Any] = {"@id": f"{entry}#dependencygroup", "@type": "PackageDependencyGroup"}
    if group.needs:
        document["dependencies"] = [
            {
                "@type": "PackageDependency",
                "id": need.target,
                "range": need.written,
                "registration": f"{address}{REGISTRATIONS}/{str(need.target).lower()}/index.json",
            }
            for need in group.needs
        ]
    return document if group.framework is None else document | {"targetFramework": group.framework}


def _content_path(package: NuGetPackage, version: NuGetVersion) -> str:
    """Only normal versions are declared, so without metadata and in lower case they are those of the URL."""
    name, number = package.id.lower(), version.version.lower().partition("+")[0]
    return f"{CONTENTS}/{name}/{number}/{name}.{number}.nupkg"


def _search(target: str, packages: list[NuGetPackage]) -> dict[str, Any]:
    query = parse_qs(urlsplit(target).query)
    wanted = query.get("q", [""])[0].lower()
    hits = [{"id": package.id} for package in packages if wanted in package.id.lower()]
    return {"totalHits": len(hits), "data": hits[: int(query.get("take", [MAX_HITS])[0])]}
