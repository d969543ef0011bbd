"""This is how the plain loop reads each registry: one request a version, nothing kept, whole archives.

Where the original asked an endpoint that made registries do not serve (an API a version), the document that they have
is asked for as often instead.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote
from xml.etree import ElementTree as ET

import httpx
import yaml
from packaging.requirements import Requirement

Requirements: TypeAlias = dict[str, str]
"""These are constraints by the target's name."""

Found: TypeAlias = tuple[list[str], dict[str, Requirements]]
"""These are import names, and what each version requires."""

Read: TypeAlias = Callable[[httpx.Client, Mapping[str, str], str], Found]
"""This reads one package, by the endpoints' base URLs and its name."""

_POM = re.compile(r"\{[^}]*\}")


def read_pypi(http: httpx.Client, endpoints: Mapping[str, str], name: str) -> Found:
    document = _json(http, f"{endpoints['pypi']}/pypi/{name}/json")
    requirements: dict[str, Requirements] = {}
    for version in document["releases"]:
        url = f"{endpoints['pypi']}/pypi/{name}/{quote(version)}/json"
        parsed = [Requirement(line) for line in _json(http, url)["info"]["requires_dist"] or ()]
        requirements[version] = {
            each.name: str(each.specifier) or "any"
            for each in parsed
            if each.marker is None or each.marker.evaluate({"extra": ""})
        }
    # The first wheel, else the first source archive.
    files = sorted(document["urls"], key=lambda file: not file["filename"].endswith(".whl"))
    paths = _paths(_bytes(http, files[0]["url"])) if files else []
    return [path.removesuffix(".py").replace("/", ".") for path in paths if path.endswith(".py")], requirements


def read_npm(http: httpx.Client, endpoints: Mapping[str, str], name: str) -> Found:
    url = f"{endpoints['npm_registry']}/{name.replace('/', '%2F')}"
    _json(http, url)
    document = _json(http, url)  # the original asks for each packument twice
    versions: dict[str, Any] = document["versions"]
    requirements = {version: dict(entry.get("dependencies") or {}) for version, entry in versions.items()}
    newest = versions[document["dist-tags"]["latest"]]
    paths = _paths(_bytes(http, newest["dist"]["tarball"]))
    return [path for path in paths if path.endswith(".js")], requirements


def read_maven(http: httpx.Client, endpoints: Mapping[str, str], name: str) -> Found:
    """Read only what a POM itself declares, as the original does: no parents, properties or managed versions."""
    group, artifact = name.split(":")
    folder = f"{endpoints['maven_central']}/{group.replace('.', '/')}/{artifact}"
    metadata = ET.fromstring(_bytes(http, f"{folder}/maven-metadata.xml"))
    versions = [element.text or "" for element in metadata.findall("./versioning/versions/version")]
    requirements = {version: _declared(http, f"{folder}/{version}/{artifact}-{version}.pom") for version in versions}
    jar = http.get(f"{folder}/{versions[-1]}/{artifact}-{versions[-1]}.jar")
    paths = _paths(jar.content) if jar.status_code == 200 else []
    return sorted(
        {path.rpartition("/")[0].replace("/", ".") for path in paths if path.endswith(".class")}
    ), requirements


def read_cargo(http: httpx.Client, endpoints: Mapping[str, str], name: str) -> Found:
    lower = name.lower()
    folder = f"{len(lower)}/{lower[:1]}" if len(lower) == 3 else f"{lower[:2]}/{lower[2:4]}"
    url = f"{endpoints['crates_index']}/{folder if len(lower) > 2 else len(lower)}/{lower}"
    lines = [json.loads(line) for line in _bytes(http, url).splitlines()]
    requirements: dict[str, Requirements] = {}
    for line in lines:
        _bytes(http, url)  # the original asks the API for the dependencies of each version
        requirements[line["vers"]] = {each.get("package") or each["name"]: each["req"] for each in line["deps"]}
    newest = lines[-1]["vers"]
    paths = _paths(_bytes(http, f"{endpoints['crates_static']}/crates/{name}/{name}-{quote(newest)}.crate"))
    return [path.removesuffix(".rs").replace("/", "::") for path in paths if path.endswith(".rs")], requirements


def read_rubygems(http: httpx.Client, endpoints: Mapping[str, str], name: str) -> Found:
    url = f"{endpoints['rubygems_index']}/info/{name}"
    lines = [line.partition(" ") for line in _bytes(http, url).decode().splitlines() if line != "---"]
    requirements: dict[str, Requirements] = {}
    for version, _, rest in lines:
        _bytes(http, url)  # the original asks the API for the dependencies of each version
        declared = rest.partition("|")[0]
        requirements[version] = dict(each.split(":", 1) for each in declared.split(",") if each)
    http.get(f"{endpoints['rubygems_api']}/api/v1/gems/{name}.json")
    body = _bytes(http, f"{endpoints['rubygems_api']}/gems/{name}-{lines[-1][0]}.gem")
    with tarfile.open(fileobj=io.BytesIO(body)) as gem:
        member = gem.extractfile("metadata.gz")
        assert member is not None
        # Scalars only: a gemspec's objects are Ruby's.
        tokens = yaml.scan(gzip.decompress(member.read()), Loader=yaml.CSafeLoader)
        values = [str(token.value) for token in tokens if isinstance(token, yaml.ScalarToken)]
    return [value.removesuffix(".rb") for value in values if value.endswith(".rb")], requirements


def read_nuget(http: httpx.Client, endpoints: Mapping[str, str], name: str) -> Found:
    lower = name.lower()
    services = _json(http, f"{endpoints['nuget_api']}/v3/index.json")["resources"]
    bases = {service["@type"]: service["@id"].rstrip("/") for service in services}
    index = _json(http, f"{bases['RegistrationsBaseUrl/3.6.0']}/{lower}/index.json")
    requirements: dict[str, Requirements] = {}
    for page in index["items"]:
        for item in page.get("items") or _json(http, page["@id"])["items"]:
            entry = item["catalogEntry"]
            needs = [need for group in entry.get("dependencyGroups", ()) for need in group.get("dependencies", ())]
            requirements[entry["version"]] = {need["id"]: need.get("range") or "any" for need in needs}
    newest = list(requirements)[-1].lower().partition("+")[0]
    nupkg = http.get(f"{bases['PackageBaseAddress/3.0.0']}/{lower}/{newest}/{lower}.{newest}.nupkg")
    paths = _paths(nupkg.content) if nupkg.status_code == 200 else []
    return [path.rpartition("/")[2].removesuffix(".dll") for path in paths if path.endswith(".dll")], requirements


READERS: Mapping[str, Read] = {
    "pypi": read_pypi,
    "npm": read_npm,
    "maven": read_maven,
    "cargo": read_cargo,
    "rubygems": read_rubygems,
    "nuget": read_nuget,
}


def _declared(http: httpx.Client, url: str) -> Requirements:
    response = http.get(url)
    if response.status_code != 200:
        return {}
    pom = ET.fromstring(response.content)
    for element in pom.iter():
        element.tag = _POM.sub("", element.tag)
    return {
        f"{each.findtext('groupId')}:{each.findtext('artifactId')}": each.findtext("version") or "any"
        for each in pom.findall("./dependencies/dependency")
    }


def _paths(archive: bytes) -> list[str]:
    if archive.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
            return zipped.namelist()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tarball:
        return tarball.getnames()


def _json(http: httpx.Client, url: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_bytes(http, url))
    return document


def _bytes(http: httpx.Client, url: str) -> bytes:
    return http.get(url).raise_for_status().content
