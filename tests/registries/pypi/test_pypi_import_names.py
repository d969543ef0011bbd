"""This tests what can be imported from a wheel or a source archive."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securechain_ingest.archives.remote import tail_window
from securechain_ingest.archives.sparse import MissingBytes, SparseFile
from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.registries.kit.import_name_rules import MAX_NAMES
from securechain_ingest.registries.pypi.client import PyPI
from securechain_ingest.registries.pypi.import_names import module_of, read_wheel
from securechain_ingest.registries.pypi.source_names import read_sdist
from tests.registries.pypi.archives import LIMITS, METADATA, tarred, zipped


def wheel(*paths: str, metadata: bytes = METADATA) -> list[str]:
    members = dict.fromkeys(paths, b"") | {"own-1.0.dist-info/METADATA": metadata, "own-1.0.dist-info/RECORD": b""}
    return list(read_wheel(zipped(members), LIMITS, ("own",)).names)


def sdist(*paths: str, **contents: bytes) -> list[str]:
    """Return the names of an sdist; `contents` has texts by the last part of a path, spelled as a keyword."""
    members = {f"own-1.0/{path}": contents.get(re.sub("[.-]", "_", path.rpartition("/")[2]), b"") for path in paths}
    found = read_sdist(tarred(members), LIMITS, "own-1.0.tar.gz", ("own",))
    assert found == read_sdist(zipped(members), LIMITS, "own-1.0.zip", ("own",))
    return list(found.names)


@pytest.mark.parametrize(
    ("path", "module"),
    [
        ("own.py", "own"),
        ("own/__init__.py", "own"),
        ("own/api.py", "own.api"),
        ("own/sub/__init__.py", "own.sub"),
        ("own/_private.py", "own._private"),
        ("own/compiled.pyc", "own.compiled"),
        ("_yaml.cpython-311-x86_64-linux-gnu.so", "_yaml"),
        ("own/_speed.abi3.so", "own._speed"),
        ("own/_speed.pypy310-pp73-x86_64-linux-gnu.so", "own._speed"),
        ("own/_speed.cp311-win_amd64.pyd", "own._speed"),
        ("own/_speed.so", "own._speed"),
        ("own/_speed.pyd", "own._speed"),
        ("own/test.py", "own.test"),
        ("own/testing/tools.py", "own.testing.tools"),
    ],
)
def test_what_python_imports_is_a_module(path: str, module: str) -> None:
    assert module_of(path) == module


@pytest.mark.parametrize(
    "path",
    [
        "own/__main__.py",
        "__init__.py",
        "own/stub.pyi",
        "own/data.json",
        "own/my-script.py",
        "own/0001_initial.py",
        "own/class.py",
        "own/libother.so",
        "own.libs/libother-0a1b2c.so.1",
        "own/__pycache__/api.cpython-311.pyc",
        "test/a.py",
        "tests/__init__.py",
        "own/tests/test_api.py",
        "own/docs/conf.py",
        "own/example/a.py",
        "own/examples/a.py",
        "own-1.0.dist-info/a.py",
        "own-1.0.data/scripts/own.py",
        "own-1.0.data/headers/own.py",
    ],
)
def test_what_no_import_statement_reaches_is_none(path: str) -> None:
    assert module_of(path) is None


def test_a_wheel_gives_its_packages_modules_and_native_modules() -> None:
    assert wheel("own/__init__.py", "own/api.py", "own/_c.cpython-311-x86_64-linux-gnu.so", "side.py") == [
        "own",
        "own._c",
        "own.api",
        "side",
    ]


def test_a_namespace_has_a_name_without_a_file_of_its_own() -> None:
    assert wheel("space/own/part.py") == ["space", "space.own", "space.own.part"]


def test_what_is_installed_from_the_data_of_a_wheel_counts() -> None:
    assert wheel("own-1.0.data/purelib/own/a.py", "own-1.0.data/platlib/b.py", "own-1.0.data/scripts/c.py") == [
        "b",
        "own",
        "own.a",
    ]


def test_a_wheel_without_modules_is_known_by_the_name_of_its_project() -> None:
    assert wheel("own-1.0.data/scripts/own") == ["own"]


@pytest.mark.parametrize(
    ("declared", "names"),
    [
        (b"Import-Name: own\nImport-Name: own.api\n", ["own", "own.api"]),
        (b"Import-Name: own\nImport-Name: own._c ; private\n", ["own"]),
        (b"Import-Name: space.own\nImport-Namespace: space\n", ["space", "space.own"]),
        (b"Import-Name:\n", ["own"]),
        (b"Import-Namespace: space\n", ["listed"]),
        (b"\nImport-Name: described\n", ["listed"]),
    ],
)
def test_declared_names_go_before_the_listing(declared: bytes, names: list[str]) -> None:
    assert wheel("listed.py", metadata=METADATA + declared) == names


@pytest.mark.parametrize(
    ("declared", "names"),
    [
        (b"Import-Name: own\n", ["own", "own._c", "own._c.public", "own.api", "own.api.v1"]),
        (b"Import-Name: own.api\n", ["own.api", "own.api.v1"]),
        (b"Import-Name: own\nImport-Name: own._c; private\n", ["own", "own.api", "own.api.v1"]),
        (
            b"Import-Name: own\nImport-Name: own._c; private\nImport-Name: own._c.public\n",
            ["own", "own._c.public", "own.api", "own.api.v1"],
        ),
        (b"Import-Name: owned\nImport-Namespace: own\n", ["own", "owned"]),
    ],
)
def test_a_declared_name_stands_for_all_below_it(declared: bytes, names: list[str]) -> None:
    paths = ("own/__init__.py", "own/api/__init__.py", "own/api/v1.py", "own/_c/public.py", "helper.py")

    assert wheel(*paths, metadata=METADATA + declared) == names
    assert sdist(*paths, "PKG-INFO", PKG_INFO=METADATA + declared) == names


def test_metadata_that_is_none_leaves_the_listing() -> None:
    assert wheel("listed.py", metadata=b"<html>Import-Name: own</html>") == ["listed"]


def fetched_ranges(contents: bytes) -> tuple[list[str], list[int]]:
    """Return the names, read as by ranges, and the bytes of each range."""
    size = len(contents)
    first, last = max(0, size - tail_window(size)), size - 1
    segments: list[tuple[int, bytes]] = []
    while True:
        segments.append((first, contents[first : last + 1]))
        try:
            found = read_wheel(cast(BinaryIO, SparseFile(size, segments)), LIMITS, ("own",))
        except MissingBytes as missing:
            first, last = missing.first, missing.last
        else:
            return list(found.names), [len(data) for _, data in segments]


@pytest.mark.parametrize(
    ("metadata_bytes", "names", "ranges"), [(5_000, ["declared"], 2), (200_000, ["own"], 1)], ids=["small", "large"]
)
def test_metadata_far_from_the_end_of_a_large_wheel_is_read_if_it_is_small(
    metadata_bytes: int, names: list[str], ranges: int
) -> None:
    metadata = METADATA + b"Import-Name: declared\n\n" + b"x" * metadata_bytes
    contents = zipped({"own-1.0.dist-info/METADATA": metadata, "own.py": b"", "own.bin": bytes(1_000_000)}).getvalue()
    found, fetched = fetched_ranges(contents)

    assert (found, len(fetched)) == (names, ranges)
    assert sum(fetched) <= len(contents) / 20


def test_a_wheel_with_a_long_directory_takes_two_ranges() -> None:
    members = {"own-1.0.dist-info/METADATA": METADATA} | {f"own/module_{n}.py": b"x" * 4000 for n in range(1500)}
    found, fetched = fetched_ranges(zipped(members).getvalue())

    assert len(found) == 1501
    assert len(fetched) == 2


@pytest.mark.parametrize("root", ["", "src/", "lib/"])
def test_the_packages_of_a_source_archive_are_found_in_its_layout(root: str) -> None:
    paths = ("setup.py", f"{root}own/__init__.py", f"{root}own/a.py", f"{root}own/sub/__init__.py", "tests/test_a.py")

    assert sdist(*paths) == ["own", "own.a", "own.sub"]


@pytest.mark.parametrize("root", ["", "src/"])
def test_a_single_module_of_a_source_archive_is_found(root: str) -> None:
    assert sdist("setup.py", "conftest.py", "noxfile.py", "docs/conf.py", f"{root}own.py", f"{root}helper.py") == [
        "own"
    ]


def test_modules_that_are_named_otherwise_than_the_project_are_found() -> None:
    assert sdist("setup.py", "other.py", "another.py") == ["another", "other"]


@pytest.mark.parametrize("root", ["", "src/"])
def test_setuptools_list_of_top_level_names_decides(root: str) -> None:
    names = sdist(
        "setup.py",
        "script.py",
        "benchmark/__init__.py",
        f"{root}own.egg-info/top_level.txt",
        f"{root}space/own/__init__.py",
        f"{root}space/own/a.py",
        f"{root}other/__init__.py",
        "tests/data/x.egg-info/top_level.txt",
        top_level_txt=b"space\n_own\n",
    )

    assert names == ["_own", "space", "space.own", "space.own.a"]


def test_sources_of_native_modules_count_where_they_are_known_to_be_such() -> None:
    assert sdist(
        "own/__init__.py", "own/cythonised.pyx", "own/stubbed.c", "own/stubbed.pyi", "own/part.c", "own/typed.pyi"
    ) == ["own", "own.cythonised", "own.stubbed"]


@pytest.mark.parametrize("top_level", [(), ("own.egg-info/top_level.txt",)])
def test_native_modules_that_setup_py_builds_count(top_level: tuple[str, ...]) -> None:
    setup = b"""
    ext_modules=[
        Extension("own._speedups", ["src/speedups.c"]), setuptools.Extension(
            name='own.sub._c', sources=[]), Extension(NAME, []),
        Extension("own.tests._c", []), Extension("other._c", []),
    ]"""

    assert sdist("own/__init__.py", "own/speedups.c", "setup.py", *top_level, setup_py=setup, top_level_txt=b"own") == [
        "own",
        "own._speedups",
        "own.sub",
        "own.sub._c",
    ]


def test_declared_names_of_a_source_archive_go_before_its_files() -> None:
    assert sdist("own/__init__.py", "PKG-INFO", PKG_INFO=METADATA + b"Import-Name: declared\n") == ["declared"]


def test_a_source_archive_without_modules_is_known_by_the_name_of_its_project() -> None:
    assert sdist("setup.py", "0805own.py") == ["own"]


@pytest.mark.parametrize("filename", ["My-Own.Package-1.0.tar.gz", "my_own_package-1.0-2-py3-none-any.whl"])
def test_the_name_of_a_file_tells_the_project(filename: str, tmp_path: Path) -> None:
    pack = zipped if filename.endswith(".whl") else tarred
    (tmp_path / filename).write_bytes(pack({"own-1.0/README": b""}).getvalue())

    assert PyPI.archive_names(str(tmp_path / filename), filename, LIMITS).names == ("my_own_package",)


@pytest.mark.parametrize("filename", ["own-1.0.exe", "own-1.0-py2.7.egg", "own"])
def test_other_files_are_refused(filename: str) -> None:
    with pytest.raises(ArchiveRefused):
        PyPI.archive_names("/dev/null", filename, LIMITS)


@pytest.mark.parametrize("filename", ["own-1.0-py3-none-any.whl", "own-1.0.zip"])
def test_an_empty_file_is_refused(filename: str) -> None:
    with pytest.raises(ArchiveRefused):
        PyPI.archive_names("/dev/null", filename, LIMITS)


def test_of_very_many_names_those_nearest_to_the_root_are_kept() -> None:
    names = wheel("own/__init__.py", *(f"own/deep/module_{n:05}.py" for n in range(MAX_NAMES + 10)))

    assert len(names) == MAX_NAMES
    assert names[:3] == ["own", "own.deep", "own.deep.module_00000"]


_paths = st.lists(
    st.lists(st.sampled_from(["a", "b_", "__init__", "src", "lib", "tests", "é", "1", "x y", "class"]), min_size=1)
    .map("/".join)
    .flatmap(lambda path: st.sampled_from([".py", ".pyx", ".so", ".txt", ""]).map(lambda suffix: path + suffix)),
    max_size=8,
    unique=True,
)


def importable(names: Iterable[str]) -> bool:
    return all(part.isidentifier() for name in names for part in name.split("."))


@given(_paths)
def test_every_name_can_be_imported_and_its_packages_are_there(paths: list[str]) -> None:
    for names in (wheel(*paths), sdist(*paths)):
        assert importable(names)
        assert names == sorted(set(names))
        assert {name.rpartition(".")[0] for name in names if "." in name} <= set(names)
