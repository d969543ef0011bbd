"""This is a made PyPI from a seed."""

from __future__ import annotations

from dataclasses import replace

from tests.registry_server.declarations import Need, default_date
from tests.registry_server.pypi.archives import Sdist, Wheel
from tests.registry_server.pypi.projects import Project, ProjectRelease
from tests.registry_server.shape import Dice, Shape

MISSING = "never-published"
"""This is a project that requirements name and the registry does not have."""

CONSTRAINTS = (
    ("", "any"),
    (">=0.1", ">=0.1"),
    ("<3.0,>=1.0", ">=1.0, <3.0"),
    ("==1.0.0", "==1.0.0"),
    (" (>=0.2)", ">=0.2"),
)
ODD_CONSTRAINTS = (
    ("~=1.4.2", ">=1.4.2, <1.5"),
    ("==2.19.*", ">=2.19, <2.20"),
    ("===1.0", "==1.0"),
    ("!=1.5,>=1.0", ">=1.0, !=1.5"),
    ("[speed]>=1.0", ">=1.0"),
    (' ; python_version >= "3.6"', "any"),
    ('>=2.0 ; sys_platform != "win32"', ">=2.0"),
)
FALSE_MARKERS = ('extra == "test"', 'sys_platform == "win32"', 'python_version < "3"')


def projects(shape: Shape) -> list[Project]:
    """Return projects that require one another, in cycles too; a share of them odd in one way or another."""
    dice = Dice(shape, "pypi")
    names = [_spelling(dice, name) for name in dice.names("-")]
    made = [_project(dice, name, names, position) for position, name in enumerate(names)]
    return made + ([_giant(shape.giant_versions, names)] if shape.giant_versions else [])


def _spelling(dice: Dice, name: str) -> str:
    if not dice.odd():
        return name
    return dice.random.choice((name.replace("-", "_"), name.replace("-", "."), name.title()))


def _project(dice: Dice, name: str, names: list[str], position: int) -> Project:
    versions = _versions(dice)
    releases = [_release(dice, version, name, names) for version in versions]
    if dice.odd():  # A fix of the oldest line, published last.
        releases[0] = replace(releases[0], date=default_date(len(releases)))
    owner = dice.random.choice(("", "some-owner"))
    module = name.lower().replace("-", "_").replace(".", "_")
    files, import_names = _newest_files(dice, module)
    releases[-1] = replace(releases[-1], files=files, yanked=False, requirements_known=True)
    url = f"https://github.com/{owner}/{module}"
    return Project(
        name=name,
        releases=tuple(releases),
        home_page="https://example.org" if dice.odd() else None,
        project_urls=(("Source", f"{url}/tree/main"), ("Documentation", "https://example.org")) if owner else (),
        vendor=owner or "n/a",
        repository_url=url if owner else "n/a",
        import_names=import_names,
        layout="2018" if dice.odd() and not any(release.yanked for release in releases) else "2025",
    )


def _versions(dice: Dice) -> list[str]:
    """Return the versions, ascending; an odd project has pre-, post- and dev-releases and an epoch, its newest is
    always a plain one.
    """
    count = dice.version_count()
    plain = [f"{number // 10}.{number % 10}.{number % 3}" for number in range(1, count + 1)]
    if not dice.odd() or count < 6:
        return plain
    odd = [f"{version}{suffix}" for version, suffix in zip(plain, ("a1", "rc1", "", ".post1", ".dev3"), strict=False)]
    return odd[: min(5, count - 1)] + plain[5:-1] + [f"1!{plain[-1]}"]


def _release(dice: Dice, version: str, name: str, names: list[str]) -> ProjectRelease:
    needs = _needs(dice, name, names)
    if not dice.odd():
        return ProjectRelease(version, needs)
    match dice.random.randrange(5):
        case 0:
            return ProjectRelease(version, needs, yanked=True, yanked_reason="Broken.")
        case 1:
            return ProjectRelease(version, needs, files=(Sdist(),))
        case 2:
            return ProjectRelease(version, needs, files=(Sdist(suffix=".zip"),), requirements_known=False)
        case 3:
            return ProjectRelease(version, (), files=(), requirements_known=False)
        case _:
            return ProjectRelease(version, needs, files=(Wheel(core_metadata=False), Sdist()))


def _needs(dice: Dice, name: str, names: list[str]) -> tuple[Need, ...]:
    count = min(dice.requirement_count(), len(names))
    targets = [target for target in dice.random.sample(names, count) if target != name]
    needs = [_need(dice, target) for target in targets]
    if dice.odd():
        marker = dice.random.choice(FALSE_MARKERS)
        needs.append(Need(f"{dice.random.choice(names)}>=1.0; {marker}", None))
    if dice.odd():
        needs.append(Need(f"{MISSING}>=1.0", MISSING, ">=1.0"))
    return tuple(needs)


def _need(dice: Dice, target: str) -> Need:
    written, constraints = dice.random.choice(ODD_CONSTRAINTS if dice.odd() else CONSTRAINTS)
    return Need(f"{target}{written}", target, constraints)


def _newest_files(dice: Dice, module: str) -> tuple[tuple[Wheel | Sdist, ...], tuple[str, ...]]:
    """Return the files of the newest release and the names that can be imported from them."""
    package = {
        f"{module}/__init__.py": b"",
        f"{module}/api.py": b"def call() -> None: ...\n",
        f"{module}/core/__init__.py": b"",
        f"{module}/core/engine.py": b"",
        "tests/__init__.py": b"",
        "tests/test_api.py": b"",
    }
    names = (module, f"{module}.api", f"{module}.core", f"{module}.core.engine")
    if not dice.odd():
        padding = dice.large_bytes if dice.large() else 0
        return (Wheel(package, padding_bytes=padding), Sdist(package)), names
    match dice.random.randrange(6):
        case 0:
            return (Wheel({f"{module}.py": b""}),), (module,)
        case 1:
            native = {**package, f"{module}/_speed.cpython-311-x86_64-linux-gnu.so": b"\x7fELF"}
            return (Wheel(native, tag="cp311-cp311-linux_x86_64"),), (*names[:1], f"{module}._speed", *names[1:])
        case 2:
            space = {f"space/{module}/__init__.py": b"", f"space/{module}/part.py": b""}
            return (Wheel(space),), ("space", f"space.{module}", f"space.{module}.part")
        case 3:
            declared = (module, f"{module}.core ; private")
            return (Wheel(package, import_names=declared),), (module, f"{module}.api")
        case 4:
            return (Sdist({f"src/{path}": body for path, body in package.items()}),), names
        case _:
            return (Sdist(package, suffix=".zip"),), names


def _giant(count: int, names: list[str]) -> Project:
    """Return one project with very many versions, alike, five requirements each."""
    needs = tuple(Need(f"{name}>=0.1", name, ">=0.1") for name in names[:5])
    releases = tuple(
        ProjectRelease(f"{number // 100}.{number % 100}", needs, date=default_date(number // 100))
        for number in range(count)
    )
    return Project("giant", releases, import_names=("giant",))
