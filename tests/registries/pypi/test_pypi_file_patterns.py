"""A source archive gives what a wheel built from it would hold where patterns say which files: each case was built with
the backend that it names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.registries.pypi.file_patterns import gitignore, globs
from tests.registries.pypi.archives import names_of_sdist

FILES = (
    "src/own/__init__.py",
    "src/own/z.py",
    "src/own/deep/__init__.py",
    "src/own/deep/q.py",
    "src/ns/pkg/t.py",
    "lib/other/__init__.py",
    "lib/other/k.py",
    "lib/single.py",
    "own2/__init__.py",
    "helper.py",
    "scripts/run.py",
)
OWN = ["own", "own.deep", "own.deep.q", "own.z"]
WITHOUT_DEEP = ["own", "own.z"]
OTHER = ["lib", "lib.other", "lib.other.k"]
WHEEL = "tool.hatch.build.targets.wheel"


def names(backend: str, text: str, **texts: str) -> list[str]:
    document = f"[build-system]\nbuild-backend = '{backend}'\n[project]\nname = 'own'\nversion = '1.0'\n{text}"
    return names_of_sdist(*FILES, pyproject_toml=document, **texts)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("packages=['src/own']\nexclude=['**/deep']", WITHOUT_DEEP),
        ("packages=['src/own']\nexclude=['deep']", WITHOUT_DEEP),
        ("packages=['src/own']\nexclude=['deep/']", WITHOUT_DEEP),
        ("packages=['src/own']\nexclude=['/src/own/d*']", WITHOUT_DEEP),
        ("packages=['src/own']\nexclude=['z.py']", OWN[:3]),
        ("exclude=['*.py', '!z.py']", WITHOUT_DEEP),
        ("exclude=['deep']", WITHOUT_DEEP),
        ("exclude=['/deep', 'own/deep']", OWN),
        ("include=['src', '!src/own']", ["src", "src.ns", "src.ns.pkg", "src.ns.pkg.t"]),
        ("include=['own*']", ["own2", "src", *(f"src.{name}" for name in OWN)]),
        ("include=['src/own/*.py']\nsources=['src']", WITHOUT_DEEP),
        ("include=['other']", OTHER),
        ("include=['k.py']", OTHER),
        ("include=['lib/**/k.py']", OTHER),
        ("only-packages=true\ninclude=['own2', 'helper.py', 'scripts']", ["own2"]),
        (f"[{WHEEL}.sources]\n'src/own'='fresh'", ["fresh", "fresh.deep", "fresh.deep.q", "fresh.z"]),
        (f"packages=['own2']\n[{WHEEL}.sources]\n''='above'", ["above", "above.own2"]),
        (f"[{WHEEL}.force-include]\n'helper.py'='helper.py'", ["helper", *OWN]),
        (f"[{WHEEL}.force-include]\n'lib'='/'", ["other", "other.k", *OWN, "single"]),
        (f"packages=['own2']\n[{WHEEL}.force-include]\n'own2/__init__.py'='own3/__init__.py'", ["own3"]),
    ],
)
def test_hatchling_selects_files_by_patterns_like_those_of_git(text: str, found: list[str]) -> None:
    assert names("hatchling.build", f"[{WHEEL}]\n{text}") == found


def test_hatch_toml_says_it_instead_of_pyproject_toml() -> None:
    declared = f"[{WHEEL}]\npackages=['own2']"

    found = names("hatchling.build", declared, hatch_toml="[build.targets.wheel]\npackages=['lib/other']")

    assert found == ["other", "other.k"]


@pytest.mark.parametrize(
    ("backend", "text", "found"),
    [
        ("poetry.core.masonry.api", "packages=[{include='own',from='src'}]\nexclude=['**/deep/*']", WITHOUT_DEEP),
        ("poetry.core.masonry.api", "packages=[{include='own',from='src'}]\nexclude=['src/own/*.py']", OWN[:3]),
        ("poetry.core.masonry.api", "packages=[{include='own',from='src'}]\nexclude=['deep']", OWN),
        ("poetry.core.masonry.api", "packages=[{include='own*',from='src'}]", OWN),
        ("poetry.core.masonry.api", "include=[{path='src/own/*.py',format='wheel'}]", OWN),
        ("poetry.core.masonry.api", "exclude=['**/z.py']\ninclude=[{path='src/own/*.py',format=['wheel']}]", OWN),
        ("poetry.core.masonry.api", "packages=[{include='own2',format='sdist'}]", OWN),
        (
            "poetry.core.masonry.api",
            "packages=[{include='own2',to='t'},{include='own2'},{include='single.py',from='lib'}]",
            ["single", "t", "t.own2"],
        ),
        ("pdm.backend", "includes=['src/own/*.py']", WITHOUT_DEEP),
        ("pdm.backend", "includes=['*.py']", ["helper"]),
        ("pdm.backend", "includes=['src/own']\nexcludes=['**/deep']", WITHOUT_DEEP),
        ("pdm.backend", "excludes=['src/own/deep/*.py']", WITHOUT_DEEP),
        ("pdm.backend", "includes=['**/k.py']", OTHER),
        ("scikit_build_core.build", "wheel.exclude=['**/deep/**']", WITHOUT_DEEP),
        ("scikit_build_core.build", "wheel.exclude=['deep']", WITHOUT_DEEP),
        ("uv_build", "wheel-exclude=['deep']", WITHOUT_DEEP),
        ("uv_build", "wheel-exclude=['own/deep']", WITHOUT_DEEP),
        ("uv_build", "wheel-exclude=['/src/own/deep']", OWN),
        ("uv_build", "source-exclude=['/src/own/deep/**']", WITHOUT_DEEP),
        ("uv_build", "source-exclude=['/src/own/z.py', 'q.py']", OWN[:2]),
        ("uv_build", "wheel-exclude=['/src/own/z.py']", OWN[:3]),
        ("uv_build", "wheel-exclude=['/own/z.py', './own/z.py', 'own//z.py', 'deep/', '/own/deep/**']", OWN),
        ("uv_build", "source-exclude=['./src/own/z.py', 'src']", OWN),
        ("uv_build", "module-root='.'\nmodule-name='own2'", ["own2"]),
    ],
)
def test_other_backends_select_files_by_patterns(backend: str, text: str, found: list[str]) -> None:
    tables = {
        "poetry.core.masonry.api": "tool.poetry",
        "pdm.backend": "tool.pdm.build",
        "scikit_build_core.build": "tool.scikit-build",
        "uv_build": "tool.uv.build-backend",
    }

    assert names(backend, f"[{tables[backend]}]\n{text}") == found


PATTERN = st.lists(st.sampled_from(["**", "*", "a", "b", "a*", "?"]), min_size=1, max_size=4)
PATH = st.lists(st.sampled_from(["a", "b", "ab", "c"]), min_size=1, max_size=5)


def fits(pattern: list[str], path: list[str]) -> bool:
    """A pattern is read from the left, with everything that `**` may stand for."""
    if not pattern or pattern == ["**"]:
        return True
    if not path:
        return set(pattern) == {"**"}
    if pattern[0] == "**":
        return fits(pattern[1:], path) or fits(pattern, path[1:])
    one, part = pattern[0], path[0]
    is_like = one == "*" or one == part or (one == "?" and len(part) == 1) or (one == "a*" and part[0] == "a")
    return is_like and fits(pattern[1:], path[1:])


@given(PATTERN, PATH)
def test_a_pattern_means_what_lies_at_or_below_it(pattern: list[str], path: list[str]) -> None:
    assert globs(["/".join(pattern)]).hold("/".join(path)) == fits(pattern, path)
    assert gitignore(["/" + "/".join(pattern)]).hold("/".join(path)) == fits(pattern, path)


@pytest.mark.parametrize(
    "text", ["", " ", "#x", "!", "/", "//", "\\", "[", "x" * 1000, "a/" * 100, "../x", "!!a", "**"]
)
def test_odd_patterns_do_no_harm(text: str) -> None:
    assert gitignore([text, "x"]).hold("x")
    assert globs([text, "x"]).hold("x")
