"""A source archive gives what a wheel built from it would hold: each case was built with the backend that it names."""

from __future__ import annotations

import pytest

from tests.registries.pypi.archives import names_of_sdist

FILES = (
    "python/own/__init__.py",
    "python/own/a.py",
    "python/own/sub/b.py",
    "own2/__init__.py",
    "tests/test_a.py",
    "helper.py",
    "src/own/__init__.py",
    "src/own/z.py",
)
OWN = ["own", "own.a", "own.sub", "own.sub.b"]
IN_SRC = ["own", "own.z"]
HATCH = "tool.hatch.build.targets.wheel"


def project(backend: str, text: str = "", name: str = "own") -> str:
    return f"[build-system]\nbuild-backend = '{backend}'\n[project]\nname = '{name}'\nversion = '1.0'\n{text}"


@pytest.mark.parametrize(
    ("backend", "text", "names"),
    [
        ("hatchling.build", f"[{HATCH}]\npackages=['python/own']", OWN),
        ("hatchling.build", f"[{HATCH}]\npackages=['python/own/sub']", ["sub", "sub.b"]),
        ("hatchling.build", "[tool.hatch.build]\npackages=['python/own']", OWN),
        ("hatchling.build", f"[{HATCH}]\nonly-include=['python/own','own2']\nsources=['python']", [*OWN, "own2"]),
        (
            "hatchling.build",
            f"[{HATCH}]\nonly-include=['python/own']\n[{HATCH}.sources]\n'python/own'='new'",
            ["new", "new.a", "new.sub", "new.sub.b"],
        ),
        ("hatchling.build", f"[{HATCH}]\ninclude=['/own2']", ["own2"]),
        ("hatchling.build", f"[{HATCH}]\ninclude=['python/own/**/*.py']\nsources=['python']", OWN),
        ("hatchling.build", f"[{HATCH}]\ninclude=['own2/*.py','helper.py']", ["helper", "own2"]),
        ("hatchling.build", f"[{HATCH}]\npackages=['python/own']\nexclude=['python/own/sub']", ["own", "own.a"]),
        (
            "hatchling.build",
            f"[{HATCH}]\npackages=['own2']\n[{HATCH}.force-include]\n'helper.py'='own2/h.py'",
            ["own2", "own2.h"],
        ),
        ("hatchling.build", "", IN_SRC),
        ("poetry.core.masonry.api", "[tool.poetry]\npackages=[{include='own',from='python'}]", OWN),
        (
            "poetry.core.masonry.api",
            "[tool.poetry]\npackages=[{include='own/**/*.py',from='python'},{include='helper.py'}]",
            ["helper", *OWN],
        ),
        (
            "poetry.core.masonry.api",
            "[tool.poetry]\npackages=[{include='own2',to='target'},{include='tests',format='sdist'}]",
            ["target", "target.own2"],
        ),
        ("poetry.core.masonry.api", "[tool.poetry]\ninclude=[{path='helper.py',format='wheel'}]", ["helper", *IN_SRC]),
        ("poetry.core.masonry.api", "", IN_SRC),
        ("flit_core.buildapi", "[tool.flit.module]\nname='helper'", ["helper"]),
        ("flit_core.buildapi", "", IN_SRC),
        ("pdm.backend", "", IN_SRC),
        ("pdm.backend", "[tool.pdm.build]\npackage-dir='python'", OWN),
        ("pdm.backend", "[tool.pdm.build]\npackage-dir='python'\nincludes=['python/own/a.py']", ["own", "own.a"]),
        ("maturin", "[tool.maturin]\npython-source='python'", [*OWN[:2], "own.own", *OWN[2:]]),
        ("maturin", "[tool.maturin]\npython-source='python'\nmodule-name='own._c'", ["own", "own._c", *OWN[1:]]),
        ("maturin", "[tool.maturin]\nmodule-name='native'", ["native"]),
        ("scikit_build_core.build", "[tool.scikit-build]\nwheel.packages=['python/own']", OWN),
        ("scikit_build_core.build", "[tool.scikit-build.wheel.packages]\n'x/own2'='own2'", ["x", "x.own2"]),
        ("scikit_build_core.build", "", IN_SRC),
        ("uv_build", "", IN_SRC),
        ("uv_build", "[tool.uv.build-backend]\nmodule-root='python'", OWN),
        ("uv_build", "[tool.uv.build-backend]\nmodule-root=''\nmodule-name=['own2','helper']", ["helper", "own2"]),
        ("setuptools.build_meta", "[tool.setuptools.packages.find]\nwhere=['python']", OWN),
        ("setuptools.build_meta", "[tool.setuptools.packages.find]\nwhere=['python']\nnamespaces=false", OWN[:2]),
        ("setuptools.build_meta", "[tool.setuptools.packages.find]\nwhere=['python']\nexclude=['own.s*']", OWN[:2]),
        ("setuptools.build_meta", "[tool.setuptools]\npackages=['own','own.sub']\npackage-dir={''='python'}", OWN),
        (
            "setuptools.build_meta",
            "[tool.setuptools]\npackages=['other']\npackage-dir={other='python/own'}",
            ["other", "other.a"],
        ),
        ("setuptools.build_meta", "[tool.setuptools]\npy-modules=['helper']", ["helper"]),
    ],
)
def test_pyproject_toml_says_what_is_installed(backend: str, text: str, names: list[str]) -> None:
    assert names_of_sdist(*FILES, pyproject_toml=project(backend, text)) == names


