"""This module says which profiles of a POM are active (maven.apache.org, "Introduction to Build Profiles").

A published POM's profiles depend on who builds with it. Here that is always the same machine: Linux on amd64 with JDK
17, no properties on the command line, no environment variables, no files beside the POM.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from lxml import etree

from securechain_ingest.registries.maven.xml import children, text_of

JDK: Final = "17.0.15"

_OS: Final = {"name": "linux", "arch": "amd64"}
_FAMILY: Final = "unix"
_OS_CONDITIONS: Final = frozenset({"name", "family", "arch", "version"})
_SYSTEM_PROPERTIES: Final = {
    "java.version": JDK,
    "java.specification.version": "17",
    "java.vm.specification.version": "17",
    "java.class.version": "61.0",
    "os.name": "Linux",
    "os.arch": "amd64",
    "file.separator": "/",
    "path.separator": ":",
    "line.separator": "\n",
    "file.encoding": "UTF-8",
    "sun.arch.data.model": "64",
}
_UNKNOWN_PROPERTIES: Final = frozenset(
    {"java.home", "java.io.tmpdir", "java.runtime.name", "java.runtime.version", "java.vendor", "java.vendor.url"}
    | {"java.vm.name", "java.vm.vendor", "java.vm.version", "java.class.path", "java.library.path", "os.version"}
    | {"user.dir", "user.home", "user.name", "maven.version", "maven.home", "maven.build.version"}
)
"""Every Maven has these, with one value or another."""

_ABSOLUTE: Final = ("/", "${user.home}", "${java.home}")
_JDK_NUMBERS: Final = tuple(map(int, JDK.split(".")))
_INTEGER: Final = re.compile(r"[+-]?\d{1,20}")
_INTEGERS: Final = 2**31
_ENDLESS: Final = ("99999999", False)


def active_profiles(profiles: Iterable[etree._Element]) -> list[dict[str, etree._Element]]:
    """Return the elements of the active profiles, in the order of the POM. Those active by default count only if no
    other one is active."""
    active: list[dict[str, etree._Element]] = []
    by_default: list[dict[str, etree._Element]] = []
    for profile in profiles:
        parts = children(profile)
        activation = children(parts.get("activation"))
        if _is_active(activation):
            active.append(parts)
        elif "activeByDefault" in activation and text_of(activation["activeByDefault"]).lower() == "true":
            by_default.append(parts)
    return active or by_default


def _is_active(activation: dict[str, etree._Element]) -> bool:
    """Return whether there are conditions and all of them hold."""
    conditions = [condition(activation[name]) for name, condition in _CONDITIONS.items() if name in activation]
    return bool(conditions) and all(conditions)


def _jdk(element: etree._Element) -> bool:
    wanted = text_of(element)
    if wanted.startswith("!"):
        return not JDK.startswith(wanted[1:])
    if not wanted.startswith(("[", "(")):
        return JDK.startswith(wanted)
    try:
        return _is_in_range(wanted)
    except ValueError:
        # Maven refuses the whole POM then. What its other parts say is certain all the same.
        return False


def _is_in_range(wanted: str) -> bool:
    """Maven's JdkVersionProfileActivator reads a range so: the first two ends count, whatever follows. It raises
    ValueError."""
    low, high, *_ = (*_ends(wanted), _ENDLESS)
    from_low = _compare(*low, is_low=True)
    return from_low == 0 or (from_low > 0 and _compare(*high, is_low=False) <= 0)


def _ends(wanted: str) -> Iterator[tuple[str, bool]]:
    """Maven's `getRange` finds these ends, and whether each is included; a part without a bracket is not an end."""
    for part in _split(wanted, ","):
        for bracket, is_one in (
            ("[", part.startswith),
            ("(", part.startswith),
            ("]", part.endswith),
            (")", part.endswith),
        ):
            if is_one(bracket):
                yield part.replace(bracket, "").strip(), bracket in "[]"
                break
        else:
            if not part:
                yield "", False


def _compare(version: str, is_included: bool, *, is_low: bool) -> int:
    """Say where our JDK lies: -1 below, 0 at or 1 above an end of a range.

    Three numbers count, and only as many of them are read as it takes. It raises ValueError for a part that is not a
    number.
    """
    if not version:
        return 1 if is_low else -1
    for ours, text in zip(_JDK_NUMBERS, (*_split(version, "."), "0", "0"), strict=False):
        theirs = _number(text)
        if ours != theirs:
            return 1 if ours > theirs else -1
    if is_included:
        return 0
    return -1 if is_low else 1


def _split(text: str, separator: str) -> list[str]:
    """The text is split as Java does it: there are no empty parts at the end, but an empty text is one part."""
    parts = text.split(separator)
    while text and parts and not parts[-1]:
        parts.pop()
    return parts


def _number(text: str) -> int:
    """Return the number in a text, read as by Java's `Integer.parseInt`. It raises ValueError."""
    if not _INTEGER.fullmatch(text) or not -_INTEGERS <= int(text) < _INTEGERS:
        raise ValueError(text[:20])
    return int(text)


def _os(element: etree._Element) -> bool:
    wanted = {name: text_of(part).lower() for name, part in children(element).items() if name in _OS_CONDITIONS}
    return bool(wanted) and all(
        _is_this_os(name, value.removeprefix("!")) != value.startswith("!") for name, value in wanted.items()
    )


def _is_this_os(name: str, value: str) -> bool:
    if name == "family":
        # Maven looks for a family that it does not know in the name.
        return value == _FAMILY or value in _OS["name"]
    return _OS.get(name) == value


def _property(element: etree._Element) -> bool:
    parts = children(element)
    name = text_of(parts["name"]) if "name" in parts else ""
    value = text_of(parts["value"]) if "value" in parts else ""
    held = _SYSTEM_PROPERTIES.get(name.removeprefix("!"))
    if not name.removeprefix("!"):
        return False
    if value:
        # With a value Maven overlooks a negated name.
        return (held == value.removeprefix("!")) != value.startswith("!")
    is_set = held is not None or name.removeprefix("!") in _UNKNOWN_PROPERTIES
    return is_set != name.startswith("!")


def _file(element: etree._Element) -> bool:
    """No file exists. But Maven does not know where a published project lay, and overlooks paths below that folder."""
    parts = children(element)
    return "exists" not in parts and "missing" in parts and text_of(parts["missing"]).startswith(_ABSOLUTE)


_CONDITIONS: Final = {"jdk": _jdk, "os": _os, "property": _property, "file": _file}
