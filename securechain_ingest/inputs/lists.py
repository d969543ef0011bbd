"""This module reads lists of packages in the forms that users have: names, purls, requirements.txt, or messages, one
in each line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement

from securechain_ingest.errors import InvalidName, PoisonMessage
from securechain_ingest.model import PackageRef
from securechain_ingest.queue.messages import Message, parse_data
from securechain_ingest.registries import named_package
from securechain_ingest.registries.naming import named_version

_REQUIREMENTS = "pypi"
"""A line without an ecosystem is read as a requirement of this one, as pip reads it."""

_COMMENT = re.compile(r"(?:^|\s+)#.*")
"""A comment begins only after white space, because a URL may have the sign in it."""

_OPTIONS = re.compile(r"\s+-.*")
"""Behind a requirement pip takes options of its own, such as --hash and --config-settings."""

_ELSEWHERE = re.compile(
    r"""
    (?:[\w.+-]+:)?//|file:|(?:git|hg|svn|bzr)\+|git@  # an address
    |\.(?:$|[./\\\[;\s])|[A-Za-z]:[/\\]|[^@:;\s]+[/\\]|/  # a folder
    |[^@:;\s]*\.(?:whl|zip|tar(?:\.(?:gz|bz2|xz|lz|lzma))?|tgz|tbz|txz|tlz)(?:$|[\[;\s])  # a file
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""This is what pip installs from an address, a repository, a folder or a file (its documentation, "Requirements File
Format"), with the extras and the marker that may stand behind it."""


@dataclass(frozen=True, slots=True)
class PackageList:
    """This is what a list names."""

    packages: tuple[PackageRef, ...]
    messages: tuple[Message, ...]
    passed_over: tuple[str, ...]
    """These lines name no package of a registry and are not meant to: options of pip, addresses and paths."""
    unknown_keys: tuple[str, ...]
    """These are keys in messages that the product does not read."""


def read_list(lines: Iterable[str], name: str) -> PackageList:
    """Return what the lines name; each line may have another form. Empty lines and comments are left out.

    The forms are `npm:left-pad`, a purl (its version is left out), a requirement for pip, and a JSON message of the
    contract. It raises InvalidName or PoisonMessage with the list's `name` and the number of the line.
    """
    packages: dict[str, PackageRef] = {}
    messages: list[Message] = []
    passed_over: list[str] = []
    unknown: set[str] = set()
    for number, line in _joined(lines):
        try:
            if line.startswith("{"):
                messages.append(parse_data(line, unknown=unknown.update))
            elif line.startswith("-") or _ELSEWHERE.match(line):
                passed_over.append(line)
            else:
                ref = _package(line)
                packages.setdefault(ref.purl, ref)
        except PoisonMessage as error:
            raise PoisonMessage(f"{name} line {number}: {error}", kind=error.kind) from error
        except InvalidName as error:
            raise InvalidName(f"{name} line {number}: {error}") from error
    return PackageList(tuple(packages.values()), tuple(messages), tuple(passed_over), tuple(sorted(unknown)))


def _joined(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines with their numbers and without comments. A line that ends in a backslash continues in the next
    one, which is how pip writes hashes."""
    began, text = 0, ""
    for number, line in enumerate(lines, start=1):
        began = began or number
        stripped = line.strip()
        # A comment never goes on in the next line, which may name a package.
        if stripped.endswith("\\") and not stripped.startswith(("{", "#")):
            text += f"{stripped.removesuffix(chr(92))} "
            continue
        if whole := _without_comment(text + stripped):
            yield began, whole
        began, text = 0, ""
    if whole := _without_comment(text):
        yield began, whole


def _without_comment(text: str) -> str:
    text = text.strip()
    return text if text.startswith("{") else _COMMENT.sub("", text)


def _package(line: str) -> PackageRef:
    if line.startswith("pkg:"):
        return named_version(line)[0]
    try:
        requirement = Requirement(_OPTIONS.sub("", line))
    except InvalidRequirement:
        # The line is no requirement of pip's: it is an ecosystem and a name, or it names no package.
        return named_version(line)[0]
    return named_package(f"{_REQUIREMENTS}:{requirement.name}")