@pytest.mark.parametrize(
    ("backend", "text"),
    [
        ("hatchling.build", f"[{HATCH}]\npackages=['gone']"),
        ("hatchling.build", f"[{HATCH}]\nonly-include=['gone']"),
        ("hatchling.build", f"[{HATCH}]\ninclude=['gone/**']"),
        ("hatchling.build", f"[{HATCH}]\npackages=['own2']\nexclude=['*.py']"),
        ("scikit_build_core.build", "[tool.scikit-build]\nwheel.packages=[]"),
        ("scikit_build_core.build", "[tool.scikit-build]\nwheel.packages=['gone']"),
        ("scikit_build_core.build", "[tool.scikit-build]\nwheel.exclude=['**.py']"),
        ("pdm.backend", "[tool.pdm.build]\nincludes=['gone']"),
        ("pdm.backend", "[tool.pdm.build]\nexcludes=['src/own']"),
        ("setuptools.build_meta", "[tool.setuptools]\npackages=[]"),
        ("setuptools.build_meta", "[tool.setuptools.packages.find]\ninclude=['gone*']"),
        ("setuptools.build_meta", "[tool.setuptools.packages.find]\nwhere=['gone']"),
        ("poetry.core.masonry.api", "[tool.poetry]\npackages=[{include='own2'}]\nexclude=['own2']"),
        ("uv_build", "[tool.uv.build-backend]\nwheel-exclude=['own']"),
    ],
)
def test_a_configuration_that_takes_nothing_leaves_the_project_s_own_name(backend: str, text: str) -> None:
    """Without the configuration `own.z` and other modules would be names."""
    assert names_of_sdist(*FILES, pyproject_toml=project(backend, text)) == ["own"]


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("src", IN_SRC),
        ("./src", ["src", "src.own", "src.own.z"]),
        ("src/", ["src", "src.own", "src.own.z"]),
        (".", ["own2"]),
        ("", ["own2"]),
    ],
)
def test_pdm_takes_a_folder_away_only_where_it_is_written_as_in_the_paths(folder: str, names: list[str]) -> None:
    text = f"[tool.pdm.build]\npackage-dir='{folder}'"

    assert names_of_sdist(*FILES, pyproject_toml=project("pdm.backend", text)) == names


