"""This tests the files around the code: lock, unit, image, compose, module sizes."""

from __future__ import annotations

import ast
import configparser
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "systemd" / "securechain-ingest.service"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = ["requirements.lock", "requirements-dev.lock"]


def locked(name: str) -> set[str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(line.split("==")[0]) for line in lines if re.match(r"[A-Za-z]", line)}


def declared(*groups: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for group in groups for text in group}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_every_package_by_hash_and_names_no_index(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    blocks = re.split(r"^(?=[A-Za-z])", text, flags=re.MULTILINE)[1:]
    assert all("==" in block and "--hash=sha256:" in block for block in blocks)


def test_the_locks_hold_what_the_project_declares() -> None:
    extras = PROJECT["optional-dependencies"]
    assert declared(PROJECT["dependencies"]) <= locked("requirements.lock")
    assert declared(PROJECT["dependencies"], *extras.values()) <= locked("requirements-dev.lock")


def test_the_production_image_carries_no_embedded_server() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert not declared(PROJECT["optional-dependencies"]["embedded"]) & locked("requirements.lock")
    assert "requirements.lock" in dockerfile
    assert "embedded]" not in dockerfile


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", " ", dockerfile)
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def test_the_image_has_two_stages_a_user_that_is_not_root_and_passes_signals_on() -> None:
    steps = instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    stages = [number for number, (word, _) in enumerate(steps) if word == "FROM"]
    assert len(stages) == 2
    assert all("-slim" in steps[number][1] for number in stages)
    last = dict(steps[stages[-1] :])
    assert last["USER"] not in {"root", "0"}
    assert last["ENTRYPOINT"] == '["securechain-ingest"]'
    assert last["CMD"] == '["run"]'


def test_what_the_image_copies_is_let_through_by_dockerignore() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    steps = instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    sources = {word for step, text in steps if step == "COPY" and "--from" not in text for word in text.split()[:-1]}
    assert {source.removeprefix("./") for source in sources} == allowed
    assert all((ROOT / name).exists() for name in allowed)


def test_compose_waits_for_healthy_stores_and_keeps_their_data() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    stores = {"redis", "neo4j", "mongo"}
    assert stores < set(services)
    assert {name: wait["condition"] for name, wait in services["ingest"]["depends_on"].items()} == dict.fromkeys(
        stores, "service_healthy"
    )
    assert all("healthcheck" in services[name] and services[name]["volumes"] for name in stores)
    assert services["neo4j"]["image"].startswith("neo4j:5")


def test_compose_is_clean_yaml() -> None:
    rules = "{extends: relaxed, rules: {line-length: {max: 120}}}"
    command = [sys.executable, "-m", "yamllint", "--strict", "-d", rules, str(ROOT / "compose.yaml")]
    assert subprocess.run(command, check=False, capture_output=True, text=True).stdout == ""


def test_the_unit_tells_systemd_of_readiness_and_reloads_by_sighup() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[method-assign, assignment]
    unit.read(UNIT)
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert service["Restart"] == "on-failure"
    assert service["DynamicUser"] == "yes"
    assert service["ProtectSystem"] == "strict"


def test_the_unit_is_bounded_and_reaches_no_metadata_service() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[method-assign, assignment]
    unit.read(UNIT)
    service = unit["Service"]
    assert service["IPAddressDeny"] == "link-local"
    assert re.fullmatch(r"\d+G", service["MemoryMax"])
    assert int(service["TasksMax"]) >= 512
    # A parser that runs out of memory must not stop the whole service.
    assert service["OOMPolicy"] == "continue"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    # The one thing that cannot be there is the installed program; any executable stands in for it.
    text = re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(encoding="utf-8"))
    copy = tmp_path / UNIT.name
    copy.write_text(text, encoding="utf-8")
    result = subprocess.run(["systemd-analyze", "verify", str(copy)], check=False, capture_output=True, text=True)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_one_more_daemon_gets_a_state_directory_of_its_own(tmp_path: Path) -> None:
    """A state directory is one daemon's, so that a second one on it would end at once."""
    lines = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    [container] = [line for line in lines if "docker compose run" in line]
    [own] = re.findall(r"--env SECURECHAIN_STATE_DIR=(\S+)", container)
    [taken] = re.findall(r"SECURECHAIN_STATE_DIR=(\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert own.startswith(f"{taken}/")
    [edit] = [line for line in lines if line.strip().startswith("sed ")]
    copy = tmp_path / "second.service"
    command = edit.partition(" /etc/")[0]
    copy.write_text(
        subprocess.run(
            ["sh", "-c", f'{command} "$1"', "sh", str(UNIT)], check=True, capture_output=True, text=True
        ).stdout,
        encoding="utf-8",
    )
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[method-assign, assignment]
    unit.read(copy)
    assert unit["Service"]["StateDirectory"] == "securechain-ingest-2"
    assert "SECURECHAIN_STATE_DIR=/var/lib/securechain-ingest-2 " in unit["Service"]["Environment"]
    assert "SECURECHAIN_WEB__PORT=3001" in unit["Service"]["Environment"]


def test_no_module_is_longer_than_400_lines() -> None:
    modules = [
        path for folder in ("securechain_ingest", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")
    ]
    long = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}


@pytest.mark.parametrize("folder", ["securechain_ingest", "tests"])
def test_no_two_classes_have_one_name(folder: str) -> None:
    classes = [
        (node.name, path.relative_to(ROOT).as_posix())
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    count = Counter(name for name, _ in classes)
    assert [(name, where) for name, where in sorted(classes) if count[name] > 1] == []


def test_registry_addresses_stand_in_their_declarations_and_config_toml_only() -> None:
    package = ROOT / "securechain_ingest"
    declaring = {*package.glob("registries/*/declaration.py"), package / "advisories" / "endpoint.py"}
    texts = [path.read_text(encoding="utf-8") for path in declaring]
    endpoints = {host for text in texts for host in re.findall(r'url="https://([^/"]+)', text)}
    assert len(endpoints) >= len(declaring)
    allowed = {*declaring, ROOT / "config.toml"}
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found = [
        name
        for name in files.split("\0")
        if name
        and (path := ROOT / name) not in allowed
        and path.is_file()
        and any(f"://{host}" in path.read_text(encoding="utf-8", errors="replace") for host in endpoints)
    ]
    assert found == []
