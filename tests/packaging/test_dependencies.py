"""What is imported is declared, and what is declared is used: at run time, in the extra, and for development."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = {"securechain_ingest", "tests", "benchmarks"}

USED_WITHOUT_IMPORT = {
    "hiredis": "the Redis driver parses answers with it where it is there",
    "neo4j-rust-ext": "the Neo4j driver packs and unpacks with it where it is there",
    "sniffio": "httpcore tries to import it with every request",
}
TOOLS = {
    "editables": "builds the editable installation",
    "hatchling": "builds the package",
    "pip": "make setup",
    "pytest-randomly": "pytest loads it",
    "pytest-timeout": "pytest loads it",
    "ruff": "make lint",
    "types-lxml": "for mypy",
    "types-psutil": "for mypy",
    "types-pyyaml": "for mypy",
    "uv": "make lock",
    "yamllint": "the test of compose.yaml runs it",
}


def declared(lines: Iterable[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in lines}


RUNTIME = declared(PROJECT["dependencies"])
EMBEDDED = declared(PROJECT["optional-dependencies"]["embedded"])
DEV = declared(PROJECT["optional-dependencies"]["dev"])


@cache
def imported(*folders: str) -> set[str]:
    """Return the distributions that the modules of some folders import, without what only mypy sees."""
    known = packages_distributions()
    found: set[str] = set()
    for module in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for name in _imports(module):
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names and top not in OURS and top != "_typeshed":
                # One that is not installed here bears its own name, as far as anybody can know.
                found.add(canonicalize_name(known.get(top, [top])[0]))
    return found


@cache
def _imports(module: Path) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return frozenset(names)


def test_everything_that_the_program_imports_is_declared() -> None:
    assert imported("securechain_ingest") - RUNTIME - EMBEDDED == set()


def test_everything_that_is_declared_for_run_time_is_used_at_run_time() -> None:
    assert RUNTIME - imported("securechain_ingest") == set(USED_WITHOUT_IMPORT)


def test_everything_that_tests_and_benchmarks_import_is_declared() -> None:
    assert imported("tests", "benchmarks") - RUNTIME - EMBEDDED - DEV == set()


def test_everything_that_is_declared_for_development_is_imported_or_is_a_tool() -> None:
    assert DEV - imported("tests", "benchmarks") == set(TOOLS)


def test_only_one_module_imports_motor() -> None:
    def uses(path: Path) -> bool:
        return any(name.startswith("motor") for name in _imports(path))

    modules = [path for folder in OURS for path in (ROOT / folder).rglob("*.py")]
    assert {path.name for path in modules if uses(path)} == {"mongodb.py"}