@pytest.mark.parametrize("backend", ["flit_core.buildapi", "poetry.core.masonry.api", "uv_build"])
def test_a_package_without_anything_importable_is_not_replaced_by_its_neighbour(backend: str) -> None:
    files = ("src/own/no-name/a.py", "src/other/__init__.py", "other2.py")

    assert names_of_sdist(*files, pyproject_toml=project(backend, "")) == ["own"]


def test_pdm_leaves_out_what_is_for_source_archives_alone() -> None:
    text = "[tool.pdm.build]\nincludes=['own2','helper.py']\nsource-includes=['helper.py']"

    assert names_of_sdist(*FILES, pyproject_toml=project("pdm.backend", text)) == ["own2"]


@pytest.mark.parametrize(
    ("backend", "paths", "names"),
    [
        ("flit_core.buildapi", ("Own/__init__.py", "src/own/a.py"), ["own", "own.a"]),
        ("flit_core.buildapi", ("Own/__init__.py",), ["Own"]),
        ("scikit_build_core.build", ("src/own/a.py", "own/__init__.py"), ["own"]),
    ],
)
def test_a_backend_looks_for_the_project_s_package(backend: str, paths: tuple[str, ...], names: list[str]) -> None:
    assert names_of_sdist(*paths, pyproject_toml=project(backend)) == names


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ("packages=find_packages('python'), package_dir={'': 'python'}", OWN[:2]),
        ("packages=find_packages(), package_dir={'': 'python'}", ["own2"]),
        ("packages=find_namespace_packages(where='python', exclude=['own.sub']), package_dir={'': 'python'}", OWN[:2]),
        ("packages=setuptools.PEP420PackageFinder.find('python'), package_dir={'': 'python'}", OWN),
        ("packages=['own', 'own.sub'], package_dir={'': os.path.join('.', 'python')}", OWN),
        ("packages=['other'], package_dir={'other': 'python/own'}", ["other", "other.a"]),
        ("packages=['other.b'], package_dir={'other': 'python/own', 'other.b': 'own2'}", ["other", "other.b"]),
        ("packages=['own2'], py_modules=['helper']", ["helper", "own2"]),
        ("py_modules=[NAME]", ["helper"]),
        ("packages=list(PACKAGES) + ['own2.x'], py_modules=[*MODULES]", ["helper", "own2"]),
        ("**options", ["helper", "own2"]),
        ("**dict(options, version='1')", ["helper", "own2"]),
    ],
)
def test_setup_py_says_what_is_installed_without_being_run(arguments: str, names: list[str]) -> None:
    script = f"""
import os, setuptools
from setuptools import *
NAME = 'helper'
MODULES = ['helper']
PACKAGES = ('own2',)
options = dict(packages=PACKAGES)
if os.name:
    options['py_modules'] = MODULES
raise SystemExit('this is never run')
def main():
    setup(name='own', {arguments})
"""
    assert names_of_sdist(*FILES, setup_py=script) == names


