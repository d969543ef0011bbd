"""A source archive that setuptools builds gives what setuptools finds itself and takes along: each case was built."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from securechain_ingest.registries.pypi.source_names import read_sdist
from tests.registries.pypi.archives import LIMITS, names_of_sdist, tarred

OWN = ["own", "own.deep"]
SETUPTOOLS = "[build-system]\nbuild-backend = 'setuptools.build_meta'\n[project]\nname = 'own'\nversion = '1.0'\n"


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (("own/a.py",), ["own", "own.a"]),
        (("space/own/a.py", "tests/__init__.py"), ["space", "space.own", "space.own.a"]),
        (("src/space/own/a.py", "own2/__init__.py"), ["space", "space.own", "space.own.a"]),
        (("src/other.py",), ["other"]),
        (("space/a.py", "docs/b.py", "utils/c.py", "_x/d.py", "no-name/e.py"), ["space", "space.a"]),
        (("other.py", "conftest.py", "python/own/__init__.py"), ["other"]),
        (("utils.py",), ["utils"]),
        (("tools/own/__init__.py",), ["own"]),
    ],
)
def test_setuptools_finds_what_pyproject_toml_does_not_name(paths: tuple[str, ...], names: list[str]) -> None:
    assert names_of_sdist(*paths, pyproject_toml=SETUPTOOLS) == names


def test_what_setuptools_refuses_to_find_is_guessed_by_the_files() -> None:
    """It does so for several packages side by side; the archive has been built in some way that nobody tells."""
    paths = ("own/__init__.py", "own2/__init__.py")

    assert names_of_sdist(*paths, pyproject_toml=SETUPTOOLS) == ["own", "own2"]


def test_a_script_that_may_name_packages_is_believed_before_an_empty_list_of_modules() -> None:
    """pbr's own pyproject.toml has such a list."""
    document = SETUPTOOLS + "[tool.setuptools]\npy-modules=[]"

    names = names_of_sdist("own/__init__.py", "own/a.py", pyproject_toml=document, setup_py="setup(**read())")

    assert names == ["own", "own.a"]


@pytest.mark.parametrize("backend", ["scikit_build_core.setuptools.build_meta", "wrapper"])
def test_a_backend_that_calls_setuptools_leaves_the_answer_to_it(backend: str) -> None:
    """scikit-build-core has such a one beside its own."""
    document = SETUPTOOLS.replace("setuptools.build_meta", backend)
    script = "setup(packages=['space'], package_dir={'space': 'python/space'})"

    assert names_of_sdist("python/space/a.py", "own/__init__.py", pyproject_toml=document, setup_py=script) == [
        "space",
        "space.a",
    ]


@pytest.mark.parametrize("script", ["setup(**read())", "setup("])
def test_setuptools_finds_nothing_itself_beside_a_script_that_may_name_packages(script: str) -> None:
    document = SETUPTOOLS

    assert names_of_sdist("src/space/a.py", "own/__init__.py", pyproject_toml=document, setup_py=script) == ["own"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[tool.setuptools]\npackages=['own']", ["own", "own.a", "own.deep", "own.deep.c", "own.sub"]),
        ("[tool.setuptools]\npackages=['own']\ninclude-package-data=false", ["own", "own.a"]),
        (
            "[tool.setuptools.packages.find]\nexclude=['own.deep*','own2']",
            ["own", "own.a", "own.deep", "own.deep.c", "own.sub"],
        ),
        ("[tool.setuptools]\npackages=['own.deep']", ["own", "own.deep", "own.deep.c"]),
    ],
)
def test_setuptools_installs_what_it_has_listed_below_a_package(text: str, names: list[str]) -> None:
    """It takes these files for data of the package, whatever they are; what is not listed stays out."""
    listed = ["own/__init__.py", "own/a.py", "own/deep/__init__.py", "own/deep/c.py", "own/sub/__init__.py"]
    texts = {
        "own.egg-info/SOURCES.txt": "\n".join(listed),
        "pyproject.toml": SETUPTOOLS + text,
    }
    paths = ("PKG-INFO", *listed, "own/other/d.txt", "own2/__init__.py")
    members = {f"own-1.0/{path}": texts.get(path, "").encode() for path in (*paths, *texts)}

    assert list(read_sdist(tarred(members), LIMITS, "own-1.0.tar.gz", ("own",)).names) == names


