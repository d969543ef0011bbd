"""This module reads a gem's own description, the YAML of its `metadata.gz`, without constructing anything.

The format is Gem::Specification's YAML (RubyGems' "Specification Reference"). The document is walked event by event:
tags are not followed, an alias is the same list or text that it names (so that a bomb stays as small as it is written),
and depth is bounded (libyaml takes time that grows with its square).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import yaml

from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.registries.kit.licenses import license_of
from securechain_ingest.registries.rubygems.repository import repository_of

_Value: TypeAlias = "str | list[Any] | dict[str, Any]"

_FILES: Final = ("files", "test_files", "extra_rdoc_files", "extensions")
"""RubyGems has the files of all these lists in a gem; old ones do not repeat the others' in `files`."""

_DEFAULT_REQUIRE_PATHS: Final = ("lib",)
_MAX_DEPTH: Final = 100
_MAX_DIRECTIVES: Final = 1000
"""RubyGems writes no directives, and libyaml compares each with all before it."""


@dataclass(frozen=True, slots=True)
class Gemspec:
    """This is what counts of a gemspec."""

    name: str | None
    files: tuple[str, ...]
    """These are paths inside the gem; it is empty if the gemspec does not list them."""
    require_paths: tuple[str, ...]
    """`require` looks in these folders."""
    repository_url: str | None
    """The repository is normalised."""
    license: str | None


def parse_gemspec(body: bytes) -> Gemspec:
    """Return what a gemspec says. It raises ArchiveRefused for a text that is not YAML, or not a mapping."""
    # Author's names in old encodings are common; they must not cost the rest.
    text = body.decode("utf-8", "replace")
    if text.count("\n%") > _MAX_DIRECTIVES:
        raise ArchiveRefused("the gem's metadata have too many directives", reason="bad_metadata")
    try:
        document = _document(text)
    except yaml.YAMLError as error:
        raise ArchiveRefused(f"the gem's metadata is no YAML: {error}"[:500], reason="bad_metadata") from error
    if not isinstance(document, dict):
        raise ArchiveRefused("the gem's metadata is no specification", reason="bad_metadata")
    name = document.get("name")
    return Gemspec(
        name=name if isinstance(name, str) and name else None,
        files=tuple(dict.fromkeys(file for key in _FILES for file in _nested_texts(document.get(key)))),
        require_paths=tuple(_texts(document.get("require_paths"))) or _DEFAULT_REQUIRE_PATHS,
        repository_url=repository_of(document),
        license=license_of(document.get("licenses"), document.get("license")),
    )


def _texts(value: object) -> Iterator[str]:
    """Each text comes once, because an alias may repeat a long one at the price of two letters."""
    entries = value if isinstance(value, list) else [value]
    return iter(dict.fromkeys(entry for entry in entries if isinstance(entry, str) and entry))


def _nested_texts(value: object) -> Iterator[str]:
    """A list may have lists of texts in it, but no deeper ones: RubyGems makes all of them one list. Each list comes
    once, because aliases may repeat a long one, too."""
    entries = value if isinstance(value, list) else [value]
    for entry in {id(entry): entry for entry in entries}.values():
        yield from _texts(entry)


def _document(text: str) -> _Value | None:
    """The first document is read: mappings, sequences and scalars become dict, list and text, whatever their tags
    say."""
    root: list[Any] = []
    # Each open collection; a mapping also with the key that waits for its value.
    stack: list[tuple[list[Any] | dict[str, Any], list[Any]]] = [(root, [])]
    anchors: dict[str, Any] = {}
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        match event:
            case yaml.ScalarEvent():
                value: Any = _scalar(event)
            case yaml.SequenceStartEvent():
                value = []
            case yaml.MappingStartEvent():
                value = {}
            case yaml.AliasEvent():
                value = anchors.get(event.anchor or "")
            case yaml.CollectionEndEvent():
                stack.pop()
                continue
            case yaml.DocumentEndEvent():
                break
            case _:
                continue
        _add(*stack[-1], value)
        if isinstance(event, yaml.CollectionStartEvent):
            stack.append((value, []))
            if len(stack) > _MAX_DEPTH:
                raise ArchiveRefused("the gem's metadata are nested too deeply", reason="bad_metadata")
        if isinstance(event, yaml.NodeEvent) and event.anchor and not isinstance(event, yaml.AliasEvent):
            anchors[event.anchor] = value
    return root[0] if root else None


def _add(collection: list[Any] | dict[str, Any], waiting: list[Any], value: Any) -> None:
    if isinstance(collection, list):
        collection.append(value)
    elif not waiting:
        waiting.append(value)
    else:
        key = waiting.pop()
        if isinstance(key, str):
            collection[key] = value


def _scalar(event: yaml.ScalarEvent) -> str:
    """Ruby 1.9 wrote texts of an unknown encoding as `!binary`, which are decoded here."""
    text = str(event.value)
    if event.tag is None or not event.tag.endswith("binary"):
        return text
    try:
        return base64.b64decode(text).decode("utf-8", "replace")
    except binascii.Error:
        return text
