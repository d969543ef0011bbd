"""This module replaces the calls of a crate's own `macro_rules!` macros by what they expand to.

The rules are in The Rust Reference, "Macros by example". A fragment is recognised by what may follow it
(`rust_fragments`), and is not parsed. Hygiene does not matter for names of items.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol, TypeAlias

from securechain_ingest.registries.cargo.allowance import TooMuch
from securechain_ingest.registries.cargo.rust_fragments import fragment_end
from securechain_ingest.registries.cargo.rust_tokens import CLOSING, MAX_TOKENS, Token, tokens
from securechain_ingest.registries.cargo.token_trees import TokenTrees, Trees

MAX_NESTING: Final = 64
"""Brackets in a macro's definition may be nested so deep."""

_STEPS_A_CALL: Final = 40
"""A call costs so much besides, in the time that a step takes."""

_TREES_A_STEP: Final = 16
"""So many trees are copied in the time of a step."""

_REPETITIONS: Final = frozenset("*+?")
_ENDS_OF_ITEMS: Final = frozenset(";{")


class _Run:
    """A repetition of token trees was matched by these, or by all that is inside of a group; mostly it is passed on as
    it stands."""

    __slots__ = ("_trees", "number")

    def __init__(self, trees: Trees | None, number: str | None) -> None:
        self._trees = trees
        self.number = number

    def trees(self, known: TokenTrees) -> Trees:
        if self._trees is None:
            self._trees = known.inside(self.number or "")
        return self._trees


_Binding: TypeAlias = "str | Trees | list[_Binding] | _Run"
"""A variable stands for one tree or many; in a repetition for one binding a round."""

_Bindings: TypeAlias = dict[str, _Binding]


class _Node(Protocol):
    """This is a part of a rule's pattern or of its body."""

    def match(self, given: Trees, position: int, bindings: _Bindings, known: TokenTrees) -> int | None:
        """The node matches up to this position; the result is None if it does not."""

    def transcribe(self, bindings: Mapping[str, _Binding], found: list[str], known: TokenTrees) -> None:
        """This appends what the node stands for."""

    def names(self) -> Iterator[str]:
        """These are the names of all variables within."""


@dataclass(frozen=True, slots=True)
class _Plain:
    """These trees are always written alike."""

    trees: Trees

    def match(self, given: Trees, position: int, _bindings: _Bindings, _known: TokenTrees) -> int | None:
        end = position + len(self.trees)
        return end if given[position:end] == self.trees else None

    def transcribe(self, _bindings: Mapping[str, _Binding], found: list[str], _known: TokenTrees) -> None:
        found += self.trees

    def names(self) -> Iterator[str]:
        return iter(())


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str
    fragment: str

    def match(self, given: Trees, position: int, bindings: _Bindings, known: TokenTrees) -> int | None:
        end = fragment_end(self.fragment, given, position)
        known.allowance.pay_steps((len(given) if end is None else end) - position)
        if end is not None:
            bindings[self.name] = given[position] if end == position + 1 else given[position:end]
        return end

    def transcribe(self, bindings: Mapping[str, _Binding], found: list[str], _known: TokenTrees) -> None:
        match bindings.get(self.name):
            case None:
                found += "$", self.name
            case str(tree):
                found.append(tree)
            case tuple(trees):
                found += trees

    def names(self) -> Iterator[str]:
        yield self.name


@dataclass(frozen=True, slots=True)
class _Group:
    opening: str
    nodes: tuple[_Node, ...]
    number: str | None
    """The group holds nothing but plain trees, with this number."""
    run: str | None
    """The group holds nothing but a repetition of the token trees of this name."""

    def match(self, given: Trees, position: int, bindings: _Bindings, known: TokenTrees) -> int | None:
        if position >= len(given) or given[position][0] != self.opening:
            return None
        number = given[position][1:]
        if self.run is not None:
            bindings[self.run] = _Run(None, number)
            return position + 1
        if number == self.number:
            return position + 1
        inside = known.inside(number)
        return position + 1 if _match(self.nodes, inside, 0, bindings, known) == len(inside) else None

    def transcribe(self, bindings: Mapping[str, _Binding], found: list[str], known: TokenTrees) -> None:
        run = bindings.get(self.run) if self.run is not None else None
        number = run.number if isinstance(run, _Run) else None
        if number is None:
            inside: list[str] = []
            _transcribe(self.nodes, bindings, inside, known)
            number = known.number(tuple(inside))
        found.append(self.opening + number)

    def names(self) -> Iterator[str]:
        for node in self.nodes:
            yield from node.names()