@pytest.mark.parametrize(
    ("before", "arguments"),
    [
        ("P = ['own']\nP.append('own.deep')", "packages=P, IN_SRC"),
        ("P = ['own']\nP.extend(['own.deep'])", "packages=P, IN_SRC"),
        ("P = ['own']\nP += ['own.deep']", "packages=P, IN_SRC"),
        ("D = {'': 'src'}", "packages=find_packages(D['']), package_dir=D"),
        ("D = {}\nD.update({'': 'src'})", "packages=find_packages('src'), package_dir=D"),
        ("K = dict(packages=['own', 'own.deep'])\nK.update(package_dir={'': 'src'})", "**K"),
        ("", "packages=['own' + end for end in ('', '.deep')], IN_SRC"),
        ("", "packages=[p for p in find_packages('src') if p != 'ns'], IN_SRC"),
        ("N = 'own'", "packages=['%s.deep' % N, N], IN_SRC"),
        ("N = 'own'", "packages=[f'{N}.deep', N], IN_SRC"),
        ("N = 'own'", "packages=['{}.deep'.format(N), N], IN_SRC"),
        ("", "packages='own own.deep'.split(), IN_SRC"),
        (
            "H = os.path.dirname(os.path.abspath(__file__))",
            "packages=find_packages(os.path.join(H, 'src')), IN_SRC",
        ),
        ("H = ''", "packages=['own', 'own.deep'], package_dir={'own': os.path.join(H, 'src', 'own')}"),
        (
            "from pathlib import Path\nH = Path(__file__).parent.resolve()",
            "packages=find_packages(str(H / 'src')), IN_SRC",
        ),
        ("", "packages=find_packages('src'), package_dir={'': 'src' if sys.version_info > (3,) else 'python'}"),
        (
            "if sys.version_info[0] >= 3:\n  D = 'src'\nelse:\n  D = 'python'",
            "FOUND",
        ),
        (
            "if sys.version_info < (2, 7) or os.name == 'nt':\n  D = 'python'\nelse:\n  D = 'src'",
            "FOUND",
        ),
        ("try:\n  D = 'src'\nexcept ImportError:\n  D = 'python'", "FOUND"),
        (
            "def get():\n  found = ['own']\n  found.append('own.deep')\n  return found",
            "packages=get(), IN_SRC",
        ),
        ("from setuptools import find_packages as look", "packages=look('src'), IN_SRC"),
        ("P, D = ['own', 'own.deep'], {'': 'src'}", "packages=P, package_dir=D"),
    ],
)
def test_setup_py_may_find_out_what_is_installed(before: str, arguments: str) -> None:
    said = arguments.replace("IN_SRC", "package_dir={'': 'src'}")
    said = said.replace("FOUND", "packages=find_packages(D), package_dir={'': D}")
    script = f"import os, sys, setuptools\nfrom setuptools import *\n{before}\nsetup(name='own', {said})"
    files = ("src/own/__init__.py", "src/own/z.py", "src/own/deep/__init__.py", "python/own/__init__.py", "helper.py")

    assert names_of_sdist(*files, setup_py=script) == ["own", "own.deep", "own.z"]


@pytest.mark.parametrize(
    "value",
    [
        "os.environ.get('P', 'own2').split(',')",
        "[p for p in unknown()]",
        "[p for p in ['own2'] if unknown(p)]",
        "['%d' % 1, '%5s' % 'x']",
        "['{:>9}'.format('x')]",
        "['{0.x}'.format('x')]",
        "['x'][7:'']",
        "P[9]",
        "'a'.split('')",
        "'%s' % ()",
        "open('x').read().split()",
        "[] < 7",
        "added",
    ],
)
def test_packages_that_only_running_the_script_would_tell_are_guessed_by_the_files(value: str) -> None:
    before = "P = []\nadded = []\nfor p in P:\n  added.append(p)\n"
    script = f"{before}setup(name='own', packages={value}, py_modules=['helper'])"

    assert names_of_sdist("own/__init__.py", "own/a.py", "helper.py", setup_py=script) == ["own", "own.a"]


@pytest.mark.parametrize(
    "table", ["{2: 'src', 3: 'python'}[sys.version_info[0]]", "{True: 'python', None: 'src'}[os.name == 'posix']"]
)
def test_setup_py_may_choose_from_a_table(table: str) -> None:
    script = f"import os, sys\nsetup(name='own', packages=['own'], package_dir={{'': {table}}})"

    assert names_of_sdist("src/own/__init__.py", "src/own/z.py", "python/own/__init__.py", setup_py=script) == ["own"]


@pytest.mark.parametrize(
    "folders", ["read()", "{'': read()}", "{'own': read(), 'x': 'x'}", "{'': {2: 'python'}[read()]}"]
)
def test_packages_in_a_folder_that_only_running_the_script_would_tell_are_guessed_by_the_files(folders: str) -> None:
    """A native module of a known name does not stand in for them."""
    script = f"setup(name='own', packages=['own'], package_dir={folders}, ext_modules=[Extension('own._c', ['x.c'])])"

    assert names_of_sdist("lib/own/__init__.py", "lib/own/a.py", setup_py=script) == ["own", "own._c", "own.a"]


