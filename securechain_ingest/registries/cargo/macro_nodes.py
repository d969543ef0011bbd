"""This module has the parts of a macro's rules. Each part matches what a call gives it, and writes what it stands for.

The rules are in The Rust Reference, "Macros by example" (metavariables, repetitions). A fragment is recognised by what
may follow it (`rust_fragments`), and is not parsed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from securechain_ingest.registries.cargo.rust_fragments import fragment_end
from securechain_ingest.registries.cargo.token_trees import TokenTrees, Trees

_TREES_A_STEP: Final = 16
"""So many trees are copied in the time of a step."""


class TreeRun:
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


Binding: TypeAlias = "str | Trees | list[Binding] | TreeRun"
"""A variable stands for one tree or many; in a repetition for one binding a round."""

Bindings: TypeAlias = dict[str, Binding]


class Node(Protocol):
    """This is a part of a rule's pattern or of its body."""

    def match(self, given: Trees, position: int, bindings: Bindings, known: TokenTrees) -> int | None:
        """Return the position up to which the node matches. The result is None if it does not match."""

    def transcribe(self, bindings: Mapping[str, Binding], found: list[str], known: TokenTrees) -> None:
        """Append what the node stands for."""

    def names(self) -> Iterator[str]:
        """Yield the names of all variables within."""


@dataclass(frozen=True, slots=True)
class Plain:
    """These trees are always written alike."""

    trees: Trees

    def match(self, given: Trees, position: int, _bindings: Bindings, _known: TokenTrees) -> int | None:
        end = position + len(self.trees)
        return end if given[position:end] == self.trees else None

    def transcribe(self, _bindings: Mapping[str, Binding], found: list[str], _known: TokenTrees) -> None:
        found += self.trees

    def names(self) -> Iterator[str]:
        return iter(())


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    fragment: str

    def match(self, given: Trees, position: int, bindings: Bindings, known: TokenTrees) -> int | None:
        if self.fragment == "tt":
            # Most variables are such, and most of what they cost was to find out what they are.
            if position >= len(given):
                return None
            bindings[self.name] = given[position]
            return position + 1
        end = fragment_end(self.fragment, given, position)
        known.allowance.pay_steps((len(given) if end is None else end) - position)
        if end is not None:
            bindings[self.name] = given[position] if end == position + 1 else given[position:end]
        return end

    def transcribe(self, bindings: Mapping[str, Binding], found: list[str], _known: TokenTrees) -> None:
        binding = bindings.get(self.name)
        if isinstance(binding, str):
            found.append(binding)
        elif isinstance(binding, tuple):
            found += binding
        elif binding is None:
            found += "$", self.name

    def names(self) -> Iterator[str]:
        yield self.name


@dataclass(frozen=True, slots=True)
class Group:
    opening: str
    nodes: tuple[Node, ...]
    number: str | None
    """The group holds nothing but plain trees, with this number."""
    run: str | None
    """The group holds nothing but a repetition of the token trees of this name."""

    def match(self, given: Trees, position: int, bindings: Bindings, known: TokenTrees) -> int | None:
        if position >= len(given) or given[position][0] != self.opening:
            return None
        number = given[position][1:]
        if self.run is not None:
            bindings[self.run] = TreeRun(None, number)
            return position + 1
        if number == self.number:
            return position + 1
        inside = known.inside(number)
        return position + 1 if match_nodes(self.nodes, inside, 0, bindings, known) == len(inside) else None

    def transcribe(self, bindings: Mapping[str, Binding], found: list[str], known: TokenTrees) -> None:
        run = bindings.get(self.run) if self.run is not None else None
        number = run.number if isinstance(run, TreeRun) else None
        if number is None:
            inside: list[str] = []
            transcribe_nodes(self.nodes, bindings, inside, known)
            number = known.number(tuple(inside))
        found.append(self.opening + number)

    def names(self) -> Iterator[str]:
        for node in self.nodes:
            yield from node.names()


@dataclass(frozen=True, slots=True)
class Repetition:
    nodes: tuple[Node, ...]
    separator: str
    operator: str
    variables: tuple[str, ...]
    """These are the names of all variables within."""
    run: str | None
    """The repetition takes all token trees that are left, under this name."""

    def match(self, given: Trees, position: int, bindings: Bindings, known: TokenTrees) -> int | None:
        if self.run is not None:
            known.allowance.pay_steps((len(given) - position) // _TREES_A_STEP)
            bindings[self.run] = TreeRun(given[position:], None)
            return len(given)
        rounds: list[Bindings] = []
        while not (self.operator == "?" and rounds):
            start = position
            if rounds and self.separator:
                if start >= len(given) or given[start] != self.separator:
                    break
                start += 1
            found: Bindings = {}
            end = match_nodes(self.nodes, given, start, found, known)
            if end is None or end == position:
                break
            rounds.append(found)
            position = end
        known.allowance.pay_steps(len(self.variables) * len(rounds))
        for name in self.variables:
            bindings[name] = [found[name] for found in rounds]
        return None if self.operator == "+" and not rounds else position

    def transcribe(self, bindings: Mapping[str, Binding], found: list[str], known: TokenTrees) -> None:
        if self.run is not None and isinstance(run := bindings.get(self.run), TreeRun):
            trees = run.trees(known)
            known.allowance.pay_steps(len(trees) // _TREES_A_STEP)
            found += trees
            return
        for index, round_bindings in enumerate(self._rounds(bindings, known)):
            known.allowance.pay_steps(len(self.variables))
            if self.separator and index:
                found.append(self.separator)
            transcribe_nodes(self.nodes, round_bindings, found, known)

    def _rounds(self, bindings: Mapping[str, Binding], known: TokenTrees) -> Iterator[Mapping[str, Binding]]:
        """The names within mean this, round by round."""
        bound = {name: bindings[name] for name in self.variables if name in bindings}
        repeated: dict[str, list[Binding] | Trees] = {}
        for name, binding in bound.items():
            if isinstance(binding, list):
                repeated[name] = binding
            elif isinstance(binding, TreeRun):
                repeated[name] = binding.trees(known)
        for index in range(min(map(len, repeated.values()), default=0)):
            yield bound | {name: rounds[index] for name, rounds in repeated.items()}

    def names(self) -> Iterator[str]:
        return iter(self.variables)


def match_nodes(
    nodes: tuple[Node, ...], given: Trees, position: int, bindings: Bindings, known: TokenTrees
) -> int | None:
    """Return the position up to which the nodes match, from `position` on. The result is None if they do not match."""
    for count, node in enumerate(nodes, 1):
        end = node.match(given, position, bindings, known)
        if end is None:
            known.allowance.pay_steps(count)
            return None
        position = end
    known.allowance.pay_steps(len(nodes))
    return position


def transcribe_nodes(
    nodes: tuple[Node, ...], bindings: Mapping[str, Binding], found: list[str], known: TokenTrees
) -> None:
    """Append a body with the bindings in it."""
    before = len(found)
    for node in nodes:
        node.transcribe(bindings, found, known)
    known.allowance.pay_characters(len(found) - before)
