"""Neo4j's own tool imports the tables; the tool itself and a real Neo4j 5 judge what it made."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from securechain_ingest.errors import SnapshotError
from securechain_ingest.registries import ECOSYSTEMS
from securechain_ingest.snapshot.manifest import SnapshotManifest
from securechain_ingest.snapshot.offline import offline_command, shell_line
from tests.graph_digest import graph_lines
from tests.neo4j import server as real_neo4j
from tests.snapshot.conftest import WholeInstallation, installation
from tests.snapshot.test_export_and_import import MARKS, run, some_packages
from tests.stores import GraphTarget

_ECOSYSTEMS = {each.name: each for each in ECOSYSTEMS}


def neo4j_admin(home: Path, command: list[str]) -> None:
    """Run a command of neo4j-admin by its main class, which is in the server's jars; its report stays in `home`."""
    (home / "conf").mkdir(parents=True)
    environment = os.environ | {"NEO4J_HOME": str(home), "NEO4J_CONF": str(home / "conf")}
    java = ["java", "-Xmx512m", "-cp", f"{real_neo4j.jars()}/*", "org.neo4j.cli.AdminTool", *command]
    result = subprocess.run(java, cwd=home, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]


# One source is enough: the tests of the import read the tables of both servers.
@pytest.mark.parametrize("installations", ["to neo4j"], indirect=True)
async def test_the_printed_command_and_what_follows_it_make_the_same_graph(
    installations: tuple[WholeInstallation, WholeInstallation],
    redis_server: str,
    advisory_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, _ = installations
    await some_packages(source)
    run(source, "MATCH (p:PyPIPackage {purl: 'pkg:pypi/late'}) SET p.stars = 'many'")
    run(source, "MATCH (p:PyPIPackage {purl: 'pkg:pypi/six'}) SET p.stars = 7, p.topics = ['a', 'b']")
    folder = tmp_path / "a snapshot"
    manifest = await source.export(folder)
    command = offline_command(manifest, folder, _ECOSYSTEMS, "neo4j")
    neo4j_admin(tmp_path / "home", command[1:])
    with real_neo4j.neo4j_server(tmp_path / "home") as uri:
        graph = GraphTarget(uri, "neo4j", real_neo4j.PASSWORD, None, "neo4j")
        redis_url = f"{redis_server.rpartition('/')[0]}/3"
        async with installation(
            redis_url, graph, advisory_server, tmp_path / "state", monkeypatch, empty=False
        ) as target:
            await target.load(folder, has_graph=True)
            assert graph_lines(graph, without=MARKS) == graph_lines(source.graph, without=MARKS)


def test_the_command_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    command = offline_command(SnapshotManifest(), tmp_path, _ECOSYSTEMS, "a name; with more")
    command.append("--nodes=NPMPackage=/a folder/it's.csv.gz")
    script = f'neo4j-admin() {{ printf "%s\\n" "$@"; }}\n{shell_line(command)}'
    printed = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == command[1:]


def test_a_path_that_the_tool_would_divide_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="has a comma"):
        offline_command(SnapshotManifest(), tmp_path / "a,b", _ECOSYSTEMS, "neo4j")
