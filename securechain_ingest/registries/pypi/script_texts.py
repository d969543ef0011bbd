"""This module does with a script's texts what Python would, within bounds; anything else is unknown."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Final

from securechain_ingest.registries.pypi.script_types import UNKNOWN, Value, strings

_MAX_TEXT: Final = 1_000
"""This is in characters; a longer text that is put together is unknown."""
_SAME_PATH: Final = frozenset({"abspath", "absolute", "convert_path", "fspath", "normpath", "realpath", "resolve"})
_SAME_VALUE: Final = frozenset({"str", "Path", "PurePath", "PurePosixPath"})
_FIELD: Final = re.compile(r"%s|\{\w*\}")


def text_of(parts: Iterable[Value]) -> Value:
    """Return the texts put together. The result is unknown if a part is no text, or if it would be too long."""
    texts = list(parts)
    if not all(isinstance(part, str) for part in texts) or sum(map(len, strings(texts))) > _MAX_TEXT:
        return UNKNOWN
    return "".join(strings(texts))


def path_of(parts: Iterable[Value]) -> Value:
    """Return the path that the parts make. An empty part is the script's own folder."""
    found = [part for part in parts if part != ""]
    return "/".join(strings(found)) if all(isinstance(part, str) for part in found) else UNKNOWN


def filled(template: str, given: list[Value], named: Mapping[str, Value]) -> Value:
    """Return the text with its fields filled. Only plain fields (`%s`, `{}`, `{0}`, `{name}`) are understood."""
    parts: list[Value] = []
    position = count = 0
    for field in _FIELD.finditer(template):
        key = field[0].strip("{}%s") if field[0] != "%s" else ""
        if key and not key.isdecimal():
            value = named.get(key, UNKNOWN)
        else:
            index = int(key[:3]) if key else count
            value = given[index] if index < len(given) else UNKNOWN
            count += key == ""
        parts += [template[position : field.start()], value]
        position = field.end()
    parts.append(template[position:])
    has_others = any("%" in part or "{" in part for part in strings(parts[::2]))
    return UNKNOWN if has_others else text_of(parts)


def path_function(name: str, given: list[Value]) -> Value:
    """Return what a function of `os.path`, such as `dirname`, makes of the paths that it is given."""
    if len(given) == 1 and isinstance(path := given[0], str):
        if name in _SAME_PATH or name in _SAME_VALUE:
            return path
        if name == "dirname":
            return posixpath.dirname(path)
        if name == "basename":
            return posixpath.basename(path)
        if name == "split":
            return [*posixpath.split(path)]
    return path_of(given) if name in _SAME_VALUE and given else UNKNOWN


def text_method(text: str, name: str, given: list[Value], named: Mapping[str, Value]) -> Value:
    """Return what a method of a text or of a path returns."""
    if name == "format":
        return filled(text, given, named)
    if name == "joinpath":
        return path_of([text, *given])
    if name in _SAME_PATH:
        return text
    arguments = strings(given)
    if len(arguments) < len(given) or max(map(len, (text, *arguments))) > _MAX_TEXT:
        return UNKNOWN
    match name, arguments:
        case "split", (separator,) if separator:
            return [*text.split(separator)]
        case "split", ():
            return [*text.split()]
        case "strip", ():
            return text.strip()
        case "replace", (old, new):
            return text_of([text.replace(old, new)])
        case "startswith", (part,):
            return text.startswith(part)
        case "endswith", (part,):
            return text.endswith(part)
    return UNKNOWN
