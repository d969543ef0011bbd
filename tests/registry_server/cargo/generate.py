"""This is a made crates registry from a seed."""

from __future__ import annotations

from dataclasses import replace

from tests.registry_server.cargo.crates import Crate, CrateDependency, CrateVersion
from tests.registry_server.declarations import default_date
from tests.registry_server.shape import Dice, Shape

MISSING = "never-published"
"""This is a crate that dependencies name and the registry does not have."""

REQUIREMENTS = (
    ("^1.2.3", "^1.2.3"),
    (">=1.0.0, <2.0.0", ">=1.0.0, <2.0.0"),
    ("~1.2", "~1.2"),
    ("=1.2.3", "=1.2.3"),
    ("^0.3", "^0.3"),
)
ODD_REQUIREMENTS = (("1.*", "1.x"), ("1.0", "^1.0"), ("^0", ">=0.0.0, <1.0.0"), ("^0.0", ">=0.0.0, <0.1.0"), ("*", "*"))


def crates(shape: Shape) -> list[Crate]:
    """Return crates that depend on one another, in cycles too; a share of them odd in one way or another."""
    dice = Dice(shape, "cargo")
    names = [_spelling(dice, name) for name in dice.names("-")]
    made = [_crate(dice, name, names) for name in names]
    return made + ([_giant(shape.giant_versions, names)] if shape.giant_versions else [])


def _spelling(dice: Dice, name: str) -> str:
    if dice.random.random() < 0.3:
        return name.replace("-", "_")
    return name.title() if dice.odd() else name


def _crate(dice: Dice, name: str, names: list[str]) -> Crate:
    versions = [_version(dice, number, name, names) for number in range(dice.version_count())]
    if dice.odd():  # A fix of the oldest line, published last.
        versions[0] = replace(versions[0], date=default_date(len(versions)))
    if dice.odd() and len(versions) > 2:
        versions[-2] = replace(versions[-2], yanked=True)
    newest, import_names = _newest(dice, name, versions[-1])
    versions[-1] = newest
    owned = dice.random.random() < 0.8
    url = f"https://github.com/some-owner/{name.lower()}"
    return Crate(
        name=name,
        versions=tuple(versions),
        repository=dice.random.choice((url, f"{url}.git", f"{url}/tree/main/crate")) if owned else None,
        vendor="some-owner" if owned else "n/a",
        repository_url=url if owned else "n/a",
        import_names=import_names,
    )


def _version(dice: Dice, number: int, name: str, names: list[str]) -> CrateVersion:
    suffix = "-beta.1" if dice.odd() else "+build.7" if dice.odd() else ""
    return CrateVersion(
        f"{number // 5}.{number % 5}.0{suffix}",
        _dependencies(dice, name, names),
        fields={"features2": {"extra": ["dep:other"]}, "v": 2} if dice.odd() else {},
    )


def _dependencies(dice: Dice, name: str, names: list[str]) -> tuple[CrateDependency, ...]:
    count = min(dice.requirement_count(), len(names))
    targets = [target for target in dice.random.sample(names, count) if target != name]
    made = [_dependency(dice, target) for target in targets]
    if dice.odd():
        made.append(CrateDependency(MISSING, "^1.0.0", "^1.0.0"))
    if dice.odd():
        made += [
            CrateDependency("a-test-runner", "^9", None, fields={"kind": "dev"}),
            CrateDependency("a-compiler", "^9", None, fields={"kind": "build"}),
        ]
    return tuple(made)


def _dependency(dice: Dice, target: str) -> CrateDependency:
    req, constraints = dice.random.choice(ODD_REQUIREMENTS if dice.odd() else REQUIREMENTS)
    if not dice.odd():
        return CrateDependency(target, req, constraints)
    match dice.random.randrange(4):
        case 0:
            return CrateDependency(target, req, constraints, alias=f"renamed-{target.lower()}")
        case 1:
            return CrateDependency(target, req, constraints, fields={"target": 'cfg(target_os = "windows")'})
        case 2:
            return CrateDependency(target, req, constraints, fields={"optional": True})
        case _:
            return CrateDependency(target, req, constraints, fields={"kind": None})


def _newest(dice: Dice, name: str, version: CrateVersion) -> tuple[CrateVersion, tuple[str, ...]]:
    """Return the newest version with its sources, never a pre-release, and the paths that can be imported from it."""
    crate = name.replace("-", "_")
    members = {
        "src/lib.rs": "mod engine;\npub mod parts;\npub use engine::{Engine, start as run};\n"
        "#[macro_export]\nmacro_rules! made { () => {}; }\n#[cfg(test)]\npub mod tests;\n",
        "src/engine.rs": "pub struct Engine;\npub fn start() {}\npub(crate) fn hidden() {}\n",
        "src/parts/mod.rs": "pub mod wheel;\npub enum Part { Bolt, Nut }\n",
        "src/parts/wheel.rs": "pub trait Turn { fn turn(&self); }\npub const SPOKES: u8 = 36;\n",
        "src/tests.rs": "pub fn never() {}\n",
        "tests/whole.rs": "pub fn never() {}\n",
    }
    names = ["Engine", "made", "parts", "parts::Part", "parts::wheel", "parts::wheel::SPOKES", "parts::wheel::Turn"]
    names.append("run")
    manifest = ""
    if dice.odd():
        match dice.random.randrange(3):
            case 0:
                crate = "other_name"
                manifest = '[lib]\nname = "other_name"\n'
            case 1:
                manifest = '[lib]\npath = "lib/entry.rs"\n'
                members = {
                    path.replace("src/lib.rs", "lib/entry.rs").replace("src/", "lib/"): members[path]
                    for path in members
                }
            case _:
                members = {"src/main.rs": "pub fn main() {}\n"}
                names = []
    newest = replace(
        version,
        version=version.version.partition("-")[0],
        members=members,
        manifest=manifest,
        padding_bytes=dice.large_bytes if dice.large() else 0,
    )
    return newest, (crate, *sorted(f"{crate}::{path}" for path in names))


def _giant(count: int, names: list[str]) -> Crate:
    """Return one crate with very many versions, alike, five dependencies each."""
    dependencies = tuple(CrateDependency(name, "^1.0.0", "^1.0.0") for name in names[:5])
    versions = tuple(
        CrateVersion(
            f"{number // 100}.{number % 100}.0", dependencies, default_date(number // 100), archive=number == count - 1
        )
        for number in range(count)
    )
    return Crate("giant", versions, import_names=("giant",))
