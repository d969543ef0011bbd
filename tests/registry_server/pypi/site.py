"""These are the two hosts of a made PyPI: the index with its JSON and simple interfaces, and the files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from html import escape
from typing import Any
from urllib.parse import unquote

from tests.registry_server.history import RegistryHistory, What
from tests.registry_server.pypi.archives import Built, Wheel, build_sdist, build_wheel
from tests.registry_server.pypi.documents import core_metadata, project_json, simple_json, version_json
from tests.registry_server.pypi.projects import Project, ProjectRelease, normal_name
from tests.registry_server.resources import (
    IncomingRequest,
    Resource,
    Site,
    archive,
    document,
    json_document,
    missing,
    redirect,
)

ENDPOINTS = ("pypi", "pypi_files")

SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
SIMPLE_HTML = "text/html; charset=utf-8"


def sites(projects: Iterable[Project], addresses: Mapping[str, str], history: RegistryHistory) -> dict[str, Site]:
    """Return the sites of both hosts; every document and archive is made here, before the first request."""
    index: dict[str, Resource] = {}
    pages: dict[str, Resource] = {}
    files: dict[str, Resource] = {}
    for project in (replace(project, serial=serial_of(history, project.name)) for project in projects):
        built = [(release, _files(project, release)) for release in project.releases]
        for file in (file for _, release_files in built for file in release_files):
            files[file.path] = archive(file.body)
            if file.metadata is not None:
                files[f"{file.path}.metadata"] = archive(file.metadata, "binary/octet-stream")
        serial = (("X-PyPI-Last-Serial", str(project.serial)),)
        key = normal_name(project.name)
        address = addresses["pypi_files"]
        if project.releases and project.status != "quarantined":
            index[f"/pypi/{key}/json"] = json_document(project_json(project, built, address), headers=serial)
        for release, release_files in built:
            body = version_json(project, release, release_files, address)
            index[f"/pypi/{key}/{release.version}/json"] = json_document(body, headers=serial)
        simple = simple_json(project, built, address)
        index[f"/simple/{key}/"] = json_document(simple, SIMPLE_JSON, serial)
        pages[f"/simple/{key}/"] = document(_page(simple), SIMPLE_HTML, serial)
    return {"pypi": _index_site(index, pages, history), "pypi_files": _file_site(files)}


def serial_of(history: RegistryHistory, name: str) -> int:
    """Return that of a project's last event; a project of which nothing is told has the very first one."""
    return first_serial(history) + (history.by_name[name][-1].number if name in history.by_name else 0)


def first_serial(history: RegistryHistory) -> int:
    """The journal's numbers begin lower after each restoration."""
    return 1_000_000 * max(0, 3 - history.epoch)


def _project_list(history: RegistryHistory) -> Resource:
    last_serial = first_serial(history) + (history.events[-1].number if history.events else 0)
    projects = [{"_last-serial": serial_of(history, name), "name": name} for name in sorted(history.versions)]
    return json_document(
        {"meta": {"_last-serial": last_serial, "api-version": "1.4"}, "projects": projects},
        SIMPLE_JSON,
        (("X-PyPI-Last-Serial", str(last_serial)),),
    )


def _newest_releases(history: RegistryHistory) -> Resource:
    """Return the RSS feed of the hundred newest releases, the newest first."""
    published = [event for event in history.events if event.what is What.PUBLISHED and event.version][-100:]
    items = "".join(
        f"<item><title>{escape(f'{event.name} {event.version}')}</title></item>" for event in reversed(published)
    )
    body = f'<?xml version="1.0" encoding="UTF-8"?><rss version="2.0"><channel>{items}</channel></rss>'
    return document(body.encode(), "application/rss+xml")


def _index_site(index: Mapping[str, Resource], pages: Mapping[str, Resource], history: RegistryHistory) -> Site:
    """Answer other spellings of a name with a redirect to the normal one, as PyPI does."""

    @cache
    def project_list() -> Resource:
        return _project_list(history)

    def find(request: IncomingRequest) -> Resource:
        path = unquote(request.path)
        if path == "/simple/":
            return project_list()
        if path == "/rss/updates.xml":
            return _newest_releases(history)
        chosen = pages if path in pages and SIMPLE_JSON not in request.accept else index
        resource = chosen.get(path)
        if resource is not None:
            return resource
        normal = _normal_path(path)
        if normal != path and normal in index:
            return redirect(normal, "a name that is not normalised")
        return missing()

    return find


def _file_site(files: Mapping[str, Resource]) -> Site:
    def find(request: IncomingRequest) -> Resource:
        return files.get(unquote(request.path)) or missing()

    return find


def _normal_path(path: str) -> str:
    match path.split("/"):
        case ["", "simple", name] | ["", "simple", name, ""]:
            return f"/simple/{normal_name(name)}/"
        case ["", "pypi", name, *rest]:
            return "/".join(("", "pypi", normal_name(name), *[part for part in rest if part]))
        case _:
            return path


def _files(project: Project, release: ProjectRelease) -> list[Built]:
    built = []
    for file in release.files:
        metadata = core_metadata(project, release, file)
        if isinstance(file, Wheel):
            built.append(build_wheel(file, project.name, release.version, metadata))
        else:
            built.append(build_sdist(file, project.name, release.version, metadata))
    return built


def _page(simple: Mapping[str, Any]) -> bytes:
    """Return the HTML form of a project's simple page."""
    anchors = []
    for file in simple["files"]:
        attributes = f' href="{file["url"]}#sha256={file["hashes"]["sha256"]}"'
        if file["requires-python"]:
            attributes += f' data-requires-python="{escape(file["requires-python"])}"'
        if file["core-metadata"]:
            attributes += f' data-core-metadata="sha256={file["core-metadata"]["sha256"]}"'
        if file["yanked"] is not False:
            attributes += f' data-yanked="{escape(file["yanked"] if isinstance(file["yanked"], str) else "")}"'
        anchors.append(f"<a{attributes}>{file['filename']}</a><br/>")
    head = f'<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.4"><title>{simple["name"]}'
    return "\n".join([head + "</title></head><body>", *anchors, "</body></html>"]).encode()
