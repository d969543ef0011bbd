"""This follows the demonstration to the letter: what it prints can be opened and typed, and the README's queries
find rows in it.
"""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from neo4j import GraphDatabase

from securechain_ingest.embedded.addresses import running_stores
from tests.demo.running import DemoFailed, demo
from tests.demo.world import world
from tests.end_to_end.daemon_process import without_settings
from tests.forked_product import SCRIPT
from tests.registry_server.server import REPOSITORY


@dataclass(frozen=True)
class Started:
    """This is the demonstration as a process that has said that it is ready."""

    process: subprocess.Popen[str]
    state_dir: Path
    said: str

    def typed(self) -> list[list[str]]:
        """Return the commands that it tells people to type."""
        return [shlex.split(line) for line in self.said.splitlines() if "securechain-ingest " in line]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    state_dir = tmp_path_factory.mktemp("demo") / "state"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.demo", "--state-dir", str(state_dir), "--port", "0", "--packages", "1"],
        cwd=REPOSITORY,
        # It must not be led to another installation.
        env=without_settings() | {"REDIS_URL": "redis://nowhere.invalid", "SECURECHAIN_WEB__PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl-C" in line:
            break
    try:
        yield Started(process, state_dir, said)
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said + rest
    assert "All parts have ended." in rest
    assert running_stores(state_dir) is None


def typed(command: list[str]) -> str:
    done = subprocess.run(
        command, cwd=REPOSITORY, env=without_settings(), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_it_says_can_be_opened_and_what_it_says_can_be_typed(started: Started) -> None:
    [address] = re.findall(r"http://\S+", started.said)
    page = httpx.get(address, follow_redirects=True, timeout=300)
    assert page.status_code == 200
    assert "Log out" in page.text  # The address has let us in.
    submit, show, find = started.typed()
    assert "pypi:jinja2  stored" in typed(submit)
    answer = typed(show)
    assert "2 known vulnerabilities in 6 of 7 versions; the newest, 3.1.6, is not affected" in answer
    assert "fixed in 3.1.6" in answer
    assert "fixed in 3.1.3" in answer
    assert typed(find).split() == ["pkg:maven/org.apache.logging.log4j/log4j-core"]
    assert typed([*find[:-1], "ghsa-JFH8-c2jp-5v3q"]) == typed(find)  # People copy ids in any case.


def test_the_readme_has_the_commands_that_it_prints(started: Started) -> None:
    readme = (REPOSITORY / "README.md").read_text()
    for command in started.typed()[:2]:
        told = shlex.join(["securechain-ingest", *command[1:]]).replace(str(started.state_dir), ".demo")
        assert told in readme


def queries() -> list[str]:
    text = (REPOSITORY / "README.md").read_text().partition("## Querying")[2].partition("\n## ")[0]
    blocks = re.findall(r"^    // .+\n(?:    .+\n)+", text, re.MULTILINE)
    return ["\n".join(line.strip() for line in block.splitlines()[1:]) for block in blocks]


def test_every_query_of_the_readme_finds_rows(started: Started) -> None:
    stores = running_stores(started.state_dir)
    assert stores is not None
    assert stores.graph_uri is not None
    assert len(queries()) >= 4
    login = (stores.graph_user or "", stores.graph_password or "")
    with (
        GraphDatabase.driver(stores.graph_uri, auth=login) as driver,
        driver.session(database=stores.graph_database) as session,
    ):
        rows = {query: len(list(session.run(query))) for query in queries()}
    assert all(rows.values()), rows


def test_the_examples_of_the_readme_about_vulnerabilities_are_answered(started: Started) -> None:
    text = (REPOSITORY / "README.md").read_text()
    section = text.partition("## Is it vulnerable, and what to do")[2].partition("\n## ")[0]
    commands = re.findall(r"^    \.venv/bin/securechain-ingest (.+)$", section, re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        assert typed([str(SCRIPT), *shlex.split(command), "--config", str(started.state_dir / "config.toml")])


def test_a_second_one_leaves_the_first_alone(started: Started) -> None:
    with pytest.raises(DemoFailed, match="runs already"), demo(world(0), started.state_dir):
        pass
    assert json.loads(typed([*started.typed()[1], "--json"]))["purl"] == "pkg:pypi/jinja2"


def test_a_directory_that_is_not_its_own_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DemoFailed, match="something else"), demo(world(0), tmp_path):
        pass
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