def test_a_script_in_python_2_is_read_as_far_as_its_call() -> None:
    script = (
        "print 'old'\nsetup(name='own', # a name\n  packages=['other'], package_dir={'other': 'python/own'})\nexec 'x'"
    )

    assert names_of_sdist(*FILES, setup_py=script) == ["other", "other.a"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[options]\npackages = find:\npackage_dir =\n    =python\n[options.packages.find]\nwhere = python", OWN[:2]),
        (
            "[options]\npackages = find_namespace:\npackage-dir =\n  = python\n[options.packages.find]\nwhere=python",
            OWN,
        ),
        ("[options]\npackages =\n    own2\n    # no more\npy_modules = helper", ["helper", "own2"]),
        ("[options]\npackages = other\npackage_dir = other=python/own", ["other", "other.a"]),
        ("[files]\npackages_root = python\npackages =\n    own", OWN),
    ],
)
def test_setup_cfg_says_what_is_installed(text: str, names: list[str]) -> None:
    assert names_of_sdist(*FILES, setup_cfg=text, setup_py="import setuptools\nsetuptools.setup(pbr=True)") == names


def test_modules_beside_setup_py_that_it_does_not_name_are_not_installed() -> None:
    script = "setup(name='own', packages=['own'], py_modules=['named'])"

    assert names_of_sdist("own/__init__.py", "named.py", "other.py", setup_py=script) == ["named", "own"]


@pytest.mark.parametrize("folder", [".", ""])
def test_the_archive_s_folder_may_be_the_package_itself(folder: str) -> None:
    script = f"setup(name='own', packages=['own', 'own.sub'], package_dir={{'own': '{folder}'}})"
    paths = ("__init__.py", "x.py", "sub/__init__.py", "sub/y.py")

    assert names_of_sdist(*paths, setup_py=script) == ["own", "own.sub", "own.sub.y", "own.x"]
    assert names_of_sdist(*paths, setup_py="setup(**read())") == ["own", "own.sub", "own.sub.y", "own.x"]


def test_files_may_lie_at_the_top_of_the_archive() -> None:
    assert names_of_sdist("own/__init__.py", "own/a.py", "setup.py", folder="") == ["own", "own.a"]


@pytest.mark.parametrize(
    "script", ["", "setup(", "setup(**read())", "\0", "setup(packages=find(x))", "(" * 5000, "é = 1"]
)
@pytest.mark.parametrize(
    "document", ["", "[", "x" * 100, "[build-system]\nbuild-backend='mine'", "a = 1e", "\ufeff[x]"]
)
def test_a_configuration_that_nobody_can_read_leaves_the_layout_of_the_files(script: str, document: str) -> None:
    assert names_of_sdist("own/__init__.py", "own/a.py", setup_py=script, pyproject_toml=document) == ["own", "own.a"]


@pytest.mark.parametrize(
    "text",
    [
        f"[{HATCH}]\npackages=['../own', '/own', 'gone', 7]",
        f"[{HATCH}]\npackages={{}}\nsources=7\ninclude='x'",
        "[tool.poetry]\npackages=[7, {include=7}, {from='x'}]",
        "[tool.setuptools]\npackages={find=[]}\npackage-dir={x=7}",
        "[tool]\nhatch=7",
    ],
)
@pytest.mark.parametrize(
    "backend", ["hatchling.build", "poetry.core.masonry.api", "setuptools.build_meta", "pdm.backend"]
)
def test_a_configuration_of_odd_values_does_no_harm(backend: str, text: str) -> None:
    assert "own" in names_of_sdist("own/__init__.py", pyproject_toml=project(backend, text))
