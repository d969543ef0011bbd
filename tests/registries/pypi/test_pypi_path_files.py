"""This tests what a wheel's path files, its folders of their own and its unreadable members mean for its names."""

from __future__ import annotations

import zipfile
from collections.abc import Callable

import pytest

from securechain_ingest.registries.kit.import_name_rules import MAX_NAMES
from securechain_ingest.registries.pypi.import_names import module_of, names_of, read_wheel
from securechain_ingest.registries.pypi.source_names import read_sdist
from tests.registries.pypi.archives import LIMITS, METADATA, names_of_wheel, tarred, zipped
from tests.steps import assert_linear


def test_a_line_of_a_path_file_adds_a_folder_to_those_that_modules_are_imported_from() -> None:
    names = names_of_wheel({"own.pth": "win32\nwin32/lib\n", "win32/api_x.py": "", "win32/lib/con_x.py": ""})

    assert set(names) >= {"api_x", "con_x"}
    assert "lib.con_x" not in names


@pytest.mark.parametrize(
    "line", ["win32", "./win32/", "win32/../win32", "a/../win32", "win32  ", "win32\r", ".\\win32", "WIN32", "win32\\"]
)
def test_a_line_of_a_path_file_is_a_path(line: str) -> None:
    assert "api_x" in names_of_wheel({"own.pth": f"# a comment\n\n{line}\nimport os\n", "win32/api_x.py": ""})


@pytest.mark.parametrize(
    "line",
    [
        "/win32",
        "../win32",
        "a/../../win32",
        "# win32",
        "import win32",
        "import\twin32",
        "C:\\win32",
        "win32\0",
        ".",
        "",
    ],
)
def test_a_line_that_points_outside_or_is_code_adds_nothing(line: str) -> None:
    assert names_of_wheel({"own.pth": line, "win32/api_x.py": ""}) == ["win32", "win32.api_x"]


@pytest.mark.parametrize("path", ["sub/own.pth", "own.pth.txt", "own-1.0.data/scripts/own.pth"])
def test_a_path_file_elsewhere_adds_nothing(path: str) -> None:
    assert names_of_wheel({path: "win32", "win32/api_x.py": ""}) == ["win32", "win32.api_x"]


def test_a_path_file_may_be_packed_below_a_folder_of_its_own() -> None:
    names = names_of_wheel({"own-1.0.data/purelib/own.pth": "win32", "own-1.0.data/platlib/win32/api_x.py": ""})

    assert names == ["api_x", "win32", "win32.api_x"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_names_need_the_directory_alone_however_its_members_are_compressed(compression: int) -> None:
    members = {"own/__init__.py": b"", "own.pth": b"x", "own-1.0.dist-info/METADATA": METADATA}

    assert read_wheel(zipped(members, compression=compression), LIMITS, ("own",)).names == ("own",)


def long_names(size: int) -> Callable[[], object]:
    return lambda: names_of((name for n in range(size) if (name := module_of(f"{'a' * 200}/m{n}.py"))), None)


def path_files(size: int) -> Callable[[], object]:
    """Return as many added folders as modules in them."""
    members = {f"folder{n}/m.py": "" for n in range(size)}
    packed = {"own.pth": "\n".join(f"folder{n}" for n in range(size)), **members}
    return lambda: names_of_wheel(packed)


def unfinished_data_folders(size: int) -> Callable[[], object]:
    return lambda: names_of_wheel({f"{'a.data' * 20}{n}/purelib": "" for n in range(size)})


@pytest.mark.parametrize("prepare", [long_names, path_files, unfinished_data_folders])
def test_a_wheel_is_read_in_work_that_grows_with_its_directory(prepare: Callable[[int], Callable[[], object]]) -> None:
    assert_linear(prepare, 100)


def test_members_with_paths_beyond_all_bounds_are_left_out_and_told() -> None:
    members = {"a/" * 600 + "b.py": b"", "own.py": b""}
    wheel = read_wheel(zipped(members), LIMITS, ("own",))
    sdist = read_sdist(
        tarred({f"own-1.0/{path}": text for path, text in members.items()}), LIMITS, "x.tar.gz", ("own",)
    )

    assert wheel.names == sdist.names == ("own",)
    assert wheel.error == sdist.error == "1 members with paths longer than 1000 characters are left out"


def test_the_packages_around_modules_without_number_are_not_all_spelled_out() -> None:
    found = names_of((f"top{n}" + ".d" * 60 for n in range(4_000)), None)

    assert len(found.names) == MAX_NAMES
    assert "top0" in found.names
    assert found.error is not None
