"""What the attributes of a Rust item say about whether, where and under which name it exists.

Conditions (`cfg`) depend on the target, the compiler and the features that whoever builds chose. An item counts unless
no build of a library that depends on the crate can have it: one for tests or for documentation only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from securechain_ingest.registries.cargo.rust_tokens import Token, between_commas, string_value, tokens

_NEVER_SET: Final = frozenset({"test", "doctest", "doc", "docsrs", "false"})
_PROCEDURAL: Final = frozenset({"proc_macro", "proc_macro_attribute"})


@dataclass(slots=True)
class Attributes:
    """Of one item; those that are not read here are left out."""

    is_conditional: bool = False
    """Whether there are builds without the item."""
    is_impossible: bool = False
    """Whether no dependent's build has the item."""
    paths: list[str] = field(default_factory=list)
    """Files that hold the module instead of the usual one."""
    always_elsewhere: bool = False
    """Whether the module never is in the usual file."""
    is_exported_macro: bool = False
    is_procedural_macro: bool = False
    derive: str | None = None
    """The name of the derive macro that the function implements."""

    def add(self, source: str, group: Token) -> None:
        """Take in one attribute, given as its bracketed group."""
        self._read(source, tokens(source, group.start + 1, group.end - 1), conditional=False)

    def _read(self, source: str, parts: list[Token], *, conditional: bool) -> None:
        if len(parts) > 1 and parts[0].text == "unsafe":
            parts = tokens(source, parts[1].start + 1, parts[1].end - 1)
        if not parts:
            return
        arguments = tokens(source, parts[1].start + 1, parts[1].end - 1) if _opens(parts, 1) else []
        match parts[0].text:
            case "cfg":
                self.is_conditional = True
                self.is_impossible |= not conditional and _holds(source, arguments) is False
            case "cfg_attr":
                condition, *attributes = list(between_commas(arguments)) or [[]]
                verdict = _holds(source, condition)
                for attribute in attributes if verdict is not False else ():
                    self._read(source, attribute, conditional=conditional or verdict is None)
            case "path" if len(parts) > 2 and (path := string_value(parts[2].text)):
                self.paths.append(path)
                self.always_elsewhere |= not conditional
            case "macro_export":
                self.is_exported_macro = True
            case "proc_macro_derive" if arguments:
                self.derive = arguments[0].text
            case name if name in _PROCEDURAL:
                self.is_procedural_macro = True


def _opens(parts: list[Token], index: int) -> bool:
    return len(parts) > index and parts[index].text == "("


def _holds(source: str, predicate: list[Token]) -> bool | None:
    """Whether a condition is true in every build, in none, or in some (None)."""
    if not predicate:
        return None
    if not _opens(predicate, 1):
        return False if len(predicate) == 1 and predicate[0].text in _NEVER_SET else None
    inner = tokens(source, predicate[1].start + 1, predicate[1].end - 1)
    verdicts = {_holds(source, part) for part in between_commas(inner)}
    match predicate[0].text:
        case "all":
            return False if False in verdicts else None if None in verdicts else True
        case "any":
            return True if True in verdicts else None if None in verdicts else False
        case "not":
            verdict = verdicts.pop() if len(verdicts) == 1 else None
            return None if verdict is None else not verdict
        case _:
            return None
