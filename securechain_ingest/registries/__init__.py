"""Each ecosystem has a folder and is registered by one line here.

What needs a connection, and so imports much, is in `building`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final
from urllib.parse import unquote

from securechain_ingest.errors import InvalidName
from securechain_ingest.model import Ecosystem, PackageRef
from securechain_ingest.registries.declaration import Declaration

_REGISTERED: Final = (
    "securechain_ingest.registries.pypi",
    "securechain_ingest.registries.npm",
    "securechain_ingest.registries.maven",
    "securechain_ingest.registries.cargo",
    "securechain_ingest.registries.rubygems",
    "securechain_ingest.registries.nuget",
)
"""Each of these packages has a module `declaration`."""


def _declared_in(package: str) -> Declaration:
    declaration: Declaration = import_module(f"{package}.declaration").DECLARATION
    return declaration


DECLARATIONS: Final = tuple(map(_declared_in, _REGISTERED))
"""Whatever is derived from the declarations keeps their order."""

PARSERS: Final = tuple(
    f"{package}.{module}"
    for package, declaration in zip(_REGISTERED, DECLARATIONS, strict=True)
    for module in declaration.parsers
)
"""These modules have the functions that run in parser processes."""

ECOSYSTEMS: Final[tuple[Ecosystem, ...]] = tuple(declaration.ecosystem for declaration in DECLARATIONS)

BY_OSV: Final = {
    declaration.ecosystem.osv: declaration for declaration in DECLARATIONS if declaration.ecosystem.osv is not None
}
"""These are the ecosystems that OSV has, by OSV's names of them."""

_BY_WORD: Final = {word: declaration for declaration in DECLARATIONS for word in declaration.words}


def declaration_of(word: str) -> Declaration:
    """Return the ecosystem that a word in any case means: its name, its purl type or another of its words.

    It raises InvalidName.
    """
    try:
        return _BY_WORD[word.lower()]
    except KeyError:
        known = ", ".join(ecosystem.name for ecosystem in ECOSYSTEMS)
        raise InvalidName(f"{word} is no ecosystem of this release, which knows {known}") from None


def named_package(text: str) -> PackageRef:
    """Return the identity of a package that is given as `pypi:six`, `maven:org.antlr:ST4` or a purl. It raises
    InvalidName."""
    if not text.startswith("pkg:"):
        word, separator, name = text.partition(":")
        if not separator or not name:
            first = DECLARATIONS[0]
            example = f"{first.name}:{first.example if separator or not text else text}"
            raise InvalidName(f"{text} names no package: write an ecosystem and a name, such as {example}")
        return declaration_of(word).identify(name)
    # Not packageurl's parser: it folds the case of npm's names, and the old ones with capitals need theirs.
    word, _, path = text.removeprefix("pkg:").lstrip("/").partition("/")
    # Empty segments mean nothing (purl specification); some programs encode twice, and no name has a percent sign.
    segments = filter(None, path.partition("#")[0].partition("?")[0].split("/"))
    name = unquote(unquote("/".join(segments)))
    if not name or "@" in name.removeprefix("@"):
        example = DECLARATIONS[0].identify(DECLARATIONS[0].example).purl
        raise InvalidName(f"{text} is no package URL without a version, such as {example}")
    declaration = declaration_of(word)
    return declaration.identify(name.replace("/", declaration.ecosystem.namespace_separator))
