"""This module replaces the calls of a crate's own `macro_rules!` macros by what they expand to.

The rules are in The Rust Reference, "Macros by example". Hygiene does not matter for names of items.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from securechain_ingest.registries.cargo.allowance import TooMuch
from securechain_ingest.registries.cargo.macro_nodes import (
    Bindings,
    Group,
    Node,
    Plain,
    Repetition,
    Variable,
    match_nodes,
    transcribe_nodes,
)
from securechain_ingest.registries.cargo.rust_lexemes import CLOSING
from securechain_ingest.registries.cargo.rust_tokens import (
    MAX_TOKENS,
    Token,
    tokens,
    with_documentation_as_attributes,
)
from securechain_ingest.registries.cargo.token_trees import TokenTrees, Trees

MAX_NESTING: Final = 64
"""Brackets in a macro's definition may be nested so deep."""

_STEPS_A_CALL: Final = 40
"""A call costs so much besides, in the time that a step takes."""

_MOST_IN_A_ROW: Final = 32
"""So many calls that stand for nothing but a call of the same macro are followed at once."""

_REPETITIONS: Final = frozenset("*+?")
_ENDS_OF_ITEMS: Final = frozenset(";{")


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: tuple[Node, ...]
    body: tuple[Node, ...]


class Macro:
    """This is one definition, given by its name and by what stands between its outermost brackets."""

    def __init__(self, name: str, definition: str, known: TokenTrees) -> None:
        self._name = name
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
            case (Plain(trees),):
                return first == trees[0]
            case (Group(number=str()) as group,):
                return first is not None and group.match((first,), 0, {}, self._known) is not None
        return True

    def expand(self, arguments: str) -> str | None:
        """Return what a call with these arguments stands for, with numbers for what is inside of calls in it. The
        result is None if no rule is found to match.

        It raises TooMuch where the allowance ends; what was begun has then used it up.
        """
        if self._rules is None:
            raise TooMuch
        allowance = self._known.allowance
        found = self._expanded(self._known.of(arguments))
        for _ in range(_MOST_IN_A_ROW):
            # A macro that looks at one tree after the other calls itself with the rest.
            if found is None or (again := self._only_call_of_itself(found)) is None or allowance.calls <= 0:
                break
            allowance.calls -= 1
            after = self._expanded(self._known.inside(again))
            if after is None:
                break
            found = after
        return None if found is None else self._known.text(found)

    def _only_call_of_itself(self, found: Trees) -> str | None:
        """What was expanded is nothing but a call of this macro, with what this number stands for."""
        match found:
            case (name, "!", group) | (name, "!", group, ";") if name == self._name and group[0] in CLOSING:
                return group[1:]
        return None

    def _expanded(self, given: Trees) -> Trees | None:
        known = self._known
        known.allowance.pay_steps(_STEPS_A_CALL)
        if len(given) >= MAX_TOKENS:
            raise TooMuch
        for rule in self._rules_for(given[0] if given else None):
            bindings: Bindings = {}
            known.allowance.pay_steps(1)
            if match_nodes(rule.pattern, given, 0, bindings, known) == len(given):
                found: list[str] = []
                transcribe_nodes(rule.body, bindings, found, known)
                return tuple(found)
        return None


class _Definition:
    """This reads the rules of a definition."""

    def __init__(self, source: str, known: TokenTrees) -> None:
        self._source = source
        self._known = known

    def rules(self) -> Iterator[_Rule]:
        groups = [token for token in tokens(self._source, 0, len(self._source)) if token.text in CLOSING]
        for pattern, body in zip(groups[::2], groups[1::2], strict=False):
            yield _Rule(self._nodes(pattern, in_pattern=True), self._body(body))

    def _body(self, group: Token) -> tuple[Node, ...]:
        """What a comment documents is documented wherever the body goes; in a pattern such a comment says nothing."""
        text = with_documentation_as_attributes(self._source[group.start : group.end])
        return _Definition(text, self._known)._nodes(Token(group.text, 0, len(text)), of_items=True)

    def _nodes(
        self, group: Token, depth: int = 0, *, in_pattern: bool = False, of_items: bool = False
    ) -> tuple[Node, ...]:
        """Trees beside each other that are always written alike are one node."""
        if depth > MAX_NESTING:
            raise TooMuch
        nodes: list[Node] = []
        for node in self._single_nodes(group, depth, in_pattern, of_items):
            match nodes[-1:], node:
                case [Plain(before)], Plain(trees):
                    nodes[-1] = Plain(before + trees)
                case _:
                    nodes.append(node)
        return tuple(nodes)

    def _single_nodes(self, group: Token, depth: int, in_pattern: bool, of_items: bool) -> Iterator[Node]:
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
                    yield Plain((part.text,))
                else:
                    yield self._group(part.text, self._nodes(part, depth + 1, in_pattern=in_pattern), in_pattern)
            elif following.text == "crate":
                position += 1
                yield Plain(("crate",))
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
                yield Variable(following.text, fragment)

    def _group(self, opening: str, nodes: tuple[Node, ...], in_pattern: bool) -> Node:
        match nodes:
            case (Repetition(run=str(name)),):
                return Group(opening, nodes, None, name)
            case (Plain(trees),):
                number = self._known.number(trees)
            case ():
                number = self._known.number(())
            case _:
                return Group(opening, nodes, None, None)
        # In a call the same trees may stand as a text that nobody has looked into.
        return Group(opening, nodes, number, None) if in_pattern else Plain((opening + number,))


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


def _repetition(nodes: tuple[Node, ...], separator: str, operator: str, in_pattern: bool) -> Repetition:
    run = None
    match nodes:
        case (Variable(name, fragment),) if not separator and (not in_pattern or (fragment, operator) == ("tt", "*")):
            # By far the most common one.
            run = name
    variables = tuple(dict.fromkeys(name for node in nodes for name in node.names()))
    return Repetition(nodes, separator, operator, variables, run)
