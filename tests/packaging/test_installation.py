"""This tests what an installation is made of: the containers beside the image, and the command line beside the unit."""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import redis
import yaml

from securechain_ingest.configuration import load
from securechain_ingest.embedded.process import free_ports
from securechain_ingest.settings import WebSettings
from securechain_ingest.store_addresses import configured, missing
from tests.redis_servers import program as redis_program
from tests.waiting import PATIENCE_S, block_until

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
STORES = ("redis", "neo4j", "mongo")
DAEMONS = ("ingest", "ingest-securechain")
WRAPPER = ROOT / "systemd" / "securechain-ingest"
GIVEN = {
    "GRAPH_DB_PASSWORD": "g" * 20,
    "REDIS_PASSWORD": "r" * 20,
    "MONGO_PASSWORD": "m" * 20,
    "WEB_TOKEN": "w" * 20,
}


def filled(text: str, given: dict[str, str]) -> str:
    """Return what compose makes of a text: variables, `:?` for demanded ones and `:-` for defaults."""

    def value(match: re.Match[str]) -> str:
        name, operator, rest = match.groups()
        if name in given:
            return given[name]
        assert operator == ":-", f"{name} is demanded: {rest}"
        return rest

    return re.sub(r"\$\{(\w+)(:[?-])([^}]*)\}", value, text)


def environment(service: str, **given: str) -> dict[str, str]:
    held: dict[str, str] = SERVICES[service]["environment"]
    return {key: filled(str(text), GIVEN | given) for key, text in held.items()}


def size(text: str) -> float:
    """Return gigabytes of `2g` or `1300mb`."""
    number, unit = re.fullmatch(r"([\d.]+)(g|gb|mb)", text).groups()  # type: ignore[union-attr]
    return float(number) / (1000 if unit == "mb" else 1)


def test_images_are_pinned_by_exact_version() -> None:
    for store in STORES:
        assert re.fullmatch(r"\w+:\d+\.\d+\.\d+(-\w+)?", SERVICES[store]["image"])
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", bases[0])


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_every_password_is_demanded_and_none_has_a_default(name: str) -> None:
    text = (ROOT / "compose.yaml").read_text()
    used = re.findall(rf"\$\{{{name}(.)(.)", text)
    assert used
    assert set(used) == {(":", "?")}


@pytest.mark.parametrize("service", DAEMONS)
def test_the_daemons_variables_are_settings_and_lead_to_stores_that_ask_for_passwords(service: str) -> None:
    settings = load(environment=environment(service, VULN_DB_URI="mongodb://reader:word@mongo:27017"))
    addresses = configured(settings)
    assert not missing(addresses)
    assert addresses.redis_url == f"redis://:{'r' * 20}@redis:6379/0"
    assert addresses.graph_password == "g" * 20
    assert "@mongo:27017" in (addresses.vulnerability_uri or "")
    assert settings.web.token is not None
    assert "REDIS_PASSWORD" in SERVICES["redis"]["environment"]
    assert filled(SERVICES["mongo"]["environment"]["MONGO_INITDB_ROOT_PASSWORD"], GIVEN) == "m" * 20
    assert filled(SERVICES["neo4j"]["environment"]["NEO4J_AUTH"], GIVEN) == f"neo4j/{'g' * 20}"


def test_the_page_is_served_to_this_machine_alone_at_the_port_that_the_health_check_asks() -> None:
    for service in DAEMONS:
        [port] = SERVICES[service]["ports"]
        assert filled(port, {}) == f"127.0.0.1:3000:{WebSettings().port}"
        assert load(environment=environment(service, VULN_DB_URI="mongodb://x")).web.host == "0.0.0.0"
    assert "SECURECHAIN_WEB" not in (ROOT / "Dockerfile").read_text()
    assert not any("ports" in SERVICES[store] for store in STORES), "only the daemon reaches the stores"


