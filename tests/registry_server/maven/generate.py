"""This is a made Maven repository from a seed."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.registry_server.declarations import Need, default_date
from tests.registry_server.maven.artifacts import MavenPackage, MavenVersion, dependency, need
from tests.registry_server.shape import Dice, Shape

MISSING = "com.made:never-published"
"""This is an artifact that dependencies name and the repository does not have."""

CORPORATE = "com.made:made-parent:7"
"""This is the parent of all parents."""

BOM = "com.made:made-bom"
BOM_VERSION = "3"

FAMILY = 6
"""So many artifacts share their parents, one for each version number, as the modules of one project do."""

CONSTRAINTS = (
    ("1.2.3", "[1.2.3]"),
    ("[1.0,2.0)", "[1.0,2.0)"),
    ("4.1.0.Final", "[4.1.0.Final]"),
    ("[1.5,)", "[1.5,)"),
)
ODD_CONSTRAINTS = (
    ("(,1.0],[1.2,)", "(,1.0],[1.2,)"),
    ("${nobody.defines.this}", "any"),
    ("[1.0, 2.0)", "[1.0, 2.0)"),
)


def artifacts(shape: Shape) -> list[MavenPackage]:
    """Return artifacts that require one another, in cycles too; a share of them odd in one way or another."""
    dice = Dice(shape, "maven")
    names = [_name(dice, number, name) for number, name in enumerate(dice.names("-"))]
    made = [_package(dice, name, names) for name in names]
    giant = [_giant(shape.giant_versions, names)] if shape.giant_versions else []
    return [*_shared(), *_parents(made), *made, *giant]


def _name(dice: Dice, number: int, name: str) -> str:
    artifact_id = name.replace("-", "").upper() if dice.odd() else name
    return f"com.made.family{number // FAMILY}:{artifact_id}"


def _shared() -> list[MavenPackage]:
    managed = "".join(dependency(f"com.made.managed:thing-{number}", f"{number}.1") for number in range(100))
    bom = MavenVersion(BOM_VERSION, packaging="pom", pom=_management(managed))
    corporate = MavenVersion(
        CORPORATE.split(":")[2],
        packaging="pom",
        pom="<properties><corporate.version>2.5</corporate.version><overridden.version>1</overridden.version></properties>"
        "<profiles><profile><id>by-property</id><activation><property><name>!made.off</name></property></activation>"
        f"{_management(dependency('com.made.managed:by-profile', '8.0'))}</profile></profiles>",
    )
    return [
        MavenPackage(BOM, (bom,), listed=False),
        MavenPackage("com.made:made-parent", (corporate,), listed=False),
    ]


def _parents(made: list[MavenPackage]) -> list[MavenPackage]:
    """Return the parents that the artifacts name."""
    wanted = {version.parent for package in made for version in package.versions if version.parent}
    versions: dict[str, list[MavenVersion]] = {}
    for parent in sorted(wanted):
        name, _, number = parent.rpartition(":")
        managed = dependency("com.made.managed:by-parent", "${overridden.version}.0") + dependency(
            "com.made.managed:in-tests", "1.0", scope="test"
        )
        pom = (
            "<scm><url>https://github.com/some-owner/some-repo</url></scm>"
            f"<properties><own.version>{number}</own.version></properties>"
            f"{_management(managed + dependency(BOM, BOM_VERSION, type='pom', scope='import'))}"
        )
        versions.setdefault(name, []).append(MavenVersion(number, packaging="pom", parent=CORPORATE, pom=pom))
    return [MavenPackage(name, tuple(poms), listed=False) for name, poms in versions.items()]


def _management(dependencies: str) -> str:
    return f"<dependencyManagement><dependencies>{dependencies}</dependencies></dependencyManagement>"


def _package(dice: Dice, name: str, names: list[str]) -> MavenPackage:
    group_id = name.partition(":")[0]
    has_parent = dice.random.random() < 0.6
    versions = [_version(dice, number, name, names, has_parent=has_parent) for number in range(dice.version_count())]
    newest, import_names = _newest(dice, name, versions[-1], names)
    versions[-1] = newest
    if len(versions) > 1 and dice.odd():  # A fix of the oldest line, published last.
        versions[0] = replace(versions[0], date=default_date(len(versions)))
    if len(versions) > 2 and dice.odd():
        versions[1] = replace(versions[1], has_pom=False)
    owned = newest.parent is not None
    return MavenPackage(
        name=name,
        versions=tuple(versions),
        vendor="some-owner" if owned else None,
        repository_url="https://github.com/some-owner/some-repo" if owned else "n/a",
        import_names=import_names or (group_id,),
    )


def _version(dice: Dice, number: int, name: str, names: list[str], *, has_parent: bool) -> MavenVersion:
    group_id = name.partition(":")[0]
    suffix = "-beta-1" if dice.odd() else ""
    text = f"{number // 5}.{number % 5}.0{suffix}"
    needs = _needs(dice, name, names)
    profile = ""
    if dice.odd():
        needs += (Need("", "com.made:by-jdk", "[17]"),)
        profile = _profile("<jdk>[11,)</jdk>", "17") + _profile("<jdk>1.8</jdk>", "8")
    profiles = f"<profiles>{profile}</profiles>" if profile else ""
    if not has_parent:
        return MavenVersion(text, needs, pom=profiles)
    inherited = (
        need("com.made.managed:by-parent", None, "[5.0]"),
        need("com.made.managed:thing-42", None, "[42.1]"),
        need("com.made.managed:by-profile", None, "[8.0]"),
        Need(dependency("com.made.managed:in-tests"), None),
    )
    return MavenVersion(
        text,
        needs + tuple(dice.random.sample(inherited, 2)),
        pom=f"<properties><overridden.version>5</overridden.version></properties>{profiles}",
        parent=f"{group_id}:family-parent:{text}",
    )


def _profile(activation: str, version: str) -> str:
    """Return a profile that is there for some JDKs only."""
    return (
        f"<profile><id>jdk-{version}</id><activation>{activation}</activation>"
        f"<dependencies>{dependency('com.made:by-jdk', version)}</dependencies></profile>"
    )


def _needs(dice: Dice, name: str, names: list[str]) -> tuple[Need, ...]:
    count = min(dice.requirement_count(), len(names))
    targets = [target for target in dice.random.sample(names, count) if target != name]
    needs = [_need(dice, target) for target in targets]
    if dice.odd():
        needs.append(need(MISSING, "1.0"))
    if dice.odd():
        needs.append(
            dice.random.choice(
                (
                    Need(dependency("com.made:tests", "1.0", scope="test"), None),
                    Need(dependency("com.made:servlet", "1.0", scope="provided"), None),
                    Need(dependency("com.made:maybe", "1.0", optional="true"), None),
                )
            )
        )
    return tuple(needs)


def _need(dice: Dice, target: str) -> Need:
    written, constraints = dice.random.choice(ODD_CONSTRAINTS if dice.odd() else CONSTRAINTS)
    if not dice.odd():
        return need(target, written, constraints)
    more = dice.random.choice(({"scope": "runtime"}, {"scope": "compile"}, {"classifier": "linux"}, {"type": "pom"}))
    return need(target, written, constraints, **more)


def _newest(dice: Dice, name: str, version: MavenVersion, names: list[str]) -> tuple[MavenVersion, tuple[str, ...]]:
    """Return the newest version with its files, never a pre-release, and the names that can be imported from it."""
    group_id, _, artifact_id = name.partition(":")
    package = f"{group_id}.{artifact_id.replace('-', '').lower()}"
    folder = package.replace(".", "/")
    members = {
        f"{folder}/Engine.class": b"\xca\xfe\xba\xbe",
        f"{folder}/parts/Part$1.class": b"\xca\xfe\xba\xbe",
        "META-INF/versions/11/module-info.class": b"\xca\xfe\xba\xbe",
        "README.txt": b"Made.\n",
    }
    if dice.large():
        members[f"{folder}/noise.bin"] = random.Random(name).randbytes(dice.large_bytes)
    text = version.version.partition("-")[0]
    parent = version.parent and version.parent.partition("-beta")[0]
    newest = replace(version, version=text, parent=parent, members=members)
    if not dice.odd():
        return newest, (package,)
    match dice.random.randrange(5):
        case 0:
            return replace(newest, packaging="pom"), ()
        case 1:
            return replace(newest, packaging="bundle"), (package,)
        case 2:
            return _moved(newest, dice.random.choice([other for other in names if other != name])), ()
        case 3:
            return replace(newest, members={"META-INF/resources/a.css": b""}), ()
        case _:
            roots = {**members, "org/shaded/Other.class": b"\xca\xfe\xba\xbe"}
            return replace(newest, members=roots), (package, "org.shaded")


def _moved(version: MavenVersion, target: str) -> MavenVersion:
    """Return a version that only says where its successor is."""
    group_id, _, artifact_id = target.partition(":")
    relocation = f"<relocation><groupId>{group_id}</groupId><artifactId>{artifact_id}</artifactId></relocation>"
    return MavenVersion(
        version.version,
        (Need("", target, f"[{version.version}]"),),
        pom=f"<distributionManagement>{relocation}</distributionManagement>",
        has_jar=False,
    )


def _giant(count: int, names: list[str]) -> MavenPackage:
    """Return one artifact with very many versions, alike, five dependencies each."""
    needs = tuple(need(name, "1.0") for name in names[:5])
    versions = tuple(
        MavenVersion(
            f"{number // 100}.{number % 100}.0", needs, date=default_date(number // 100), has_jar=number == count - 1
        )
        for number in range(count)
    )
    return MavenPackage("com.made:giant", versions, import_names=("com.made",))
