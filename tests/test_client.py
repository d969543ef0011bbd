"""This tests the client that other programs use: the examples of its page, its errors, and what it leaves behind."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from mypy import api

from securechain_ingest import client as client_module
from securechain_ingest.client import (
    Client,
    ConfigError,
    InvalidName,
    NotEnded,
    NotFound,
    NothingKept,
    StoreError,
    Submission,
    connect,
)
from securechain_ingest.queue.keys import Keys
from tests.registry_server import Server, World, pypi, serve
from tests.registry_server.pypi.archives import Wheel
from tests.stores import AdvisoryTarget, GraphTarget, store_variables
from tests.waiting import PATIENCE_S, until
from tests.worker.everything import QUEUE, Everything, everything

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "client.md").read_text()
EXAMPLES = dict(re.findall(r"<!-- example: (\w+) -->\n```python\n(.*?)```", PAGE, re.DOTALL))
PRINTED = dict(re.findall(r"<!-- prints: (\w+) -->\n```text\n(.*?)```", PAGE, re.DOTALL))

FLASK = pypi.Project(
    "Flask",
    tuple(
        pypi.ProjectRelease(number, files=(Wheel({"flask/__init__.py": b"", "flask/app.py": b""}),))
        for number in ("1.0", "2.0")
    ),
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(World((FLASK,))) as running:
        yield running


@pytest.fixture(scope="module")
def variables(
    redis_server: str, arcadedb_server: GraphTarget, advisory_server: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Return what a program beside the daemon has in its environment."""
    target = AdvisoryTarget(advisory_server, f"client-{uuid.uuid4().hex}")
    return store_variables(redis_server, arcadedb_server, target, tmp_path_factory.mktemp("client"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(server: Server, arcadedb_server: GraphTarget, variables: dict[str, str]) -> AsyncIterator[Everything]:
    target = AdvisoryTarget(variables["VULN_DB_URI"], variables["SECURECHAIN_VULNERABILITIES__DATABASE"])
    state_dir = Path(variables["SECURECHAIN_STATE_DIR"])
    async with everything(server, variables["REDIS_URL"], arcadedb_server, target, state_dir) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(daemon: Everything, variables: dict[str, str]) -> AsyncIterator[Client]:
    async with connect(
        redis_url=variables["REDIS_URL"],
        graph_uri=variables["GRAPH_DB_URI"],
        graph_user=variables["GRAPH_DB_USER"],
        graph_password=variables["GRAPH_DB_PASSWORD"],
        graph_database=variables.get("SECURECHAIN_GRAPH__DATABASE"),
        vulnerabilities_uri=variables["VULN_DB_URI"],
        vulnerabilities_database=variables["SECURECHAIN_VULNERABILITIES__DATABASE"],
    ) as opened:
        yield opened


@pytest.mark.parametrize("name", EXAMPLES)
async def test_an_example_prints_what_its_page_says(
    daemon: Everything, client: Client, variables: dict[str, str], tmp_path: Path, name: str
) -> None:
    if name != "submit":
        await client.wait(await client.submit("pypi:flask"), timeout_s=PATIENCE_S)
    (tmp_path / "example.py").write_text(EXAMPLES[name])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "example.py",
        cwd=tmp_path, env=os.environ | variables | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    assert errors.decode() == ""
    assert sorted(output.decode().splitlines()) == sorted(PRINTED[name].splitlines())


async def test_a_submission_is_waited_for_once_and_leaves_nothing(daemon: Everything, client: Client) -> None:
    submission = await client.submit("pypi:Flask", "pkg:pypi/flask@2.0", refresh=True)
    assert submission.packages == 1
    (outcome,) = await client.wait(submission, timeout_s=PATIENCE_S)
    assert (outcome.node_type, outcome.package, outcome.is_stored) == ("PyPIPackage", "flask", True)
    with pytest.raises(NothingKept):
        await client.wait(submission)
    assert [key async for key in daemon.stores.redis.scan_iter(f"{QUEUE.stream}-outcomes*")] == []


async def has_told(daemon: Everything, outcomes: str) -> bool:
    return int(await daemon.stores.redis.xlen(outcomes)) > 1


async def test_who_has_waited_long_enough_may_wait_again(daemon: Everything, client: Client) -> None:
    submission = await client.submit("pypi:flask", refresh=True)
    more = Submission(submission.run, 2)
    # It has ended when this is told, behind the entry with which the submission began.
    outcomes = Keys(QUEUE.stream).outcomes(submission.run)
    await until(partial(has_told, daemon, outcomes), "the end of the package")
    with pytest.raises(NotEnded, match="1 of 2 packages have ended within 2 s"):
        await client.wait(more, timeout_s=2)
    assert len(await client.wait(submission)) == 1


async def test_nothing_is_asked_for_if_one_name_is_wrong(daemon: Everything, client: Client) -> None:
    for wrong in ("flask", "fortran:x", "maven:x", "pypi:../x", ""):
        with pytest.raises(InvalidName):
            await client.submit("pypi:flask", wrong)
    assert await client.wait(await client.submit()) == []
    assert await daemon.stores.redis.xlen(QUEUE.stream) == 0


async def test_what_the_graph_lacks_is_not_found(daemon: Everything, client: Client) -> None:
    with pytest.raises(NotFound):
        await client.package("npm:nobody")
    with pytest.raises(NotFound):
        await client.find(advisory="CVE-1")
    assert await client.find("nobody.offers.it") == []
    for wrong in ({}, {"import_name": "x", "advisory": "y"}):
        with pytest.raises(TypeError):
            await client.find(**wrong)


async def test_a_store_without_an_address_is_named_when_it_is_needed() -> None:
    async with connect() as client:
        with pytest.raises(ConfigError, match="redis_url"):
            await client.submit("pypi:flask")
        with pytest.raises(ConfigError, match="graph_uri"):
            await client.find("flask")


async def test_a_store_that_is_away_is_a_store_error_and_an_address_that_is_none_a_configuration_error() -> None:
    async with connect(redis_url="redis://127.0.0.1:1/0", timeout_s=1) as client:
        with pytest.raises(StoreError):
            await client.submit("pypi:flask")
    for wrong in ({"redis_url": "nowhere"}, {"graph_uri": "nowhere"}, {"vulnerabilities_uri": "x://"}, {"stream": ""}):
        with pytest.raises(ConfigError):
            async with connect(**wrong):  # type: ignore[arg-type]
                pass


@pytest.mark.slow
async def test_programs_see_the_clients_types(tmp_path: Path) -> None:
    assert (ROOT / "securechain_ingest" / "py.typed").exists()
    assert set(client_module.__all__) <= set(dir(client_module))
    for name, example in EXAMPLES.items():
        (tmp_path / f"{name}.py").write_text(example)
    files = [str(tmp_path / f"{name}.py") for name in EXAMPLES]
    # With the options of `make lint`, so that mypy need not look at our modules again.
    told, _, code = await asyncio.to_thread(api.run, files)
    assert code == 0, told
