"""The ecosystems, one folder each, and their registration: one line here adds a seventh."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from securechain_ingest.archives.pool import ParserPool
from securechain_ingest.archives.remote import ArchiveReader
from securechain_ingest.errors import InvalidName
from securechain_ingest.http.client import HttpClient
from securechain_ingest.model import PackageRef
from securechain_ingest.registries.npm.client import Npm
from securechain_ingest.registries.protocol import Registry
from securechain_ingest.registries.pypi.client import PyPI

REGISTRIES = (PyPI, Npm)

_WORDS = {registry.ecosystem.name: registry for registry in REGISTRIES}


def registry_class(word: str) -> type[PyPI] | type[Npm]:
    """The registry that a word on the command line means, such as `pypi`. Raises InvalidName."""
    try:
        return _WORDS[word.lower()]
    except KeyError:
        raise InvalidName(f"{word} is no ecosystem of this release, which knows {', '.join(_WORDS)}") from None


def build_registries(http: HttpClient, archives: ArchiveReader, pool: ParserPool) -> Mapping[str, Registry]:
    """Every registered ecosystem's registry, by the `node_type` of messages (the graph label)."""
    built: tuple[Registry, ...] = tuple(registry(http, archives, pool) for registry in REGISTRIES)
    return {registry.ecosystem.label: registry for registry in built}


def named_package(text: str) -> PackageRef:
    """The identity behind `pypi:six`, `npm:@babel/core` or a purl. Raises InvalidName."""
    if text.startswith("pkg:"):
        # Not packageurl's parser: it folds the case of npm's names, and the old ones with capitals need theirs.
        word, _, path = text.removeprefix("pkg:").partition("/")
        name = unquote(path.partition("?")[0])
        if not name or "@" in name.removeprefix("@"):
            raise InvalidName(f"{text} is no package URL without a version, such as pkg:pypi/six")
    else:
        word, separator, name = text.partition(":")
        if not separator or not name:
            raise InvalidName(f"{text} names no package: write an ecosystem and a name, such as pypi:{text or 'six'}")
    return registry_class(word).identify(name)
