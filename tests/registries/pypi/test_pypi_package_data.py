"""What setuptools installs as a package's data may be modules, too: each case was built."""

from __future__ import annotations

import pytest

from tests.registries.pypi.archives import names_of_sdist

PATHS = ("own/__init__.py", "own/a.py", "own/sub/b.py", "own/sub/deep/c.py", "own/x/__init__.py", "own/x/y/d.py")
SUB = ["own.sub", "own.sub.b"]
X = ["own.x"]
Y = ["own.x", "own.x.y", "own.x.y.d"]


def names(*paths: str, **texts: str) -> list[str]:
    return [name for name in names_of_sdist(*paths, **texts) if name not in ("own", "own.a")]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("packages=['own'], package_data={'own': ['*.*', 'sub/*', 'x/y/*.py']}", [*SUB, *Y]),
        ("packages=['own', 'own.x'], package_data={'': ['y/*.py', 'sub/*.py']}", [*SUB, *Y]),
        ("packages=['own'], package_data={'own': ['**/*.py']}", [*SUB, "own.sub.deep", "own.sub.deep.c", *Y]),
        ("packages=find_packages(), package_data={'own': ['./sub/*.py'], 'own.x': ['y/*.py']}", [*SUB, *Y]),
        ("packages=['own'], package_data={'own': ['sub', 'x/*']}", X),
        ("packages=['own'], package_data={'*': ['sub/*.py']}", []),
        ("packages=['own'], package_data={'own': read('sub'), 'own.x': ['*.py']}", []),
        ("packages=['own'], package_data={'own': 7, 1: ['sub/*'], 'other': ['sub/*']}", []),
        ("packages=['own.x'], package_data={'own': ['sub/*.py']}", X),
    ],
)
def test_modules_that_setup_py_calls_data_of_a_package_are_installed_with_it(
    arguments: str, expected: list[str]
) -> None:
    assert names(*PATHS, setup_py=f"setup(name='own', {arguments})") == expected


def test_the_data_of_a_package_lie_where_the_package_does() -> None:
    paths = [f"src/{path}" for path in PATHS]
    script = "setup(packages=['own'], package_dir={'': 'src'}, package_data={'own': ['sub/*.py']})"

    assert names(*paths, setup_py=script) == SUB


@pytest.mark.parametrize("data", ["own = sub/*.py, x/*.py", "own =\n    sub/*.py\n    x/*.py", "* = sub/*.py, x/*.py"])
def test_setup_cfg_may_call_modules_data_of_a_package(data: str) -> None:
    assert names(*PATHS, setup_cfg=f"[options]\npackages = own\n[options.package_data]\n{data}") == [*SUB, *X]


def test_setup_cfg_may_call_modules_data_of_a_package_in_capitals() -> None:
    text = "[options]\npackages = Own\n[options.package_data]\nOwn = sub/*.py"

    assert names("Own/__init__.py", "Own/sub/b.py", setup_cfg=text) == ["Own", "Own.sub", "Own.sub.b"]


@pytest.mark.parametrize("package", ["own", "'*'"])
def test_pyproject_toml_may_call_modules_data_of_a_package(package: str) -> None:
    document = f"[tool.setuptools]\npackages=['own']\n[tool.setuptools.package-data]\n{package}=['sub/*.py', 'x/*.py']"

    assert names(*PATHS, pyproject_toml=document) == [*SUB, *X]