def test_every_container_has_a_limit_of_memory_and_neo4j_fits_into_its_own() -> None:
    limits = {name: size(filled(service["mem_limit"], {})) for name, service in SERVICES.items()}
    held = SERVICES["neo4j"]["environment"]
    heap = size(filled(held["NEO4J_server_memory_heap_max__size"], {}))
    page_cache = size(filled(held["NEO4J_server_memory_pagecache_size"], {}))
    assert heap + page_cache + 2 <= limits["neo4j"]
    assert size(filled(SERVICES["redis"]["environment"]["REDIS_MAXMEMORY"], {})) < limits["redis"] * 2 / 3
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read(ROOT / "systemd" / "securechain-ingest.service")
    settings = load(environment={})
    parsers = settings.archives.processes * settings.archives.memory_bytes / 1e9
    assert limits["ingest"] > parsers
    assert int(unit["Service"]["MemoryMax"].removesuffix("G")) > parsers


def test_the_external_network_is_for_the_profile_alone() -> None:
    assert COMPOSE["networks"]["securechain"] == {"external": True}
    using = [name for name, service in SERVICES.items() if "securechain" in service.get("networks", ())]
    assert using == ["ingest-securechain"]
    assert SERVICES["ingest-securechain"]["profiles"] == ["securechain"]
    assert set(SERVICES["ingest-securechain"]["depends_on"]) == {"redis"}
    assert [name for name, service in SERVICES.items() if "profiles" not in service] == ["ingest", *STORES]


@pytest.fixture
def port() -> int:
    [port] = free_ports(1)
    return port


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.fixture
def container_redis(port: int, tmp_path: Path) -> Iterator[redis.Redis]:
    """Yield Redis as compose starts it, but for its port and its folders."""
    _, _, script = SERVICES["redis"]["command"]
    script = script.replace("$$", "$").replace("/run/redis", str(tmp_path))
    script = script.replace("--appendonly yes", f"--appendonly yes --port {port} --dir {tmp_path}")
    variables = environment("redis") | {"PATH": f"{Path(redis_program()).parent}:{os.environ['PATH']}"}
    with subprocess.Popen(["sh", "-c", script], env=variables, stdout=subprocess.DEVNULL) as process:
        try:
            with redis.Redis(port=port, password="r" * 20) as client:
                block_until(lambda: answers(client), "Redis")
                yield client
        finally:
            process.terminate()


@pytest.mark.slow
def test_redis_asks_for_its_password_keeps_its_data_and_forgets_nothing(
    container_redis: redis.Redis, port: int, tmp_path: Path
) -> None:
    with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    held: Any = container_redis.config_get("*")
    assert (held["appendonly"], held["maxmemory-policy"]) == ("yes", "noeviction")
    assert int(held["maxmemory"]) == 1300 * 1024 * 1024
    assert (tmp_path / "redis.conf").stat().st_mode & 0o077 == 0


def wrapper() -> ModuleType:
    loader = SourceFileLoader("wrapper", str(WRAPPER))
    spec = spec_from_loader("wrapper", loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=word", "word"),
        ("A=two words  ", "two words"),
        ("  A = word", "word"),
        ('A="two words  "', "two words  "),
        ("A='it costs $5 \\n'", "it costs $5 \\n"),
        ('A="a \\"quoted\\" \\$word \\n"', 'a "quoted" $word \\n'),
        ("A=pass#word;x", "pass#word;x"),
        ("A=$HOME", "$HOME"),
        ("A=one\\\ntwo", "onetwo"),
        ("A=", ""),
        ("A=a=b", "a=b"),
        ("A=first\nA=second", "second"),
        ("# A=comment\n; A=comment\n\nA=word\nno variable\n", "word"),
        ("A='two\nlines'", "two\nlines"),
    ],
)
def test_the_environment_file_is_read_as_systemd_reads_it(line: str, value: str) -> None:
    assert wrapper().variables(f"B=before\n{line}\nC=behind") == {"B": "before", "A": value, "C": "behind"}


