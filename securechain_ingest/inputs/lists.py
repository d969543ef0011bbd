"""Lists of packages as people have them: names, purls, requirements.txt, or messages, a line each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement

from securechain_ingest.errors import InvalidName, PoisonMessage
from securechain_ingest.model import PackageRef
from securechain_ingest.queue.messages import Message, parse_data
from securechain_ingest.registries import named_package
from securechain_ingest.registries.naming import named_version

_REQUIREMENTS = "pypi"
"""What a line without an ecosystem is a requirement of, as pip reads it."""


@dataclass(frozen=True, slots=True)
class PackageList:
    """What a list names."""

    packages: tuple[PackageRef, ...]
    messages: tuple[Message, ...]
    passed_over: tuple[str, ...]
    """Lines that name no package and are none by intention: pip's options."""
    unknown_keys: tuple[str, ...]
    """Keys of messages that nobody reads."""


def read_list(lines: Iterable[str], name: str) -> PackageList:
    """What the lines name; each may be of another form. Empty ones and comments say nothing.

    Forms: `npm:left-pad`, a purl (its version is left out), a requirement for pip, a JSON message of the contract.
    Raises InvalidName or PoisonMessage with the list's `name` and the number of the line.
    """
    packages: dict[str, PackageRef] = {}
    messages: list[Message] = []
    passed_over: list[str] = []
    unknown: set[str] = set()
    for number, line in _joined(lines):
        try:
            if line.startswith("{"):
                messages.append(parse_data(line, unknown=unknown.update))
            elif line.startswith("-"):
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
    """Numbered lines without comments; one that ends in a backslash goes on in the next, as pip writes hashes."""
    began, text = 0, ""
    for number, line in enumerate(lines, start=1):
        began = began or number
        stripped = line.strip()
        if stripped.endswith("\\") and not stripped.startswith("{"):
            text += f"{stripped.removesuffix(chr(92))} "
            continue
        if whole := _without_comment(text + stripped):
            yield began, whole
        began, text = 0, ""
    if whole := _without_comment(text):
        yield began, whole


def _without_comment(text: str) -> str:
    text = text.strip()
    if text.startswith(("{", "pkg:")):
        return text
    # Behind a space only: a URL may have the sign in it.
    return "" if text.startswith("#") else text.partition(" #")[0].strip()


def _package(line: str) -> PackageRef:
    if line.startswith("pkg:"):
        return named_version(line)[0]
    try:
        requirement = Requirement(line.partition(" --hash")[0])
    except InvalidRequirement:
        # Not pip's: an ecosystem and a name, or nothing that means a package.
        return named_version(line)[0]
    return named_package(f"{_REQUIREMENTS}:{requirement.name}")
