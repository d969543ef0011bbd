"""A source archive gives the native modules that setuptools compiles: each case was built, but for pyproject.toml's."""

from __future__ import annotations

import pytest

from tests.registries.pypi.archives import names_of_sdist

PACKAGES = "packages=['own'], name='own'"


@pytest.mark.parametrize(
    "script",
    [
        f"setup({PACKAGES}, ext_modules=[CUDAExtension('own._c', ['c.cu'])])",
        f"setup({PACKAGES}, rust_extensions=[RustExtension(u'own._c', binding=Binding.PyO3)])",
        f"setup({PACKAGES}, ext_modules=[Extension(  # compiled\n # its name\n 'own._c', ['c.c'])])",
        f"setup({PACKAGES}, ext_modules=[Extension(sources=['c.c'], name='own._c')])",
        f"NAME = 'own._c'\nsetup({PACKAGES}, ext_modules=[Extension(NAME, ['c.c'])])",
        f"OWN = 'own'\nnatives = [Extension('%s._c' % OWN, ['c.c'])]\nsetup({PACKAGES}, ext_modules=natives)",
        f"from helpers import CppExtension as Native\nsetup({PACKAGES}, ext_modules=[Native('own._c', ['c.cc'])])",
        f"print 'old'\nnative = CppExtension(name='own._c', sources=[])\nsetup({PACKAGES}, ext_modules=[native])",
        f"setup({PACKAGES}, ext_package='own', ext_modules=[Extension('_c', ['c.c'])])",
    ],
)
def test_native_modules_count_however_setup_py_describes_them(script: str) -> None:
    assert names_of_sdist("own/__init__.py", "c.c", setup_py=script) == ["own", "own._c"]


@pytest.mark.parametrize(
    "script",
    [
        f"setup({PACKAGES}, ext_modules=[Extension('own.*', ['own/*.pyx']), Extension('*', []), Extension(read())])",
        f"class CMakeExtension(Extension):\n def __init__(self, n):\n  super().__init__(n, [])\nsetup({PACKAGES})",
        f"setup({PACKAGES}, cmdclass={{'build_ext': BuildExtension.with_options('own.x')}}, ext_modules=[Extension()])",
    ],
)
def test_what_names_no_native_module_gives_none(script: str) -> None:
    assert names_of_sdist("own/__init__.py", setup_py=script) == ["own"]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("[[tool.setuptools.ext-modules]]\nname='own._c'\nsources=['c.c']", ["own", "own._c"]),
        ("[[tool.setuptools-rust.ext-modules]]\ntarget='own.sub._rust'", ["own", "own.sub", "own.sub._rust"]),
        ("[tool.setuptools]\next-modules=[7, {}, {name=7}]", ["own"]),
        ("[tool.setuptools-rust]\next-modules='own._rust'", ["own"]),
    ],
)
def test_pyproject_toml_may_describe_native_modules(table: str, expected: list[str]) -> None:
    assert names_of_sdist("own/__init__.py", pyproject_toml=table) == expected
