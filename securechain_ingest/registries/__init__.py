"""The ecosystems, one folder each, and their registration: one line here adds a seventh."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import ArchiveReader
from securechain_ingest.errors import InvalidName
from securechain_ingest.http.client import HttpClient
from securechain_ingest.model import Ecosystem, PackageRef
from securechain_ingest.registries.cargo.client import Cargo
from securechain_ingest.registries.feed import Feed
from securechain_ingest.registries.maven.client import Maven
from securechain_ingest.registries.npm.client import Npm
from securechain_ingest.registries.nuget.client import NuGet
from securechain_ingest.registries.protocol import Registry, RegistryClass
from securechain_ingest.registries.pypi.client import PyPI
from securechain_ingest.registries.rubygems.client import RubyGems

REGISTRIES: Final[tuple[RegistryClass, ...]] = (
    PyPI,
    Npm,
    Maven,
    Cargo,
    RubyGems,
    NuGet,
)

_BY_NAME: Final = {registry.ecosystem.name: registry for registry in REGISTRIES}
_BY_PURL_TYPE: Final = {registry.ecosystem.purl_type: registry for registry in REGISTRIES}
_OTHER_WORDS: Final = {"crates": "cargo", "crates.io": "cargo"}


def registry_class(word: str) -> RegistryClass:
    """The registry that a word such as `pypi`, or a purl's type such as `gem`, means. Raises InvalidName."""
    name = _OTHER_WORDS.get(word.lower(), word.lower())
    try:
        return _BY_NAME.get(name) or _BY_PURL_TYPE[name]
    except KeyError:
        raise InvalidName(f"{word} is no ecosystem of this release, which knows {', '.join(_BY_NAME)}") from None


def build_registries(http: HttpClient, archives: ArchiveReader, pool: ParserPool) -> Mapping[str, Registry]:
    """Every registered ecosystem's registry, by the `node_type` of messages (the graph label)."""
    return {
        registry.ecosystem.label: registry(http, archives.of(_parser_of(registry.ecosystem)), pool)
        for registry in REGISTRIES
    }


def _parser_of(ecosystem: Ecosystem) -> str:
    return f"{ecosystem.name} {ecosystem.import_names_version}"


def build_feeds(http: HttpClient, pool: ParserPool, folder: Path) -> Mapping[str, Feed]:
    """Every registered ecosystem's feed, by its name; each with a folder of its own below `folder`."""
    feeds = {}
    for registry in REGISTRIES:
        own = folder / registry.ecosystem.name
        own.mkdir(parents=True, exist_ok=True)
        feeds[registry.ecosystem.name] = registry.feed(http, pool, own)
    return feeds


def named_package(text: str) -> PackageRef:
    """The identity behind `pypi:six`, `maven:org.antlr:ST4`, `npm:@babel/core` or a purl. Raises InvalidName."""
    if not text.startswith("pkg:"):
        word, separator, name = text.partition(":")
        if not separator or not name:
            raise InvalidName(f"{text} names no package: write an ecosystem and a name, such as pypi:{text or 'six'}")
        return registry_class(word).identify(name)
    # Not packageurl's parser: it folds the case of npm's names, and the old ones with capitals need theirs.
    word, _, path = text.removeprefix("pkg:").lstrip("/").partition("/")
    name = unquote(path.partition("#")[0].partition("?")[0])
    if not name or "@" in name.removeprefix("@"):
        raise InvalidName(f"{text} is no package URL without a version, such as pkg:pypi/six")
    registry = registry_class(word)
    return registry.identify(name.replace("/", registry.ecosystem.namespace_separator))
