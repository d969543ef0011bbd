"""These registries live: packages appear, change, are yanked and deleted from day to day, and the feeds tell of it.

Everything that is ever published has been generated before the first day; a day shows some more of it and takes some of
it away. The same seed lives the same life.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tests.registry_server import maven
from tests.registry_server.declarations import ExpectedPackage
from tests.registry_server.generate import generate
from tests.registry_server.history import HistoryEvent, RegistryHistory, What, moment
from tests.registry_server.registered import REGISTRIES
from tests.registry_server.shape import Shape
from tests.registry_server.traits import Made, Traits
from tests.registry_server.world import World

ECOSYSTEMS: Final = {registry.MADE: ecosystem for ecosystem, registry in REGISTRIES.items()}

KEPT_EVENTS: Final = 200
"""A feed of things that come and go tells the last so many of them."""


@dataclass(slots=True)
class _Package:
    """This is one package with all that it ever publishes, and how much of that can be seen."""

    made: Any
    ecosystem: str
    shown: int = 0
    """Its first so many versions have been published."""
    yanked: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    is_gone: bool = False

    @property
    def name(self) -> str:
        return str(self.made.truth().registry_name)

    @property
    def traits(self) -> Traits:
        return REGISTRIES[self.ecosystem].TRAITS

    @property
    def versions(self) -> tuple[Any, ...]:
        return tuple(getattr(self.made, self.traits.versions_field))

    def number(self, version: Any) -> str:
        return str(getattr(version, self.traits.version_field))

    def visible(self) -> list[str]:
        return [each for each in map(self.number, self.versions[: self.shown]) if each not in self.removed]

    def now(self) -> Made:
        """Return the package as its registry has it today."""
        kept = []
        for version in self.versions[: self.shown]:
            if self.number(version) not in self.removed:
                is_yanked = {"yanked": self.number(version) in self.yanked} if self.traits.yanks else {}
                kept.append(replace(version, **is_yanked))
        made: Made = replace(self.made, **{self.traits.versions_field: tuple(kept)})
        return made


class Life:
    """Call `next_day`, then serve `world()`; what the graph must hold of it is in `truth()`."""

    def __init__(self, shape: Shape) -> None:
        self._random = random.Random(f"life {shape.seed}")
        self._epochs = dict.fromkeys(shape.ecosystems, 0)
        self._forgotten = dict.fromkeys(shape.ecosystems, 0)
        self._events: dict[str, list[HistoryEvent]] = {ecosystem: [] for ecosystem in shape.ecosystems}
        generated = generate(shape).packages
        self._packages = [_fixed(made) for made in generated if made.truth().versions]
        # The parents and BOMs that Maven's artifacts inherit from.
        self._unlisted = tuple(made for made in generated if isinstance(made, maven.Package) and not made.listed)
        self._random.shuffle(self._packages)
        for package in self._packages[: len(self._packages) // 2]:
            self._publish(package, self._random.randint(1, len(package.versions)))

    def publish_all(self) -> None:
        """Publish everything, so that nothing is left that could be new."""
        for package in self._packages:
            self._publish(package, len(package.versions))

    def come_and_go(self) -> None:
        """Let a version of one package go or come back, so that the life goes on for ever and grows no more.

        Where versions cannot go, one is yanked or the package is announced again. The feeds tell the last things only.
        """
        package = self._random.choice(self._live())
        if not package.traits.removes_versions:
            again = self._yank if package.traits.yanks else self._announce
            again(package)
        elif package.removed:
            version = self._random.choice(sorted(package.removed))
            package.removed.remove(version)
            self._tell(package, version, What.PUBLISHED)
        else:
            self._remove_version(package)
        self._forgotten[package.ecosystem] = max(0, len(self._events[package.ecosystem]) - KEPT_EVENTS)

    def next_day(self) -> None:
        """Something happens to about every second package, several things to some."""
        for package in self._packages:
            while self._random.random() < 0.4:
                self._random.choice(self._actions(package))(package)

    def publish(self, ecosystem: str) -> str | None:
        """Publish the next version of one package that is there already, and return its purl. Return None if all have
        published all that they ever do."""
        able = [each for each in self._live() if each.ecosystem == ecosystem and each.shown < len(each.versions)]
        if not able:
            return None
        package = self._random.choice(able)
        self._publish(package)
        number = package.number(package.versions[package.shown - 1])
        [purl] = [version.purl for version in package.now().truth().versions if version.name == number]
        return purl

    def reset(self, ecosystem: str) -> None:
        """Its feed begins anew, with other numbers."""
        self._epochs[ecosystem] += 1

    def forget(self, ecosystem: str) -> None:
        """Its feed loses what it has told so far."""
        self._forgotten[ecosystem] = len(self._events[ecosystem])

    def world(self) -> World:
        """Return what the registries serve today."""
        histories = {
            ecosystem: RegistryHistory(tuple(events), self._epochs[ecosystem], self._forgotten[ecosystem])
            for ecosystem, events in self._events.items()
        }
        return World((*self._unlisted, *(package.now() for package in self._live())), histories=histories)

    def truth(self) -> dict[str, ExpectedPackage]:
        """Return what the registries have today, by purl."""
        return World(tuple(package.now() for package in self._live())).truth()

    def _live(self) -> list[_Package]:
        return [package for package in self._packages if package.shown and not package.is_gone]

    def _actions(self, package: _Package) -> list[Callable[[_Package], None]]:
        """Return what can happen to a package."""
        if package.is_gone:
            return [_nothing]
        actions: list[Callable[[_Package], None]] = [_nothing, self._publish, self._publish]
        if package.shown and package.traits.yanks:
            actions.append(self._yank)
        if len(package.visible()) > 1 and package.traits.removes_versions:
            actions.append(self._remove_version)
        if package.shown and package.traits.removes_packages and self._random.random() < 0.1:
            actions.append(self._remove)
        return actions

    def _publish(self, package: _Package, count: int = 1) -> None:
        for version in package.versions[package.shown : package.shown + count]:
            package.shown += 1
            self._tell(package, package.number(version), What.PUBLISHED)

    def _announce(self, package: _Package) -> None:
        self._tell(package, package.visible()[-1], What.PUBLISHED)

    def _yank(self, package: _Package) -> None:
        left = [version for version in package.visible() if version not in package.yanked]
        if package.yanked and self._random.random() < 0.5:
            version = self._random.choice(sorted(package.yanked & set(package.visible())))
            package.yanked.remove(version)
            self._tell(package, version, What.UNYANKED)
        elif len(left) > 1:
            version = self._random.choice(left)
            package.yanked.add(version)
            self._tell(package, version, What.YANKED)

    def _remove_version(self, package: _Package) -> None:
        left = [version for version in package.visible() if version not in package.yanked]
        if len(left) > 1:
            version = self._random.choice(left)
            package.removed.add(version)
            self._tell(package, version, What.REMOVED)

    def _remove(self, package: _Package) -> None:
        package.is_gone = True
        self._tell(package, None, What.REMOVED)

    def _tell(self, package: _Package, version: str | None, what: What) -> None:
        events = self._events[package.ecosystem]
        number = len(events) + 1
        events.append(HistoryEvent(number, moment(number), package.name, version, what))


def _fixed(made: Any) -> _Package:
    """Return it with a date for each version that does not depend on which others can be seen, and none yanked yet."""
    ecosystem = ECOSYSTEMS[type(made)]
    traits = REGISTRIES[ecosystem].TRAITS
    versions = []
    for version in getattr(made, traits.versions_field):
        is_yanked = {"yanked": False} if traits.yanks else {}
        versions.append(replace(version, date=made.date_of(version), **is_yanked))
    return _Package(replace(made, **{traits.versions_field: tuple(versions)}), ecosystem)


def _nothing(_package: _Package) -> None:
    pass
