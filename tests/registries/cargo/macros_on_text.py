"""Macros that expand from text to text, token by token, to compare with the product's, which work on token trees.

Every call is taken apart and written out anew. The rules are in The Rust Reference, "Macros by example".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

from securechain_ingest.registries.cargo.allowance import Allowance, TooMuch
from securechain_ingest.registries.cargo.rust_fragments import fragment_end
from securechain_ingest.registries.cargo.rust_lexemes import CLOSING
from securechain_ingest.registries.cargo.rust_tokens import (
    MAX_TOKENS,
    Token,
    tokens,
    with_documentation_as_attributes,
)
from securechain_ingest.registries.cargo.token_trees import TokenTrees

MAX_NESTING: Final = 64
"""Brackets in a macro's definition may be nested so deep."""

_STEPS_A_CALL: Final = 40
"""A call costs so much besides, in the time that a step takes."""

_CHARACTERS_A_STEP: Final = 64
"""A scan for the end of a group gets about that far while a token is looked at."""

_REPETITIONS: Final = frozenset("*+?")


@dataclass(frozen=True, slots=True)
class _Plain:
    text: str


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str
    fragment: str


@dataclass(frozen=True, slots=True)
class _Group:
    opening: str
    nodes: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Repetition:
    nodes: tuple[_Node, ...]
    separator: str
    operator: str
    names: tuple[str, ...]
    """These are the names of all variables within."""


@dataclass(slots=True)
class _TokenRun:
    """A repetition of token trees was matched by all that stands in a group; mostly it is passed on as it stands."""

    text: str
    _texts: list[_Binding] | None = None

    def texts(self) -> list[_Binding]:
        """The result has the token trees one by one."""
        if self._texts is None:
            self._texts = [self.text[token.start : token.end] for token in tokens(self.text, 0, len(self.text))]
        return self._texts


_Node: TypeAlias = _Plain | _Variable | _Group | _Repetition
_Binding: TypeAlias = str | list["_Binding"] | _TokenRun
_Rule: TypeAlias = tuple[tuple[_Node, ...], tuple[_Node, ...]]


class MacroOnText:
    """This is one definition, given as what stands between its outermost brackets."""

    def __init__(self, _name: str, definition: str, known: TokenTrees) -> None:
        self._definition = definition
        self._allowance = known.allowance

    @cached_property
    def _rules(self) -> list[_Rule] | None:
        try:
            return list(_rules(self._definition))
        except TooMuch:
            return None

    def expand(self, arguments: str) -> str | None:
        if self._rules is None:
            raise TooMuch
        self._allowance.pay_steps(_STEPS_A_CALL)
        arguments = with_documentation_as_attributes(arguments)
        call = _MacroCall(arguments, self._allowance)
        given = tokens(arguments, 0, len(arguments))
        if len(given) >= MAX_TOKENS:
            raise TooMuch
        for pattern, body in self._rules:
            bindings: dict[str, _Binding] = {}
            self._allowance.pay_steps(1)
            if call.match(pattern, given, 0, bindings) == len(given):
                parts: list[str] = []
                _transcribe(body, bindings, parts, self._allowance)
                return " ".join(parts)
        return None


def _rules(definition: str) -> Iterator[_Rule]:
    groups = [token for token in tokens(definition, 0, len(definition)) if token.text in CLOSING]
    for pattern, body in zip(groups[::2], groups[1::2], strict=False):
        text = with_documentation_as_attributes(definition[body.start : body.end])
        whole = Token(body.text, 0, len(text))
        yield tuple(_nodes(definition, pattern, True)), tuple(_nodes(text, whole, False))


def _nodes(source: str, group: Token, in_pattern: bool, depth: int = 0) -> Iterator[_Node]:
    nodes = _single_nodes(source, group, in_pattern, depth)
    return nodes if in_pattern else _merged(nodes)


def _merged(nodes: Iterable[_Node]) -> Iterator[_Node]:
    """What is always written alike becomes one text."""
    plain: list[str] = []
    for node in nodes:
        match node:
            case _Plain(text):
                plain.append(text)
            case _Group(opening, ()):
                plain += opening, CLOSING[opening]
            case _Group(opening, (_Plain(text),)):
                plain += opening, text, CLOSING[opening]
            case _:
                if plain:
                    yield _Plain(" ".join(plain))
                    plain = []
                yield node
    if plain:
        yield _Plain(" ".join(plain))


def _single_nodes(source: str, group: Token, in_pattern: bool, depth: int) -> Iterator[_Node]:
    if depth > MAX_NESTING:
        raise TooMuch
    parts = tokens(source, group.start + 1, group.end - 1)
    position = 0
    while position < len(parts):
        part = parts[position]
        position += 1
        following = parts[position] if position < len(parts) else None
        if part.text != "$" or following is None:
            if part.text not in CLOSING:
                yield _Plain(part.text)
            else:
                yield _Group(part.text, tuple(_nodes(source, part, in_pattern, depth + 1)))
        elif following.text == "crate":
            position += 1
            yield _Plain("crate")
        elif following.text == "(":
            position += 1
            separator = ""
            while position < len(parts) and parts[position].text not in _REPETITIONS:
                separator = parts[position].text
                position += 1
            operator = parts[position].text if position < len(parts) else "*"
            position += 1
            inner = tuple(_nodes(source, following, in_pattern, depth + 1))
            yield _Repetition(inner, separator, operator, tuple(dict.fromkeys(_names(inner))))
        else:
            position += 1
            fragment = ""
            if in_pattern and position + 1 < len(parts):
                fragment = parts[position + 1].text
                position += 2
            yield _Variable(following.text, fragment)


