"""Hostile source archives and documents of PyPI take work in proportion to their size, not to products of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import pytest

from securechain_ingest.model import PackageRef
from securechain_ingest.registries.pypi.documents import File, SimplePage, releases_of
from securechain_ingest.registries.pypi.names import identify
from securechain_ingest.registries.pypi.setup_script import setup_arguments
from securechain_ingest.registries.pypi.source_names import read_sdist
from securechain_ingest.registries.pypi.toml_files import read_toml
from tests.registries.pypi.archives import LIMITS, tarred
from tests.steps import assert_linear, steps_of

REF: PackageRef = identify("own")


def reading(members: Mapping[str, str]) -> Callable[[], object]:
    packed = tarred({f"own-1.0/{path}": text.encode() for path, text in members.items()}).getvalue()
    return lambda: read_sdist(io.BytesIO(packed), LIMITS, "own-1.0.tar.gz", ("own",))


def modules(size: int) -> dict[str, str]:
    return {f"lib/m{number}.py": "" for number in range(size)}


def lists_of_top_level_names(size: int) -> Callable[[], object]:
    return reading({f"e{number}/x.egg-info/top_level.txt": "lib" for number in range(size)} | modules(size))


def very_long_list_of_top_level_names(size: int) -> Callable[[], object]:
    return reading({"own.egg-info/top_level.txt": "\n".join(f"t{n}" for n in range(size))} | modules(size))


def packages_in_one_folder(size: int) -> Callable[[], object]:
    names = [f"p{number}" for number in range(size)]
    script = f"setup(packages={names}, package_dir={dict.fromkeys(names, 'lib')})"
    return reading({"setup.py": script} | modules(size))


def finders(size: int) -> Callable[[], object]:
    script = f"setup(packages={' + '.join(['find_packages()'] * size)})"
    return reading({"setup.py": script} | {f"p{n}/__init__.py": "" for n in range(size)})


def patterns_of_a_finder(size: int) -> Callable[[], object]:
    script = f"setup(packages=find_packages(exclude={[f'x{n}*' for n in range(size)]}))"
    return reading({"setup.py": script} | {f"p{n}/__init__.py": "" for n in range(size)})


def trees(size: int) -> Callable[[], object]:
    text = (
        f"[build-system]\nbuild-backend='hatchling'\n[tool.hatch.build]\nonly-include={[f'p{n}' for n in range(size)]}"
    )
    return reading({"pyproject.toml": text} | {f"p{n}/m.py": "" for n in range(size)})


def prefixes_of_trees(size: int) -> Callable[[], object]:
    hatch = f"only-include={[f'p{n}' for n in range(size)]}\nsources={[f'x{n}' for n in range(size)]}"
    text = f"[build-system]\nbuild-backend='hatchling'\n[tool.hatch.build]\n{hatch}"
    return reading({"pyproject.toml": text} | {f"p{n}/m.py": "" for n in range(size)})


def patterns_of_hatch(size: int) -> Callable[[], object]:
    text = f"build-backend='hatchling'\n[tool.hatch.build]\nexclude={[f'**/x{n}*/**' for n in range(size)]}"
    return reading({"pyproject.toml": f"[build-system]\n{text}"} | {f"own/m{n}.py": "" for n in range(size)})


def patterns_of_poetry(size: int) -> Callable[[], object]:
    packages = ",".join(f"{{include='**/x{n}*'}}" for n in range(size))
    text = f"[build-system]\nbuild-backend='poetry.core'\n[tool.poetry]\npackages=[{packages}]"
    return reading({"pyproject.toml": text} | modules(size))


def modules_that_are_not_there(size: int) -> Callable[[], object]:
    names = [f"gone{n}" for n in range(size)]
    text = f"[build-system]\nbuild-backend='uv_build'\n[tool.uv.build-backend]\nmodule-name={names}"
    return reading({"pyproject.toml": text} | modules(size))


def lines_of_setup_cfg(size: int) -> Callable[[], object]:
    return reading(
        {"setup.cfg": "[options]\npackages =\n" + "    p\n" * size + "a" + " " * size + "b\n"} | modules(size)
    )


@pytest.mark.parametrize(
    "prepare",
    [
        lists_of_top_level_names,
        very_long_list_of_top_level_names,
        packages_in_one_folder,
        finders,
        patterns_of_a_finder,
        trees,
        prefixes_of_trees,
        patterns_of_hatch,
        patterns_of_poetry,
        modules_that_are_not_there,
        lines_of_setup_cfg,
    ],
)
def test_a_source_archive_is_read_in_linear_work(prepare: Callable[[int], Callable[[], object]]) -> None:
    assert_linear(prepare, 100)


@pytest.mark.parametrize(
    "text",
    [
        lambda size: ".".join(["a"] * size) + " = 1",
        lambda size: ".".join(['"a"'] * size) + " = 1",
        lambda size: "\n".join(f"a.b.c.d.e{n} = 1" for n in range(size)),
        lambda size: f"[{'.'.join(['a'] * size)}]\n" + "\n".join(f"k{n} = 1" for n in range(size)),
        lambda size: "x = {" + ", ".join(f"{'a.' * 30}k{n} = 1" for n in range(size)) + "}",
        lambda size: "\n".join(f"[[a]]\nb.c = {n}" for n in range(size)),
        lambda size: "x = " + "[" * size,
        lambda size: "x = '" + "." * size + "'\ny = \"" + '\\".' * size + '"',
    ],
)
def test_a_toml_document_is_read_in_linear_work(text: Callable[[int], str]) -> None:
    def prepare(size: int) -> Callable[[], object]:
        body = text(size).encode()
        return lambda: (read_toml(body), sum(byte for byte in body))

    assert_linear(prepare)


def test_an_ordinary_toml_document_is_read_and_one_beyond_the_bounds_is_empty() -> None:
    words = ", ".join(f'"a.b.c{n}"' for n in range(100))

    assert read_toml(f"a.b.c = [{words}] # 'x'\nd = '{'.' * 99}'".encode())["d"] == "." * 99
    assert read_toml(f"{'a.' * 40}b = 1".encode()) == {}
    assert read_toml(b"a = 1\n" + b"#" * 300_000) == {}


def test_a_value_that_grows_with_each_line_of_setup_py_is_given_up() -> None:
    doubling = "a = ['x', 'y']\n" + "a = a + a\n" * 60 + "b = 'x'\n" + "b = b + b\n" * 60 + "setup(packages=a, name=b)"

    assert steps_of(lambda: setup_arguments(doubling.encode())) < 200_000
    lines = ("a = a.replace('x', a)", "a = f'{a}{a}'", "b = [a for a in ['x', a]]", "b = [b for c in b]", "c = [c, c]")
    more = "\n".join(("a = 'x' * 9", *lines * 40, "d = [c, c]", "if c == d or c in d or c < [[c]]:", "  c = 1"))
    assert steps_of(lambda: setup_arguments(f"{more}\nsetup(packages=b, name=a)".encode())) < 1_000_000
    assert setup_arguments(b"#" * 140_000 + b"\nsetup()") is None


def test_the_files_of_a_project_are_told_apart_in_linear_work() -> None:
    """Versions from before PEP 440 are looked up by the ends of the files' names."""

    def prepare(size: int) -> Callable[[], object]:
        versions = tuple(f"r-{number}-x" for number in range(size))
        names = [f"own-{version}.tar.gz" for version in versions] + ["own-1.0.tar.gz"] * size
        page = SimplePage(versions, tuple(File(name, "", None, None, False, None, False) for name in names))
        return lambda: releases_of(page)

    assert_linear(prepare)


def test_a_wheel_s_name_with_very_many_tags_is_not_spelled_out() -> None:
    tags = ".".join(f"t{number}" for number in range(60))
    page = SimplePage(("1.0",), (File(f"own-1.0-{tags}-{tags}-{tags}.whl", "", None, None, False, None, False),))

    assert steps_of(lambda: releases_of(page)) < 10_000
    assert [len(files) for files in releases_of(page).values()] == [1]
