"""This module knows the addresses of the page's own pages."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote

from securechain_ingest.errors import InvalidName
from securechain_ingest.model import PackageRef
from securechain_ingest.queue.messages import Message
from securechain_ingest.registries import DECLARATIONS, named_package

_BY_LABEL = {declaration.ecosystem.label: declaration for declaration in DECLARATIONS}


class Target(NamedTuple):
    """This is a package as a link: its words and its address."""

    text: str
    path: str


def path_of(ref: PackageRef, version: str | None = None) -> str:
    """Return the path of the page of a package, or of one of its versions."""
    name = ref.registry_name + (f"@{version}" if version else "")
    return f"/packages/{ref.ecosystem.name}/{quote(name, safe='/@:')}"


def path_of_purl(purl: str) -> str | None:
    """Return the path of the page of the package, or of the version, that a purl of the graph names. It is None if
    the purl is of no ecosystem of this release."""
    package, at, version = purl.rpartition("@")
    try:
        if not at or "/" in version:
            return path_of(named_package(purl))
        return path_of(named_package(package), unquote(version))
    except InvalidName:
        return None


def path_of_message(asks: object) -> Target | None:
    """Return the package that a message asks for. It is None if the message names none."""
    if not isinstance(asks, Message):
        return None
    declaration = _BY_LABEL[asks.node_type]
    try:
        ref = declaration.identify(asks.package)
    except InvalidName:
        return None
    return Target(f"{declaration.name}:{asks.package}", path_of(ref))


def path_of_advisory(identifier: str) -> str:
    """Return the path of the page of an advisory, by its id or an alias."""
    return f"/advisories/{quote(identifier, safe='')}"