def test_the_wrapper_names_what_the_unit_names() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[method-assign, assignment]
    unit.read(ROOT / "systemd" / "securechain-ingest.service")
    service, module = unit["Service"], wrapper()
    assert service["ExecStart"] == f"{module.PROGRAM} run --config {module.CONFIG}"
    assert service["EnvironmentFile"] == f"-{module.ENVIRONMENT_FILE}"
    assert f"SECURECHAIN_STATE_DIR={module.STATE_DIR}" in service["Environment"].split()
    assert service["StateDirectory"] == Path(module.STATE_DIR).name
    assert WRAPPER.read_text().splitlines()[0] == f"#!{Path(module.PROGRAM).with_name('python')}"
    assert WRAPPER.stat().st_mode & 0o111


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return the wrapper where its folders are those of a test."""
    program = Path(sys.executable).with_name("securechain-ingest")
    text = WRAPPER.read_text().replace("/opt/securechain-ingest/.venv/bin/securechain-ingest", str(program))
    text = text.replace("/opt/securechain-ingest/.venv/bin/python", sys.executable)
    text = text.replace("/etc/securechain-ingest", str(tmp_path)).replace("/var/lib/securechain-ingest", str(tmp_path))
    copy = tmp_path / "securechain-ingest"
    copy.write_text(text)
    copy.chmod(0o755)
    return copy


def called(program: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    held = {"PATH": os.environ["PATH"], "HOME": str(program.parent)} | variables
    return subprocess.run(
        [program, *arguments], env=held, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


@pytest.mark.slow
def test_the_command_line_beside_the_unit_finds_its_configuration_and_its_stores(installed: Path) -> None:
    (installed.parent / "config.toml").write_text("[queue]\nmax_deliveries = 3\n")
    (installed.parent / "environment").write_text(
        'GRAPH_DB_URI="bolt://graph.example:7687"\nGRAPH_DB_PASSWORD=$ecret\n'
    )
    # A login's own variables, of another installation, do not lead it there.
    others = {"GRAPH_DB_URI": "bolt://elsewhere.example:7687", "SECURECHAIN_CONFIG": "/nowhere"}
    answer = called(installed, "check-config", "--json", **others)
    assert answer.returncode == 0, answer.stderr
    settings = json.loads(answer.stdout)
    assert settings["queue"]["max_deliveries"] == 3
    assert settings["graph"]["uri"] == "bolt://graph.example:7687"
    assert settings["daemon"]["state_dir"] == str(installed.parent)
    assert "ecret" not in answer.stdout


@pytest.mark.slow
def test_who_may_not_read_the_passwords_is_told_to_be_root(installed: Path) -> None:
    (installed.parent / "environment").mkdir()  # As unreadable as a file of root's, for root too.
    answer = called(installed, "status")
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert "as root" in answer.stderr


def test_the_state_directorys_table_has_every_entry_that_the_code_makes() -> None:
    sources = [path.read_text() for path in (ROOT / "securechain_ingest").rglob("*.py")]
    patterns = (
        r'state_dir(?:\(\))? / "([\w.-]+)"',
        r'make_directory\([^)]*state_dir, "(\w+)"',
        r'(?:LOCK|RUNTIME|TOKEN)_FILE(?:: Final)? = "([\w.-]+)"',
    )
    made = {name for text in sources for pattern in patterns for name in re.findall(pattern, text)}
    assert {"spool", "feeds", "redis", "daemon.lock", "web-token"} <= made
    section = (ROOT / "docs" / "operations.md").read_text().split("\n## The state directory\n")[1].split("\n## ")[0]
    listed = {
        name.rstrip("/") for line in section.splitlines() for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])
    }
    assert made - listed == set()


def test_the_steps_of_the_installation_name_files_that_are_there() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    steps = re.findall(r"^    install (?:-D )?-m \d+ (\S+) (\S+)$", page, re.MULTILINE)
    assert [source for source, _ in steps if source != "/dev/null" and not (ROOT / source).exists()] == []
    targets = {target + Path(source).name if target.endswith("/") else target for source, target in steps}
    module = wrapper()
    assert {module.CONFIG, module.ENVIRONMENT_FILE, "/usr/local/bin/securechain-ingest"} <= targets
    unit = (ROOT / "systemd" / "securechain-ingest.service").read_text()
    assert set(re.findall(r"^Documentation=file:(\S+)$", unit, re.MULTILINE)) <= targets
    assert set(re.findall(r"`((?:NEO4J|REDIS|MONGO|INGEST)_[A-Z_]+)`", page)) <= set(
        re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text())
    )
