"""These are the two hosts of a made gem registry: the compact index, and the API beside the files."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.registry_server.declarations import Need
from tests.registry_server.history import RegistryHistory
from tests.registry_server.resources import IncomingRequest, Resource, Site, archive, document, json_document, missing
from tests.registry_server.rubygems.archives import gem_file
from tests.registry_server.rubygems.gem_list import gem_list
from tests.registry_server.rubygems.gems import Gem, GemVersion

ENDPOINTS = ("rubygems_index", "rubygems_api")

LINKS = ("homepage_uri", "wiki_uri", "documentation_uri", "mailing_list_uri", "source_code_uri", "bug_tracker_uri")


def sites(gems: Iterable[Gem], addresses: Mapping[str, str], history: RegistryHistory) -> dict[str, Site]:
    """Every document and file is made here, before the first request."""
    gems = list(gems)
    files = {
        f"/gems/{_filename(gem, version, platform)}": gem_file(gem, version, platform)
        for gem in gems
        for version in gem.versions
        if version.gem
        for platform in version.platforms
    }
    index = {f"/info/{gem.name}": _index_document(_info(gem, files)) for gem in gems}
    api = {}
    for gem in (gem for gem in gems if gem.api):
        api[f"/api/v1/gems/{gem.name}.json"] = json_document(_api_document(gem, addresses["rubygems_api"]))
        api[f"/api/v1/versions/{gem.name}.json"] = json_document(_api_versions(gem))
    archives = {path: archive(body) for path, body in files.items()}
    return {
        "rubygems_index": _index_site(index, history),
        "rubygems_api": _api_site(api | archives, gems, addresses["rubygems_api"]),
    }


def _index_document(body: bytes) -> Resource:
    """Return it with its digest, as the compact index sends it."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return document(body, "text/plain; charset=utf-8", headers=(("Repr-Digest", f"sha-256=:{digest}:"),))


def _index_site(documents: Mapping[str, Resource], history: RegistryHistory) -> Site:
    @cache
    def versions() -> Resource:
        return gem_list(history, {path.removeprefix("/info/"): found.body for path, found in documents.items()})

    def find(request: IncomingRequest) -> Resource:
        return versions() if request.path == "/versions" else documents.get(request.path) or missing()

    return find


def _api_site(documents: Mapping[str, Resource], gems: list[Gem], address: str) -> Site:
    def find(request: IncomingRequest) -> Resource:
        if request.path == "/api/v1/search.json":
            wanted = _searched(parse_qs(urlsplit(request.target).query).get("query", [""])[0])
            return json_document([_api_document(gem, address) for gem in gems if wanted in _searched(gem.name)])
        return documents.get(request.path) or missing()

    return find


def _searched(name: str) -> str:
    """The search takes a name for words, whatever stands between them."""
    return name.lower().replace("_", "-")


def _info(gem: Gem, files: Mapping[str, bytes]) -> bytes:
    lines = ["---"]
    for version in sorted(gem.versions, key=gem.date_of):
        if not version.yanked:
            lines += [_line(gem, version, platform, files) for platform in version.platforms]
    return "".join(f"{line}\n" for line in lines).encode()


def _line(gem: Gem, version: GemVersion, platform: str, files: Mapping[str, bytes]) -> str:
    token = version.number if platform == "ruby" else f"{version.number}-{platform}"
    needs = version.platform_needs.get(platform, version.needs)
    file = files.get(f"/gems/{_filename(gem, version, platform)}", b"")
    columns = [f"checksum:{hashlib.sha256(file).hexdigest()}", "ruby:>= 2.7&< 4"]
    if gem.index_has_dates:
        columns.append(f"created_at:{gem.date_of(version)}")
    return f"{token} {','.join(map(_dependency, needs))}|{','.join(columns)}"


def _dependency(need: Need) -> str:
    return f"{need.target}:{need.written}"


def _filename(gem: Gem, version: GemVersion, platform: str) -> str:
    return f"{gem.name}-{version.number}{'' if platform == 'ruby' else f'-{platform}'}.gem"


def _api_versions(gem: Gem) -> list[dict[str, Any]]:
    """Return the versions newest first, one entry for each file; without the homepage that the document about the
    gem has.
    """
    return [
        {
            "authors": "Somebody",
            "created_at": gem.date_of(version).replace("Z", ".000Z"),
            "metadata": {key: value for key, value in gem.links.items() if key != "homepage_uri"},
            "number": version.number,
            "platform": platform,
            "prerelease": any(character.isalpha() for character in version.number),
        }
        for version in reversed(gem.versions)
        if not version.yanked
        for platform in version.platforms
    ]


def _api_document(gem: Gem, address: str) -> dict[str, Any]:
    newest = gem.versions[-1]
    return {
        "name": gem.name,
        "downloads": 12_345,
        "version": newest.number,
        "version_created_at": gem.date_of(newest).replace("Z", ".000Z"),
        "platform": newest.platforms[0],
        "authors": "Somebody",
        "info": "Made.",
        "licenses": ["MIT"],
        "metadata": dict(gem.links),
        "yanked": False,
        "project_uri": f"{address}/gems/{gem.name}",
        "gem_uri": f"{address}/gems/{_filename(gem, newest, newest.platforms[0])}",
        **{link: gem.links.get(link) for link in LINKS},
        "dependencies": {
            "development": [{"name": "a-test-runner", "requirements": ">= 0"}],
            "runtime": [
                {"name": need.target, "requirements": ", ".join(need.written.split("&"))} for need in newest.needs
            ],
        },
    }
