"""This is a made npm registry from a seed."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.registry_server.declarations import Need, default_date
from tests.registry_server.npm.packages import NpmPackage, NpmVersion
from tests.registry_server.shape import Dice, Shape

MISSING = "never-published"
"""This is a package that requirements name and the registry does not have."""

CONSTRAINTS = (
    ("^1.2.3", "^1.2.3"),
    (">=1.0.0 <2.0.0", ">=1.0.0 <2.0.0"),
    ("^1.0.0 || ^2.0.0", "^1.0.0 || ^2.0.0"),
    ("~1.2.3", "~1.2.3"),
    ("1.2.3", "1.2.3"),
)
ODD_CONSTRAINTS = (("1", "1.x"), ("1.2", "1.2.x"), ("1.2.*", "1.2.x"), ("", "any"), ("latest", "latest"))


def packages(shape: Shape) -> list[NpmPackage]:
    """Return packages that require one another, in cycles too; a share of them odd in one way or another."""
    dice = Dice(shape, "npm")
    names = [_spelling(dice, name) for name in dice.names("-")]
    made = [_package(dice, name, names) for name in names]
    return made + ([_giant(shape.giant_versions, names)] if shape.giant_versions else [])


def _spelling(dice: Dice, name: str) -> str:
    """Scoped names are common, upper-case ones are the registry's oldest."""
    if dice.random.random() < 0.2:
        return f"@some-scope/{name}"
    return name.replace("-", "").title() if dice.odd() else name


def _package(dice: Dice, name: str, names: list[str]) -> NpmPackage:
    versions = [_version(dice, number, name, names) for number in range(dice.version_count())]
    stem = name.rpartition("/")[2].lower()
    if dice.odd():  # A fix of the oldest line, published last.
        versions[0] = replace(versions[0], date=default_date(len(versions)))
    newest, import_names = _newest(dice, name, versions[-1])
    # npm passes over a deprecated one, whatever its tag.
    versions[-1] = replace(newest, deprecated=None)
    url = f"https://github.com/some-owner/{stem}"
    owned = dice.random.random() < 0.5
    unpublished = dice.odd() and dice.odd()
    return NpmPackage(
        name=name,
        versions=tuple(versions),
        latest=newest.version,
        repository=_repository(dice, url) if owned else None,
        vendor="some-owner" if owned else None,
        repository_url=url if owned else "n/a",
        import_names=import_names,
        readme="Made. " * (20_000 if dice.large() else 100),
        unpublished=unpublished,
        unpublished_versions=("0.0.0-gone",) if dice.odd() else (),
    )


def _repository(dice: Dice, url: str) -> object:
    if not dice.odd():
        return {"type": "git", "url": f"git+{url}.git"}
    return dice.random.choice((f"{url}.git", url.removeprefix("https://github.com/"), [{"type": "git", "url": url}]))


def _version(dice: Dice, number: int, name: str, names: list[str]) -> NpmVersion:
    suffix = "-beta.1" if dice.odd() else ""
    return NpmVersion(
        f"{number // 5}.{number % 5}.0{suffix}",
        _needs(dice, name, names),
        deprecated="Use another." if dice.odd() else None,
        fields={"peerDependencies": {"a-peer": "*"}} if dice.odd() else {},
    )


def _needs(dice: Dice, name: str, names: list[str]) -> tuple[Need, ...]:
    count = min(dice.requirement_count(), len(names))
    targets = [target for target in dice.random.sample(names, count) if target != name]
    needs = [_need(dice, target) for target in targets]
    if dice.odd():
        needs.append(Need("^1.0.0", MISSING, "^1.0.0"))
    return tuple(needs)


def _need(dice: Dice, target: str) -> Need:
    written, constraints = dice.random.choice(ODD_CONSTRAINTS if dice.odd() else CONSTRAINTS)
    if written and dice.odd():
        return Need(f"npm:{target}@{written}", target, constraints, key=f"alias-of-{target.rpartition('/')[2].lower()}")
    return Need(written, target, constraints)


def _newest(dice: Dice, name: str, version: NpmVersion) -> tuple[NpmVersion, tuple[str, ...]]:
    """Return the newest version with its files, never a pre-release, and the names that can be imported from it."""
    members = {
        "index.js": b"module.exports = require('./lib/engine');\n",
        "lib/engine.js": b"module.exports = {};\n",
        "lib/parts/index.js": b"module.exports = {};\n",
        "test/engine.js": b"",
        "lib/_private.js": b"",
        "README.md": b"Made.\n",
    }
    if dice.large():
        members["lib/noise.bin"] = random.Random(name).randbytes(dice.large_bytes)
    names = (name, f"{name}/lib/engine", f"{name}/lib/parts")
    newest = replace(version, version=version.version.partition("-")[0], members=members)
    if not dice.odd():
        return newest, names
    match dice.random.randrange(3):
        case 0:
            return replace(newest, root=name.rpartition("/")[2]), names
        case 1:
            exports = {".": "./index.js", "./engine": {"import": "./lib/engine.js", "require": "./lib/engine.js"}}
            return replace(newest, fields={"exports": exports}), (name, f"{name}/engine")
        case _:
            types = {**members, "lib/engine.d.ts": b"", "lib/more.mjs": b""}
            return replace(newest, members=types), (
                name,
                f"{name}/lib/engine",
                f"{name}/lib/more.mjs",
                f"{name}/lib/parts",
            )


def _giant(count: int, names: list[str]) -> NpmPackage:
    """Return one package with very many versions, alike, five requirements each, and a packument of many megabytes."""
    needs = tuple(Need("^1.0.0", name, "^1.0.0") for name in names[:5])
    versions = tuple(
        NpmVersion(
            f"{number // 100}.{number % 100}.0", needs, date=default_date(number // 100), tarball=number == count - 1
        )
        for number in range(count)
    )
    return NpmPackage("giant", versions, import_names=("giant",))
