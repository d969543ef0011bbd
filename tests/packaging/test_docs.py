"""What the documents say holds: cited sections exist, the code that is shown is the code, all commands are listed."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SHARED_CONTRACT = ROOT.parent / "shared" / "contract.md"

PAGES = sorted([*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"])


def sources() -> Iterator[tuple[str, str]]:
    """Yield every text of the project that may cite a document: its path and its content in one line."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in tracked.split("\0"):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml"} and path.is_file() and path != Path(__file__).resolve():
            yield name, " ".join(re.sub(r"^\s*# ", " ", line) for line in path.read_text().splitlines())


def sections(page: Path) -> set[str]:
    """Return the numbers of a page's sections."""
    return set(re.findall(r"^#{2,4} (\d+(?:\.\d+)?)\.? ", page.read_text(), re.MULTILINE))


def headings(page: Path) -> set[str]:
    return set(re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE))


NUMBERS = r"sections?\s+(\d+(?:\.\d+)*(?:(?:,| and|, and) \d+(?:\.\d+)*)*)"


@pytest.mark.parametrize(
    ("page", "cited"),
    [
        ("contract.md", rf"[Cc]ontract(?:\.md\))?(?:'s)?,?\s+{NUMBERS}"),
        ("registries.md", rf"registries\.md\)?,?\s+\(?{NUMBERS}"),
    ],
)
def test_every_section_that_is_cited_exists(page: str, cited: str) -> None:
    known = sections(DOCS / page)
    found = {
        (name, number)
        for name, text in sources()
        for numbers in re.findall(cited, text)
        for number in re.findall(r"\d+(?:\.\d+)*", numbers)
    }
    assert len(found) > 10
    assert {(name, number) for name, number in found if number not in known} == set()


def test_every_title_and_rule_that_is_cited_exists() -> None:
    page = DOCS / "architecture.md"
    rules = set(re.findall(r"^(\d+)\. ", page.read_text().split("## Rules")[1].split("## Lanes")[0], re.MULTILINE))
    titles = {(name, title) for name, text in sources() for title in re.findall(r'architecture\.md, "([^"]+)"', text)}
    numbers = {
        (name, number)
        for name, text in sources()
        if name.startswith("securechain_ingest/")
        for number in re.findall(r"\(rule (\d+)\)", text)
    }
    assert titles
    assert {title for _, title in titles} <= headings(page)
    assert numbers
    assert {number for _, number in numbers} <= rules


def test_nothing_cites_a_document_that_a_clone_does_not_have() -> None:
    elsewhere = re.compile(r"\bDESIGN\.md|\bseed\.md|\bstyle\.md")
    assert [name for name, text in sources() if elsewhere.search(text)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py|tests/[a-z_/]+|benchmarks/)`", page.read_text()))
    assert [
        name for name in named if not any((root / name).exists() for root in (ROOT, ROOT / "securechain_ingest"))
    ] == []


def test_the_code_of_the_tutorial_is_that_of_the_example() -> None:
    text = (DOCS / "new-ecosystem.md").read_text()
    shown = dict(re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)```", text, re.DOTALL))
    assert shown == {name: (ROOT / name).read_text() for name in shown}
    folder = (ROOT / next(iter(shown))).parent
    modules = {path.name for path in folder.glob("*.py") if path.stat().st_size and not path.name.startswith("test_")}
    assert {Path(name).name for name in shown} == modules - {"site.py"}


def test_the_table_of_rooms_says_what_each_imports() -> None:
    rows = re.findall(r"^\| `(\w+)/` \|[^|]*\| ([^|]+) \|$", (DOCS / "architecture.md").read_text(), re.MULTILINE)
    allowed = {room: set(re.findall(r"`(\w+)/`", uses)) for room, uses in rows if uses != "all"}
    package = ROOT / "securechain_ingest"
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    assert folders == {room for room, _ in rows}
    for room, others in allowed.items():
        new = folders.intersection(imported_rooms(package / room)) - {room} - others
        assert not new, f"{room}/ imports {new}: if that is meant, say so in docs/architecture.md, The rooms"


def imported_rooms(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("securechain_ingest."):
                yield str(node.module).split(".")[1]


def test_make_help_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)[1].split())  # type: ignore[index]
    told = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert targets == phony == {line.split(":")[0] for line in told.splitlines()}


@pytest.mark.skipif(not SHARED_CONTRACT.is_file(), reason="the shared contract is not beside this checkout")
def test_the_contract_lacks_nothing_of_the_shared_one() -> None:
    ours, theirs = (DOCS / "contract.md").read_text(), SHARED_CONTRACT.read_text()
    assert sections(SHARED_CONTRACT) == sections(DOCS / "contract.md")
    rows = [line for line in theirs.splitlines() if line.startswith("|")]
    assert [row for row in rows if row not in ours] == []
    assert [block for block in re.findall(r"(?:^    .+\n)+", theirs, re.MULTILINE) if block not in ours] == []
    assert [word for word in re.findall(r"`([^`\n]+)`", theirs) if word not in ours] == []
