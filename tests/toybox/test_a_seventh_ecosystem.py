"""An ecosystem is one folder, this one, and one line of registration.

The product's package is copied, and the line is added to the copy. Whatever is run here is run from there.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
import redis

from tests.end_to_end.conftest import Send, environment, queue, reader, send
from tests.end_to_end.daemon_process import DaemonProcess, daemon, without_settings
from tests.end_to_end.graph_contents import PlainCypher
from tests.end_to_end.one_graph_server import graph_target
from tests.end_to_end.test_the_page import free_port
from tests.registry_server import World, serve
from tests.toybox.declaration import DECLARATION
from tests.toybox.names import TOYBOX
from tests.toybox.site import ToySite, served
from tests.waiting import PATIENCE_S, block_until

__all__ = ["environment", "graph_target", "queue", "reader", "send"]

pytestmark = pytest.mark.slow
"""Each test starts the copy as a process."""

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent
TUTORIAL = CHECKOUT / "docs" / "new-ecosystem.md"
"""It tells how this folder is written, and shows its code."""

LINE = '    "tests.toybox",\n'
COMMAND = (sys.executable, "-m", "securechain_ingest")

CONFIGURATION = """
[endpoints]
toybox_index = "{base}/index"
toybox_files = "{base}/files"

[rates]
toybox_index = "unlimited"
toybox_files = 200.0

[connections]
toybox_files = 1

[workers]
toybox = 3

[schedules]
toybox_packages_updates = "0 0 1 1 *"

[reconcile]
toybox = 3600.0
"""


class Copy:
    """This is the product with the ecosystem registered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(CHECKOUT / "securechain_ingest", folder / "securechain_ingest")
        registration = folder / "securechain_ingest" / "registries" / "__init__.py"
        before, end, after = registration.read_text().partition('\n)\n"""Each of these packages has a module')
        registration.write_text(f"{before}\n{LINE.rstrip()}{end}{after}")

    def variables(self) -> dict[str, str]:
        return {"PYTHONPATH": f"{self.folder}:{CHECKOUT}"}

    def run(self, *arguments: str, variables: dict[str, str] | None = None) -> str:
        """Return what a command prints on both streams; it must succeed."""
        code, output = self.try_to_run(*arguments, variables=variables)
        assert code == 0, output
        return output

    def try_to_run(self, *arguments: str, variables: dict[str, str] | None = None) -> tuple[int, str]:
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=without_settings() | self.variables() | {"COLUMNS": "200"} | (variables or {}),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_S,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("product"))


@pytest.fixture
def site() -> Iterator[ToySite]:
    with served(ToySite()) as site:
        yield site


def test_it_is_registered_by_one_line(product: Copy) -> None:
    ours = (CHECKOUT / "securechain_ingest" / "registries" / "__init__.py").read_text().splitlines(keepends=True)
    theirs = (product.folder / "securechain_ingest" / "registries" / "__init__.py").read_text()
    theirs_lines = theirs.splitlines(keepends=True)
    theirs_lines.remove(LINE)
    assert theirs_lines == ours


def test_no_other_file_names_it() -> None:
    named = [
        path
        for pattern in ("*.py", "*.toml", "*.md", "*.yaml", "*.lock", "*.service", "Makefile", "Dockerfile")
        for path in CHECKOUT.rglob(pattern)
        if not any(part.startswith(".") for part in path.relative_to(CHECKOUT).parts)
        and FOLDER not in path.parents
        and path != TUTORIAL
        and TOYBOX.name in path.read_text(encoding="utf-8", errors="replace").lower()
    ]
    assert named == []


def test_every_table_has_its_keys_with_the_defaults_that_it_declares(product: Copy) -> None:
    tables = tomllib.loads(product.run("check-config", "--defaults"))
    for endpoint in DECLARATION.endpoints:
        assert tables["endpoints"][endpoint.key] == endpoint.url
        assert tables["rates"][endpoint.key] == endpoint.rate
        assert tables["connections"][endpoint.key] == endpoint.connections
    assert tables["workers"]["toybox"] == DECLARATION.workers
    assert tables["reconcile"]["toybox"] == DECLARATION.reconcile_s
    assert tables["schedules"]["toybox_package_ingestion"] == DECLARATION.ingestion_cron
    assert tables["schedules"]["toybox_packages_updates"] == DECLARATION.updates_cron
    assert "toybox_package_ingestion" in tables["schedules"]["disabled"]


def test_a_key_of_its_own_is_checked_like_any_other(product: Copy) -> None:
    code, line = product.try_to_run("check-config", variables={"SECURECHAIN_RATES__TOYBOX_INDEX": "0"})
    assert code == 2
    assert "SECURECHAIN_RATES__TOYBOX_INDEX = '0' is not allowed" in line


def test_the_command_line_knows_its_words(product: Copy) -> None:
    assert "toybox" in product.run("backfill", "import-names", "--help")
    assert "toys" in product.run("import-names", "--help")


def test_the_import_names_of_an_archive_are_printed(product: Copy, tmp_path: Path) -> None:
    site = ToySite()
    site.upload("ball", "1.0.0", ("ball", "ball.red"))
    file = tmp_path / "ball-1.0.0.zip"
    file.write_bytes(site.files["/files/ball-1.0.0.zip"])
    assert json.loads(product.run("import-names", "toys", str(file), "--json"))[0]["names"] == ["ball", "ball.red"]