@dataclass(frozen=True, slots=True)
class _Repetition:
    nodes: tuple[_Node, ...]
    separator: str
    operator: str
    variables: tuple[str, ...]
    """These are the names of all variables within."""
    run: str | None
    """The repetition takes all token trees that are left, under this name."""

    def match(self, given: Trees, position: int, bindings: _Bindings, known: TokenTrees) -> int | None:
        if self.run is not None:
            known.allowance.pay_steps((len(given) - position) // _TREES_A_STEP)
            bindings[self.run] = _Run(given[position:], None)
            return len(given)
        rounds: list[_Bindings] = []
        while not (self.operator == "?" and rounds):
            start = position
            if rounds and self.separator:
                if start >= len(given) or given[start] != self.separator:
                    break
                start += 1
            found: _Bindings = {}
            end = _match(self.nodes, given, start, found, known)
            if end is None or end == position:
                break
            rounds.append(found)
            position = end
        known.allowance.pay_steps(len(self.variables) * len(rounds))
        for name in self.variables:
            bindings[name] = [found[name] for found in rounds]
        return None if self.operator == "+" and not rounds else position

    def transcribe(self, bindings: Mapping[str, _Binding], found: list[str], known: TokenTrees) -> None:
        if self.run is not None and isinstance(run := bindings.get(self.run), _Run):
            trees = run.trees(known)
            known.allowance.pay_steps(len(trees) // _TREES_A_STEP)
            found += trees
            return
        for index, round_bindings in enumerate(self._rounds(bindings, known)):
            known.allowance.pay_steps(len(self.variables))
            if self.separator and index:
                found.append(self.separator)
            _transcribe(self.nodes, round_bindings, found, known)

    def _rounds(self, bindings: Mapping[str, _Binding], known: TokenTrees) -> Iterator[Mapping[str, _Binding]]:
        """The names within mean this, round by round."""
        bound = {name: bindings[name] for name in self.variables if name in bindings}
        repeated: dict[str, list[_Binding] | Trees] = {}
        for name, binding in bound.items():
            if isinstance(binding, list):
                repeated[name] = binding
            elif isinstance(binding, _Run):
                repeated[name] = binding.trees(known)
        for index in range(min(map(len, repeated.values()), default=0)):
            yield bound | {name: rounds[index] for name, rounds in repeated.items()}

    def names(self) -> Iterator[str]:
        return iter(self.variables)


def _match(nodes: tuple[_Node, ...], given: Trees, position: int, bindings: _Bindings, known: TokenTrees) -> int | None:
    """The nodes match up to this position, from `position` on; the result is None if they do not."""
    for node in nodes:
        known.allowance.pay_steps(1)
        end = node.match(given, position, bindings, known)
        if end is None:
            return None
        position = end
    return position


def _transcribe(
    nodes: tuple[_Node, ...], bindings: Mapping[str, _Binding], found: list[str], known: TokenTrees
) -> None:
    """This appends a body with the bindings in it."""
    before = len(found)
    for node in nodes:
        node.transcribe(bindings, found, known)
    known.allowance.pay_characters(len(found) - before)


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: tuple[_Node, ...]
    body: tuple[_Node, ...]


class Macro:
    """This is one definition, given as what stands between its outermost brackets."""

    def __init__(self, definition: str, known: TokenTrees) -> None:
        self._definition = definition
        self._known = known
        self._by_first: dict[str | None, list[_Rule]] = {}

    @cached_property
    def _rules(self) -> list[_Rule] | None:
        """The result is None if it is too deeply nested."""
        try:
            return list(_Definition(self._definition, self._known).rules())
        except TooMuch:
            return None

    def _rules_for(self, first: str | None) -> list[_Rule]:
        """Most rules of a macro that calls itself begin with a word or a group that says which of them is meant."""
        if first not in self._by_first:
            rules = self._rules or []
            self._known.allowance.pay_steps(len(rules))
            self._by_first[first] = [rule for rule in rules if self._may_begin(rule, first)]
        return self._by_first[first]

    def _may_begin(self, rule: _Rule, first: str | None) -> bool:
        match rule.pattern[:1]:
            case (_Plain(trees),):
                return first == trees[0]
            case (_Group(number=str()) as group,):
                return first is not None and group.match((first,), 0, {}, self._known) is not None
        return True

    def expand(self, arguments: str) -> str | None:
        """A call with these arguments stands for this, with numbers for what is inside of calls in it; it is None if no
        rule is found to match.

        It raises TooMuch where the allowance ends; what was begun has then used it up.
        """
        if self._rules is None:
            raise TooMuch
        known = self._known
        known.allowance.pay_steps(_STEPS_A_CALL)
        given = known.of(arguments)
        if len(given) >= MAX_TOKENS:
            raise TooMuch
        for rule in self._rules_for(given[0] if given else None):
            bindings: _Bindings = {}
            known.allowance.pay_steps(1)
            if _match(rule.pattern, given, 0, bindings, known) == len(given):
                found: list[str] = []
                _transcribe(rule.body, bindings, found, known)
                return known.text(tuple(found))
        return None


class _Definition:
    """This reads the rules of a definition."""

    def __init__(self, source: str, known: TokenTrees) -> None:
        self._source = source
        self._known = known

    def rules(self) -> Iterator[_Rule]:
        groups = [token for token in tokens(self._source, 0, len(self._source)) if token.text in CLOSING]
        for pattern, body in zip(groups[::2], groups[1::2], strict=False):
            yield _Rule(self._nodes(pattern, in_pattern=True), self._nodes(body, of_items=True))

    def _nodes(
        self, group: Token, depth: int = 0, *, in_pattern: bool = False, of_items: bool = False
    ) -> tuple[_Node, ...]:
        """Trees beside each other that are always written alike are one node."""
        if depth > MAX_NESTING:
            raise TooMuch
        nodes: list[_Node] = []
        for node in self._single_nodes(group, depth, in_pattern, of_items):
            match nodes[-1:], node:
                case [_Plain(before)], _Plain(trees):
                    nodes[-1] = _Plain(before + trees)
                case _:
                    nodes.append(node)
        return tuple(nodes)

    def _single_nodes(self, group: Token, depth: int, in_pattern: bool, of_items: bool) -> Iterator[_Node]:
        """With `of_items` implementations are left out, which hold no names of items."""
        parts = tokens(self._source, group.start + 1, group.end - 1)
        if of_items:
            parts = _without_implementations(parts)
        position = 0
        while position < len(parts):
            part = parts[position]
            position += 1
            following = parts[position] if position < len(parts) else None
            if part.text != "$" or following is None:
                if part.text not in CLOSING:
                    yield _Plain((part.text,))
                else:
                    yield self._group(part.text, self._nodes(part, depth + 1, in_pattern=in_pattern), in_pattern)
            elif following.text == "crate":
                position += 1
                yield _Plain(("crate",))
            elif following.text == "(":
                position += 1
                separator = ""
                while position < len(parts) and parts[position].text not in _REPETITIONS:
                    separator = parts[position].text
                    position += 1
                operator = parts[position].text if position < len(parts) else "*"
                position += 1
                inner = self._nodes(following, depth + 1, in_pattern=in_pattern)
                yield _repetition(inner, separator, operator, in_pattern)
            else:
                position += 1
                fragment = ""
                if in_pattern and position + 1 < len(parts):
                    fragment = parts[position + 1].text
                    position += 2
                yield _Variable(following.text, fragment)

    def _group(self, opening: str, nodes: tuple[_Node, ...], in_pattern: bool) -> _Node:
        match nodes:
            case (_Repetition(run=str(name)),):
                return _Group(opening, nodes, None, name)
            case (_Plain(trees),):
                number = self._known.number(trees)
            case ():
                number = self._known.number(())
            case _:
                return _Group(opening, nodes, None, None)
        # In a call the same trees may stand as a text that nobody has looked into.
        return _Group(opening, nodes, number, None) if in_pattern else _Plain((opening + number,))


def _without_implementations(parts: list[Token]) -> list[Token]:
    """An implementation goes from its attributes to its body; it is left where something else stands in front of it."""
    kept: list[Token] = []
    position = 0
    while position < len(parts):
        end = position
        if not kept or kept[-1].text in _ENDS_OF_ITEMS:
            while [part.text for part in parts[end : end + 2]] == ["#", "["]:
                end += 2
            if end < len(parts) and parts[end].text == "impl":
                while end < len(parts) and parts[end].text not in _ENDS_OF_ITEMS:
                    end += 1
                if end < len(parts) and parts[end].text == "{":
                    position = end + 1
                    continue
        kept.append(parts[position])
        position += 1
    return kept


def _repetition(nodes: tuple[_Node, ...], separator: str, operator: str, in_pattern: bool) -> _Repetition:
    run = None
    match nodes:
        case (_Variable(name, fragment),) if not separator and (not in_pattern or (fragment, operator) == ("tt", "*")):
            # By far the most common one.
            run = name
    variables = tuple(dict.fromkeys(name for node in nodes for name in node.names()))
    return _Repetition(nodes, separator, operator, variables, run)
