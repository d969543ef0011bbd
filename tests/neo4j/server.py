"""This starts the real Neo4j: it gets jars through Maven into a cache outside the checkout, once; then it starts one
Java process.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neo4j import GraphDatabase
from neo4j.exceptions import DriverError, Neo4jError
from securechain_ingest.embedded.leash import leashed
from securechain_ingest.embedded.process import free_ports
from tests.waiting import PATIENCE_S

HERE = Path(__file__).parent
PASSWORD = "only-for-tests"


def missing() -> str | None:
    """Return why it cannot be started here; None if it can."""
    absent = [program for program in ("java", "mvn") if shutil.which(program) is None]
    return f"a real Neo4j needs {' and '.join(absent)}, not on this machine" if absent else None


def jars() -> Path:
    """Return the folder of the server's jars, filled at the first use."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "securechain-ingest" / "neo4j-5.26.12"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        # Two processes of one run may come here together.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache / ".complete").exists():
            _fill(cache)
    return cache


def _fill(cache: Path) -> None:
    command = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies"]
    options = ["-DincludeScope=runtime", f"-DoutputDirectory={cache}"]
    subprocess.run([*command, *options], check=True, timeout=600)
    (cache / ".complete").touch()


@contextmanager
def neo4j_server(home: Path) -> Iterator[str]:
    """Serve an empty database under `home`; yield its Bolt address. The user is neo4j, the password PASSWORD."""
    library = jars()
    (home / "plugins").mkdir(parents=True)
    for jar in library.glob("apoc-*.jar"):
        shutil.copy(jar, home / "plugins")
    [port] = free_ports(1)
    opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in ("java.nio", "sun.nio.ch")]
    command = [
        "java",
        "-Xmx1g",
        *opens,
        "-cp",
        f"{library}/*",
        str(HERE / "BoltServer.java"),
        str(home),
        str(port),
        PASSWORD,
    ]
    with (home / "output.log").open("wb") as log:
        # It ends with the test run even if that is killed.
        process = subprocess.Popen(leashed(command), stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        _wait_until_ready(f"bolt://127.0.0.1:{port}", process, home / "output.log")
        yield f"bolt://127.0.0.1:{port}"
    finally:
        # Nobody reads its files again: an end in order, of some seconds, would be for nothing.
        process.kill()
        process.wait()


def _wait_until_ready(uri: str, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            # Whoever asks before the password is set is refused, and after three times locked out.
            if "The password is set." not in log.read_text(errors="replace"):
                raise OSError("its password is not set yet")
            with GraphDatabase.driver(uri, auth=("neo4j", PASSWORD)) as driver, driver.session() as session:
                session.run("RETURN 1").consume()
                return
        except (DriverError, Neo4jError, OSError) as error:
            if process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(f"Neo4j did not start: {log.read_text(errors='replace')[-2000:]}") from error
            time.sleep(0.3)
