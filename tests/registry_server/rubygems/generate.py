"""This is a made gem registry from a seed."""

from __future__ import annotations

from dataclasses import replace

from tests.registry_server.declarations import Need, default_date
from tests.registry_server.rubygems.gems import Gem, GemVersion, need
from tests.registry_server.shape import Dice, Shape

MISSING = "never_published"
"""This is a gem that requirements name and the registry does not have."""

CONSTRAINTS = (
    (">= 0", ">= 0"),
    ("~> 1.2", "~> 1.2"),
    ("< 2.0&>= 1.0", "< 2.0, >= 1.0"),
    ("= 1.2.3", "= 1.2.3"),
    ("!= 1.5&>= 1.0", "!= 1.5, >= 1.0"),
)
ODD_CONSTRAINTS = (
    (">= 1.0.2&~> 1.0", ">= 1.0.2, < 2.A"),
    ("!= 1.5&!= 1.6", ">= 0.A, != 1.5, != 1.6"),
    ("~> 1.0.beta", ">= 1.0.beta, < 2.A"),
)


def gems(shape: Shape) -> list[Gem]:
    """Return gems that require one another, in cycles too; a share of them odd in one way or another."""
    dice = Dice(shape, "rubygems")
    names = [name.replace("_", "").title() if dice.odd() else name for name in dice.names("_")]
    made = [_gem(dice, name, names) for name in names]
    return made + ([_giant(shape.giant_versions, names)] if shape.giant_versions else [])


def _gem(dice: Dice, name: str, names: list[str]) -> Gem:
    versions = [_version(dice, number, name, names) for number in range(dice.version_count())]
    newest, import_names = _newest(dice, name, versions[-1])
    versions[-1] = newest
    if len(versions) > 1 and dice.odd():  # A fix of the oldest line, published last.
        versions[0] = replace(versions[0], date=default_date(len(versions)))
    url = f"https://github.com/some-owner/{name.lower()}"
    owned = dice.random.random() < 0.7
    return Gem(
        name=name,
        versions=tuple(versions),
        links=_links(dice, url) if owned else {},
        vendor="some-owner" if owned else None,
        repository_url=url if owned else "n/a",
        import_names=import_names,
        api=not dice.odd(),
    )


def _links(dice: Dice, url: str) -> dict[str, str]:
    if not dice.odd():
        return {"homepage_uri": "https://example.org/", "source_code_uri": f"{url}.git"}
    return dice.random.choice(({"homepage_uri": url}, {"bug_tracker_uri": f"{url}/issues"}))


def _version(dice: Dice, number: int, name: str, names: list[str]) -> GemVersion:
    suffix = ".beta1" if dice.odd() else ""
    platforms = dice.random.choice((("ruby", "java"), ("java", "ruby"), ("x86_64-linux",))) if dice.odd() else ("ruby",)
    needs = _needs(dice, name, names)
    others = {"java": (*needs, need("a-java-library"))} if "ruby" in platforms and "java" in platforms else {}
    return GemVersion(f"{number // 5}.{number % 5}.0{suffix}", needs, platforms=platforms, platform_needs=others)


def _needs(dice: Dice, name: str, names: list[str]) -> tuple[Need, ...]:
    count = min(dice.requirement_count(), len(names))
    targets = [target for target in dice.random.sample(names, count) if target != name]
    needs = [Need(*_spelled(dice, target)) for target in targets]
    return tuple([*needs, need(MISSING)] if dice.odd() else needs)


def _spelled(dice: Dice, target: str) -> tuple[str, str, str]:
    written, constraints = dice.random.choice(ODD_CONSTRAINTS if dice.odd() else CONSTRAINTS)
    return written, target, constraints


def _newest(dice: Dice, name: str, version: GemVersion) -> tuple[GemVersion, tuple[str, ...]]:
    """Return the newest version with its files, never a pre-release, and the names that can be required of it."""
    files: tuple[str, ...] = (
        "README.md",
        f"lib/{name}.rb",
        f"lib/{name}/engine.rb",
        f"lib/{name}/engine_spec.rb",
        "spec/engine_spec.rb",
        "exe/run.rb",
    )
    names: tuple[str, ...] = (name, f"{name}/engine", f"{name}::engine")
    newest = replace(version, number=version.number.partition(".beta")[0], files=files)
    if dice.large():
        newest = replace(newest, padding_bytes=dice.large_bytes)
    if not dice.odd():
        return newest, names
    match dice.random.randrange(4):
        case 0:
            return replace(newest, layout="2008"), names
        case 1:
            return replace(newest, lists_files=False), names
        case 2:
            files = (*files, "ext/native/glue.rb")
            return replace(newest, files=files, require_paths=("lib", "ext")), tuple(
                sorted((*names, "native/glue", "native::glue"))
            )
        case _:
            return replace(newest, files=("README.md", "data/a.txt")), (name,)


def _giant(count: int, names: list[str]) -> Gem:
    """Return one gem with very many versions, alike, five requirements each."""
    needs = tuple(need(name, "~> 1.0") for name in names[:5])
    versions = tuple(
        GemVersion(
            f"{number // 100}.{number % 100}.0", needs, date=default_date(number // 100), gem=number == count - 1
        )
        for number in range(count)
    )
    return Gem("giant", versions, import_names=("giant",))