class _MacroCall:
    """These are the arguments of one call, compared with one rule after the other."""

    def __init__(self, source: str, allowance: Allowance) -> None:
        self._source = source
        self._allowance = allowance
        self._inside: dict[int, list[Token]] = {}

    def match(
        self, nodes: tuple[_Node, ...], given: list[Token], position: int, bindings: dict[str, _Binding]
    ) -> int | None:
        """The nodes match up to this position, from `position` on; the result is None if they do not."""
        for node in nodes:
            here = given[position] if position < len(given) else None
            end: int | None = None
            self._allowance.pay_steps(1)
            match node:
                case _Plain(text) if here is not None and here.text == text:
                    end = position + 1
                case _Group(opening, (_Repetition((_Variable(name, "tt"),), "", "*"),)) if (
                    here is not None and here.text == opening
                ):
                    bindings[name] = self._run(here)
                    end = position + 1
                case _Group(opening, inner) if here is not None and here.text == opening:
                    inside = self._tokens_inside(here)
                    matches = self.match(inner, inside, 0, bindings) == len(inside)
                    end = position + 1 if matches else None
                case _Variable(name, fragment):
                    end = fragment_end(fragment, tuple(token.text for token in given), position)
                    self._allowance.pay_steps((len(given) if end is None else end) - position)
                    if end is not None:
                        bindings[name] = self._text(given, position, end)
                case _Repetition():
                    end = self._match_repetition(node, given, position, bindings)
            if end is None:
                return None
            position = end
        return position

    def _match_repetition(
        self, node: _Repetition, given: list[Token], position: int, bindings: dict[str, _Binding]
    ) -> int | None:
        match node:
            case _Repetition((_Variable(name, "tt"),), "", "*"):
                # By far the most common one, and it takes all that is left.
                self._allowance.pay_steps(len(given) - position)
                bindings[name] = [self._text(given, index, index + 1) for index in range(position, len(given))]
                return len(given)
        rounds: list[dict[str, _Binding]] = []
        while not (node.operator == "?" and rounds):
            start = position
            if rounds and node.separator:
                if start >= len(given) or given[start].text != node.separator:
                    break
                start += 1
            found: dict[str, _Binding] = {}
            end = self.match(node.nodes, given, start, found)
            if end is None or end == position:
                break
            rounds.append(found)
            position = end
        self._allowance.pay_steps(len(node.names) * len(rounds))
        for name in node.names:
            bindings[name] = [found[name] for found in rounds]
        return None if node.operator == "+" and not rounds else position

    def _run(self, group: Token) -> _TokenRun:
        text = self._source[group.start + 1 : group.end - 1]
        self._allowance.pay_steps(len(text) // _CHARACTERS_A_STEP)
        # What follows it must not become a part of a comment at its end.
        return _TokenRun(f"{text}\n" if "//" in text else text)

    def _tokens_inside(self, group: Token) -> list[Token]:
        if group.start not in self._inside:
            self._inside[group.start] = tokens(self._source, group.start + 1, group.end - 1)
        return self._inside[group.start]

    def _text(self, given: list[Token], position: int, end: int) -> str:
        if end == position:
            return ""
        text = self._source[given[position].start : given[end - 1].end]
        self._allowance.pay_steps(len(text) // _CHARACTERS_A_STEP)
        return text


def _names(nodes: tuple[_Node, ...]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, _Variable):
            yield node.name
        elif isinstance(node, _Group | _Repetition):
            yield from _names(node.nodes)


def _transcribe(
    nodes: tuple[_Node, ...], bindings: Mapping[str, _Binding], parts: list[str], allowance: Allowance
) -> None:
    """This appends the body with the bindings in it; each text is paid for once, however deep it stands."""
    for node in nodes:
        match node:
            case _Plain(text):
                _append(text, parts, allowance)
            case _Group(opening, inner):
                _append(opening, parts, allowance)
                _transcribe(inner, bindings, parts, allowance)
                _append(CLOSING[opening], parts, allowance)
            case _Variable(name):
                bound = bindings.get(name, f"${name}")
                _append(bound if isinstance(bound, str) else "", parts, allowance)
            case _Repetition((_Variable(name),), "") if isinstance(run := bindings.get(name), _TokenRun):
                _append(run.text, parts, allowance)
            case _Repetition((_Variable(name),), "") if isinstance(texts := bindings.get(name), list):
                for bound in texts:
                    _append(bound if isinstance(bound, str) else "", parts, allowance)
            case _Repetition(inner, separator, _, names):
                for index, round_bindings in enumerate(_rounds(names, bindings)):
                    allowance.pay_steps(len(names))
                    if separator and index:
                        _append(separator, parts, allowance)
                    _transcribe(inner, round_bindings, parts, allowance)


def _append(text: str, parts: list[str], allowance: Allowance) -> None:
    allowance.pay_characters(len(text))
    parts.append(text)


def _rounds(names: tuple[str, ...], bindings: Mapping[str, _Binding]) -> Iterator[Mapping[str, _Binding]]:
    """The names within a repetition mean this, round by round."""
    known = {name: bindings[name] for name in names if name in bindings}
    repeated = {name: bound for name, bound in known.items() if isinstance(bound, list)}
    repeated |= {name: bound.texts() for name, bound in known.items() if isinstance(bound, _TokenRun)}
    for index in range(min(map(len, repeated.values()), default=0)):
        yield known | {name: bound[index] for name, bound in repeated.items()}
