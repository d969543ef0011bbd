"""This is a made NuGet registry from a seed."""

from __future__ import annotations

from dataclasses import replace

from tests.registry_server.declarations import Need, default_date
from tests.registry_server.nuget.assemblies import AssemblyType, assembly, native_library
from tests.registry_server.nuget.packages import DependencyGroup, NuGetPackage, NuGetVersion
from tests.registry_server.shape import Dice, Shape

MISSING = "Never.Published"
"""This is a package that dependencies name and the registry does not have."""

CONSTRAINTS = (
    ("[1.0.0, )", "[1.0.0, )"),
    ("[1.0.0, 2.0.0)", "[1.0.0, 2.0.0)"),
    ("(, 2.0.0]", "(, 2.0.0]"),
    ("[1.2.3.4, )", "[1.2.3.4, )"),
    ("(1.0.0, 3.0.0)", "(1.0.0, 3.0.0)"),
)
ODD_CONSTRAINTS = (
    ("(, )", "any"),
    ("", "any"),
    ("[1.0.0, 1.0.0]", "[1.0.0]"),
    ("1.0.0", "[1.0.0, )"),
    ("[1.0.0-beta.1, )", "[1.0.0-beta.1, )"),
)
FRAMEWORKS = (".NETStandard2.0", "net8.0", ".NETFramework4.7.2", "net6.0-android31.0")

PAGE_SIZE = 64
INLINED_BELOW = 128


def packages(shape: Shape) -> list[NuGetPackage]:
    """Return packages that depend on one another, in cycles too; a share of them odd in one way or another."""
    dice = Dice(shape, "nuget")
    names = [name.lower() if dice.odd() else name.title() for name in dice.names(".")]
    made = [_package(dice, name, names) for name in names]
    return made + ([_giant(shape.giant_versions, names)] if shape.giant_versions else [])


def _package(dice: Dice, name: str, names: list[str]) -> NuGetPackage:
    versions = [_version(dice, number, name, names) for number in range(dice.version_count())]
    newest, import_names = _newest(dice, name, versions[-1])
    versions[-1] = newest
    if len(versions) > 1 and dice.odd():  # A fix of the oldest line, published last.
        versions[0] = replace(versions[0], date=default_date(len(versions)))
    url = f"https://github.com/some-owner/{name.lower()}"
    owned, in_nuspec = dice.random.random() < 0.7, dice.odd()
    return NuGetPackage(
        id=name,
        versions=tuple(versions),
        project_url=url if owned and not in_nuspec else "https://example.org/",
        repository=f"{url}.git" if owned and in_nuspec else None,
        vendor="some-owner" if owned else None,
        repository_url=url if owned else "n/a",
        import_names=import_names,
        page_size=PAGE_SIZE if len(versions) >= INLINED_BELOW else 2 if dice.odd() else None,
    )


def _version(dice: Dice, number: int, name: str, names: list[str]) -> NuGetVersion:
    suffix = "-beta.1" if dice.odd() else ""
    revision = ".7" if dice.odd() else ""
    return NuGetVersion(
        f"{number // 5}.{number % 5}.0{revision}{suffix}{'+made.1' if dice.odd() else ''}",
        _groups(dice, name, names),
        listed=not dice.odd(),
        deprecation={"reasons": ["Legacy"], "message": "Use another."} if dice.odd() else None,
    )


def _groups(dice: Dice, name: str, names: list[str]) -> tuple[DependencyGroup, ...]:
    """Return all needs for most frameworks, fewer for others; one package's range is the same everywhere."""
    count = min(dice.requirement_count(), len(names))
    targets = [target for target in dice.random.sample(names, count) if target != name]
    needs = [Need(*_spelled(dice, target)) for target in targets]
    if dice.odd():
        needs.append(Need("[1.0.0, )", MISSING, "[1.0.0, )"))
    if not needs and dice.odd():
        return ()
    if dice.odd():
        return (DependencyGroup(tuple(needs)),)
    frameworks = dice.random.sample(FRAMEWORKS, dice.random.randint(1, 3))
    others = [
        DependencyGroup(tuple(needs[: dice.random.randint(0, len(needs))]), framework) for framework in frameworks[1:]
    ]
    return (DependencyGroup(tuple(needs), frameworks[0]), *others)


def _spelled(dice: Dice, target: str) -> tuple[str, str, str]:
    written, constraints = dice.random.choice(ODD_CONSTRAINTS if dice.odd() else CONSTRAINTS)
    return written, target.lower() if dice.odd() else target, constraints


def _newest(dice: Dice, name: str, version: NuGetVersion) -> tuple[NuGetVersion, tuple[str, ...]]:
    """Return the newest version with its files, always listed and never a pre-release, and the namespaces to be
    found.
    """
    types = [
        AssemblyType(f"{name}.Thing"),
        AssemblyType(f"{name}.Parts.Part"),
        AssemblyType(f"{name}.Internal.Helper", "internal"),
    ]
    dll = assembly(name, [*types, AssemblyType("Nested", "nested public", f"{name}.Thing")])
    old = assembly(name, [f"{name}.Old.Thing"])
    names: tuple[str, ...] = (name, f"{name}.Parts")
    members = {f"lib/net45/{name}.dll": old, f"lib/netstandard2.0/{name}.dll": dll}
    number = version.version.partition("+")[0].partition("-")[0]
    newest = replace(version, version=number, listed=True, members=members)
    if dice.large():
        newest = replace(newest, padding_bytes=dice.large_bytes)
    if not dice.odd():
        return newest, names
    match dice.random.randrange(6):
        case 0:
            others = {f"lib/netstandard2.0/de/{name}.resources.dll": old, "lib/netstandard2.0/z.dll": native_library()}
            return replace(newest, members=members | others), names
        case 1:
            return replace(newest, members={"content/readme.txt": b"Made.", f"tools/{name}.dll": dll}), (name,)
        case 2:
            return replace(newest, members={f"ref/net8.0/{name}.dll": dll, "lib/net8.0/_._": b""}), names
        case 3:
            system = {"lib/netstandard2.0/System.Buffers.dll": assembly("System.Buffers", ["System.Buffers.Pool"])}
            return replace(newest, members=members | system), names
        case 4:
            no_namespace = assembly(f"{name}.Core", ["Program"])
            return replace(newest, members={f"lib/net6.0/{name}.Core.dll": no_namespace}), (f"{name}.Core",)
        case _:
            modern = {f"lib/net8.0/{name}.dll": dll, "lib/net8.0-windows7.0/w.dll": old}
            return replace(newest, members={f"lib/netstandard2.0/{name}.dll": old, **modern}), names


def _giant(count: int, names: list[str]) -> NuGetPackage:
    """Return one package with very many versions, alike, five dependencies each, in pages of their own."""
    groups = (DependencyGroup(tuple(Need("[1.0.0, )", name, "[1.0.0, )") for name in names[:5]), ".NETStandard2.0"),)
    versions = tuple(
        NuGetVersion(
            f"{number // 100}.{number % 100}.0", groups, date=default_date(number // 100), nupkg=number == count - 1
        )
        for number in range(count)
    )
    return NuGetPackage("giant", versions, import_names=("giant",), page_size=PAGE_SIZE)