def test_the_toy_box_is_served_as_the_tutorial_says() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.toybox.site"],
        cwd=CHECKOUT,
        env=without_settings(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        printed = [process.stdout.readline().strip().removeprefix("export ").split("=", 1) for _ in range(2)]
        variables = dict(printed)
        index = variables["SECURECHAIN_ENDPOINTS__TOYBOX_INDEX"]
        process.stdin.write("ball 1.1.0\n")
        process.stdin.flush()
        block_until(
            lambda: "1.1.0" in httpx.get(f"{index}/packages/ball.json", timeout=PATIENCE_S).json()["versions"],
            "the new version",
        )
        archive = f"{variables['SECURECHAIN_ENDPOINTS__TOYBOX_FILES']}/ball-1.0.0.zip"
        assert httpx.get(archive, timeout=PATIENCE_S).status_code == 200
        process.stdin.close()
    assert process.returncode == 0


def test_it_is_asked_for_ingested_updated_and_backfilled(
    product: Copy,
    site: ToySite,
    environment: dict[str, str],
    send: Send,
    queue: redis.Redis,
    reader: PlainCypher,
    tmp_path: Path,
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(CONFIGURATION.format(base=site.base))
    schedules = "SECURECHAIN_SCHEDULES__DISABLED"
    off = {schedules: f"{environment[schedules]},toybox_package_ingestion,toybox_packages_updates"}
    retired = {"SECURECHAIN_RATES__RUBYGEMS_FILES": "0"}

    def has(version: str) -> bool:
        found = reader.rows("MATCH (:ToyboxPackage)-[:HAVE]->(v:Version) RETURN v.purl AS purl")
        return version in {row["purl"] for row in found}

    def names(package: str) -> list[str]:
        [row] = reader.rows("MATCH (p:ToyboxPackage {name: $name}) RETURN p.import_names AS names", name=package)
        found: list[str] = row["names"]
        return found

    site.publish("wood", "1.0.0", ("wood",))
    site.publish("ball", "1.0.0", requires={"wood": ">=1.0.0"})
    with serve(World()) as others:
        variables = environment | others.environment() | off | retired | product.variables()
        variables |= {"SECURECHAIN_CONFIG": str(file), "SECURECHAIN_WEB__PORT": free_port()}
        with daemon(variables, command=COMMAND, cwd=product.folder) as process:
            assert "toybox" in process.events("daemon_ready")[0]["ecosystems"]
            [warning] = process.events("setting_ignored")
            assert "SECURECHAIN_RATES__RUBYGEMS_API took its place" in warning["reason"]

            # By message and by command.
            send("ToyboxPackage", "Wood")
            block_until(partial(has, "pkg:toybox/wood@1.0.0"), "what the message asked for")
            assert names("wood") == ["wood"]
            assert "toybox:ball  stored" in product.run("submit", "--wait", "toys:ball", variables=variables)
            edge = "MATCH (:Version {purl: 'pkg:toybox/ball@1.0.0'})-[r:REQUIRE]->(p) RETURN p.purl AS purl"
            assert reader.rows(edge) == [{"purl": "pkg:toybox/wood"}]

            # The whole registry.
            site.publish("kite", "1.0.0", ("kite",))
            product.run("schedules", "run", "toybox_package_ingestion", variables=variables)
            block_until(partial(has, "pkg:toybox/kite@1.0.0"), "what only the registry's list names")

            # Updates: the first compares the whole list, the next follows the changes.
            for toy in ("wood", "kite"):
                site.publish(toy, "1.1.0", (toy,))
                product.run("schedules", "run", "toybox_packages_updates", variables=variables)
                block_until(partial(has, f"pkg:toybox/{toy}@1.1.0"), f"the update of {toy}")

            # The archive that was missing.
            assert names("ball") == ["ball"]
            site.upload("ball", "1.0.0", ("ball", "ball.red"))
            summary = product.run("backfill", "import-names", "toybox", "--json", variables=variables)
            assert names("ball") == ["ball", "ball.red"], summary

            assert_its_vulnerabilities_are_unknown(product, variables, process)
            assert process.stop() == 0
    assert queue.xlen("package-extraction-dlq") == 0


def assert_its_vulnerabilities_are_unknown(product: Copy, variables: dict[str, str], process: DaemonProcess) -> None:
    """Assert that no sync fails because OSV does not have it, and that nobody takes unknown for none."""
    assert DECLARATION.ecosystem.osv is None
    printed = product.run("schedules", "run", "advisory_sync", variables=variables)
    block_until(lambda: any(event["run"] in printed for event in process.events("job_finished")), "the sync")
    assert "OSV does not have this ecosystem" in product.run("ingest", "toybox:ball", variables=variables)
    status = product.run("status", variables=variables)
    assert "unknown of toybox, which OSV does not have" in status
    assert "not read yet" not in status
    login = httpx.URL(process.wait_for("page_ready")[0]["address"])
    with httpx.Client(follow_redirects=True, timeout=PATIENCE_S) as client:
        assert client.get(login).status_code == 200
        assert "OSV does not have this ecosystem" in client.get(login.join("/packages/toybox/ball")).text
        metrics = client.get(login.join("/metrics")).text
    assert 'securechain_advisory_lag_seconds{ecosystem="npm"}' in metrics
    assert 'securechain_advisory_lag_seconds{ecosystem="toybox"}' not in metrics