@pytest.mark.parametrize(
    ("document", "said", "names"),
    [
        ("", "yes", ["own", "own.deep"]),
        ("", "no", ["own"]),
        (SETUPTOOLS, "", ["own", "own.deep"]),
        (SETUPTOOLS, "False", ["own"]),
    ],
)
def test_setup_cfg_says_in_setuptools_words_whether_listed_files_are_installed(
    document: str, said: str, names: list[str]
) -> None:
    """With a table `project` setuptools installs them unless it is told otherwise."""
    options = f"include_package_data = {said}\n" if said else ""
    configuration = {"pyproject.toml": document, "setup.cfg": f"[options]\npackages = own\n{options}"}
    assert _names_with_listed_files(configuration) == names


@pytest.mark.parametrize(
    ("said", "names"), [("include_package_data=False", ["own"]), ("include_package_data=0", ["own"]), ("", OWN)]
)
def test_setup_py_may_say_beside_a_table_project_that_listed_files_are_not_installed(
    said: str, names: list[str]
) -> None:
    script = f"from setuptools import setup\nsetup(packages=['own'], {said})"
    assert _names_with_listed_files({"pyproject.toml": SETUPTOOLS, "setup.py": script}) == names


def _names_with_listed_files(configuration: Mapping[str, str]) -> list[str]:
    """Return the names of a source archive whose metadata lists a package and a folder in it."""
    files = ("own/__init__.py", "own/deep/__init__.py")
    texts = {"own.egg-info/SOURCES.txt": "\n".join(files), **configuration}
    members = {f"own-1.0/{path}": texts.get(path, "").encode() for path in ("PKG-INFO", *files, *texts)}
    return list(read_sdist(tarred(members), LIMITS, "own-1.0.tar.gz", ("own",)).names)


@pytest.mark.parametrize("configuration", ["setup(packages=find_packages())", "[options]\npackages = find:"])
def test_a_search_that_finds_nothing_installs_nothing(configuration: str) -> None:
    """What lies beside the configuration is not installed."""
    text = {("setup_cfg" if configuration.startswith("[") else "setup_py"): configuration}

    assert names_of_sdist("helper.py", "space/a.py", **text) == ["own"]


@pytest.mark.parametrize(
    ("backend", "script"), [("pbr.build", ""), ("setuptools.build_meta", "setuptools.setup(pbr=True)")]
)
def test_pbr_installs_whole_packages(backend: str, script: str) -> None:
    """pbr's own setup.cfg is written so."""
    texts = {
        "pyproject_toml": SETUPTOOLS.replace("setuptools.build_meta", backend),
        "setup_py": script,
        "setup_cfg": "[options]\npackages =\n    own",
    }

    assert names_of_sdist("own/__init__.py", "own/sub/__init__.py", "own2/__init__.py", **texts) == ["own", "own.sub"]


@pytest.mark.parametrize(
    ("project_name", "names"),
    [
        ("space.own", ["space", "space.own", "space.own.sub", "space.own.x"]),
        ("other", ["space", "space.sub", "space.x"]),
        ("space", ["space", "space.sub", "space.x"]),
    ],
)
def test_the_archive_s_folder_is_the_package_that_is_missing(project_name: str, names: list[str]) -> None:
    """ruamel.yaml is packed so."""
    texts = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {project_name}\nVersion: 1.0\n",
        "setup.py": "setup(**read())",
        "own.egg-info/top_level.txt": "space\n",
    }
    paths = ("__init__.py", "x.py", "sub/__init__.py")
    members = {f"own-1.0/{path}": texts.get(path, "").encode() for path in (*paths, *texts)}

    assert list(read_sdist(tarred(members), LIMITS, "own-1.0.tar.gz", ("own",)).names) == names
