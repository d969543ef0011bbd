"""This tests the configuration: file, environment, flags, one-line errors, reload."""

from __future__ import annotations

import json
import math
import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from securechain_ingest.cli import app
from securechain_ingest.configuration import FIXED_NAMES, TABLES, is_live, load, merge_reload, twin_name
from securechain_ingest.ecosystem_settings import RETIRED
from securechain_ingest.errors import ConfigError

CONFIG_FILE = Path(__file__).resolve().parents[1] / "config.toml"
EVERY_KEY = [(table, key) for table, model in TABLES.items() for key in model.model_fields]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def complaint(file: Path | None = None, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(file, environment=environment or {})
    return str(caught.value)


def test_the_environment_overrides_the_file_and_flags_override_the_environment(tmp_path: Path) -> None:
    file = write(tmp_path / "config.toml", "[queue]\nretry_base_s = 3\nretry_max_s = 20\nmax_deliveries = 5\n")
    environment = {"SECURECHAIN_QUEUE__RETRY_BASE_S": "4", "SECURECHAIN_QUEUE__RETRY_MAX_S": "30"}
    settings = load(file, environment=environment, flags={("queue", "retry_base_s"): ("--retry-base-s", 7)})
    assert (settings.queue.retry_base_s, settings.queue.retry_max_s, settings.queue.max_deliveries) == (7, 30, 5)


@pytest.mark.parametrize(("variable", "path"), FIXED_NAMES.items())
def test_a_fixed_name_of_the_environment_sets_its_key(variable: str, path: tuple[str, str]) -> None:
    values = {"REDIS_PORT": "6380", "REDIS_DB": "3", "GRAPH_DB_URI": "bolt://graph:7687"}
    addresses = {"VULN_DB_URI": "mongodb://advisories:27017", "REDIS_URL": "redis://queue:6379/1"}
    text = (values | addresses).get(variable, "word")
    table, key = path
    value = getattr(getattr(load(environment={variable: text}), table), key)
    assert str(value.get_secret_value() if hasattr(value, "get_secret_value") else value) == text


def test_every_endpoint_answers_to_its_environment_twin() -> None:
    names = [key for table, key in EVERY_KEY if table == "endpoints"]
    environment = {twin_name("endpoints", name): f"http://127.0.0.1:1/{name}" for name in names}
    endpoints = load(environment=environment).endpoints
    assert endpoints.model_dump() == {name: f"http://127.0.0.1:1/{name}" for name in names}


@pytest.mark.parametrize("table", ["rates", "connections"])
@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan", "none"])
def test_a_limit_that_is_neither_positive_nor_unlimited_is_refused_with_what_is_meant_instead(
    table: str, value: str
) -> None:
    line = complaint(environment={twin_name(table, "pypi"): value})
    assert f"{twin_name(table, 'pypi')} = '{value}'" in line
    assert 'a positive number or "unlimited"' in line
    assert "`pause ECOSYSTEM`" in line
    assert "\n" not in line


@pytest.mark.parametrize(("table", "key"), [("rates", "pypi"), ("connections", "pypi"), ("workers", "npm")])
def test_true_is_no_number(tmp_path: Path, table: str, key: str) -> None:
    file = write(tmp_path / "config.toml", f"[{table}]\n{key} = true\n")
    line = complaint(file)
    assert f"[{table}] {key} = " in line
    assert "a number is wanted, and no boolean" in line
    assert "\n" not in line


def test_a_limit_may_be_unlimited(tmp_path: Path) -> None:
    file = write(tmp_path / "config.toml", '[rates]\npypi = "unlimited"\n')
    settings = load(file, environment={"SECURECHAIN_CONNECTIONS__PYPI": "Unlimited"})
    assert (settings.rates["pypi"], settings.connections["pypi"]) == (math.inf, math.inf)
    shown = settings.model_dump(mode="json")
    assert (shown["rates"]["pypi"], shown["connections"]["pypi"]) == ("unlimited", "unlimited")


def test_connections_are_whole(tmp_path: Path) -> None:
    assert "[connections] npm_registry = 1.5" in complaint(
        write(tmp_path / "config.toml", "[connections]\nnpm_registry = 1.5\n")
    )


@pytest.mark.parametrize(("old", "successor"), RETIRED.items())
def test_a_retired_key_is_ignored_with_a_line_that_names_the_one_that_took_its_place(
    tmp_path: Path, old: tuple[str, str], successor: tuple[str, str]
) -> None:
    file = write(tmp_path / "config.toml", f'[{old[0]}]\n{old[1]} = "whatever"\n')
    told: list[str] = []
    assert load(file, environment={twin_name(*old): "0"}, warn=told.append) == load(environment={})
    [variable, key] = told
    assert variable.startswith(f"environment: {twin_name(*old)} is ignored, because {twin_name(*successor)} took")
    assert key.startswith(f"{file}: [{old[0]}] {old[1]} is ignored, because [{successor[0]}] {successor[1]} took")
    assert successor[1] in TABLES[successor[0]].model_fields


def test_a_command_tells_of_a_retired_key_on_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECURECHAIN_RATES__RUBYGEMS_FILES", "0")
    result = CliRunner().invoke(app, ["check-config", "--json"])
    assert result.exit_code == 0
    assert "rubygems_files" not in json.loads(result.stdout)["rates"]
    [line] = result.stderr.splitlines()
    assert "SECURECHAIN_RATES__RUBYGEMS_FILES is ignored, because SECURECHAIN_RATES__RUBYGEMS_API" in line


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(environment={"GRAPH_DB_URI": ""}).graph.uri is None


def test_a_list_is_written_with_commas_in_the_environment() -> None:
    settings = load(environment={"SECURECHAIN_HTTP__ALLOWED_HOSTS": "one.example, two.example"})
    assert settings.http.allowed_hosts == ("one.example", "two.example")


def test_a_wrong_type_is_one_line_naming_file_key_value_and_what_is_allowed(tmp_path: Path) -> None:
    file = write(tmp_path / "config.toml", '[queue]\nmax_deliveries = "many"\n')
    line = complaint(file)
    assert "\n" not in line
    assert str(file) in line
    assert "[queue] max_deliveries = 'many'" in line
    assert "valid integer" in line


def test_a_value_out_of_range_names_the_variable_and_the_bound() -> None:
    line = complaint(environment={"SECURECHAIN_QUEUE__LEASE_S": "-1"})
    assert "SECURECHAIN_QUEUE__LEASE_S = '-1'" in line
    assert "greater than 0" in line


def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    line = complaint(write(tmp_path / "config.toml", "[queue]\nmax_delivery = 3\n"))
    assert "did you mean max_deliveries?" in line


def test_an_unknown_table_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    line = complaint(write(tmp_path / "config.toml", "[qeue]\nmax_deliveries = 3\n"))
    assert "[qeue]" in line
    assert "did you mean queue?" in line


def test_an_unknown_variable_with_our_prefix_is_refused() -> None:
    line = complaint(environment={"SECURECHAIN_QUEUE__LEASES": "3"})
    assert "did you mean SECURECHAIN_QUEUE__LEASE_S?" in line


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REDIS_PORT", "tcp://10.0.0.11:6379"),
        ("SECURECHAIN_REDIS_PORT", "tcp://10.0.0.11:6379"),
        ("SECURECHAIN_SERVICE_HOST", "10.0.0.11"),
        ("SECURECHAIN_WEB_SERVICE_PORT", "8000"),
        ("SECURECHAIN_WEB_SERVICE_PORT_HTTP", "8000"),
        ("SECURECHAIN_WEB_PORT_8000_TCP", "tcp://10.0.0.11:8000"),
        ("SECURECHAIN_WEB_PORT_8000_TCP_ADDR", "10.0.0.11"),
    ],
)
def test_what_kubernetes_says_of_its_services_is_no_setting(variable: str, value: str) -> None:
    environment = {"REDIS_HOST": "redis.example", variable: value}
    assert load(environment=environment) == load(environment={"REDIS_HOST": "redis.example"})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REDIS_PORT", "six"),
        ("SECURECHAIN_REDIS_PORT", "6379"),
        ("SECURECHAIN_REDIS__DB", "tcp://10.0.0.11:6379"),
        ("SECURECHAIN_WEB__PORT", "tcp://10.0.0.11:6379"),
    ],
)
def test_a_variable_that_only_resembles_those_of_kubernetes_is_refused(variable: str, value: str) -> None:
    assert variable in complaint(environment={variable: value})


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    assert load(write(tmp_path / "config.toml", "\ufeff[redis]\nport = 6390\n"), environment={}).redis.port == 6390


@pytest.mark.parametrize(
    "text", ["[queue\n", "queue = 3\n", "\x00", f"[redis]\nport = {'9' * 5000}\n", f"x = {'[' * 5000}"]
)
def test_a_file_that_is_no_configuration_is_one_line(tmp_path: Path, text: str) -> None:
    file = write(tmp_path / "config.toml", text)
    line = complaint(file)
    assert line.startswith(str(file))
    assert "\n" not in line


def test_a_missing_file_that_was_named_is_an_error(tmp_path: Path) -> None:
    assert "cannot be read" in complaint(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SECURECHAIN_SCHEDULES__ADVISORY_SYNC", "every day"),
        ("SECURECHAIN_SCHEDULES__TIMEZONE", "Mars/Base"),
        ("SECURECHAIN_SCHEDULES__DISABLED", "advisory_sync,every_day"),
        ("SECURECHAIN_ENDPOINTS__PYPI", "ftp://x"),
        ("SECURECHAIN_ENDPOINTS__PYPI", "https://x:port"),
        ("SECURECHAIN_ENDPOINTS__PYPI", "https://x:99999"),
        ("SECURECHAIN_ENDPOINTS__PYPI", "https://:8080"),
        ("SECURECHAIN_ENDPOINTS__PYPI", "https://[::1"),
        ("SECURECHAIN_ENDPOINTS__PYPI", "https://x/simple?token=a"),
        ("SECURECHAIN_ENDPOINTS__PYPI", "https://x/#simple"),
        ("GRAPH_DB_URI", "http://graph"),
        ("VULN_DB_URI", "postgres://x"),
        ("REDIS_URL", "memcached://x"),
    ],
)
def test_a_value_of_the_wrong_form_is_refused(variable: str, value: str) -> None:
    assert variable in complaint(environment={variable: value})


@pytest.mark.parametrize(
    "environment",
    [
        {"REDIS_URL": "memcached://user:hunter2@host"},
        {"VULN_DB_URI": "hunter2"},
        {"GRAPH_DB_URI": "http://neo4j:hunter2@graph:7687"},
    ],
)
def test_a_secret_never_reaches_an_error(environment: dict[str, str]) -> None:
    assert "hunter2" not in complaint(environment=environment)


def test_a_secret_is_masked_when_the_settings_are_shown() -> None:
    environment = {
        "GRAPH_DB_PASSWORD": "hunter2",
        "REDIS_URL": "redis://:hunter2@h",
        "VULN_DB_URI": "mongodb://u:hunter2@h",
    }
    settings = load(environment=environment)
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()


def test_config_toml_holds_every_key_with_its_default() -> None:
    commented = re.sub(r"^# (\w+ = )", r"\1", CONFIG_FILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    tables = tomllib.loads(commented)
    assert [(table, key) for table, keys in tables.items() for key in keys] == EVERY_KEY
    assert load(CONFIG_FILE, environment={}) == load(environment={})


def test_by_default_no_ecosystem_can_take_the_places_of_another() -> None:
    settings = load(environment={})
    assert sum(settings.workers.model_dump().values()) <= settings.queue.concurrency


def test_check_config_prints_the_tables_of_config_toml_with_their_defaults() -> None:
    result = CliRunner().invoke(app, ["check-config", "--defaults"], env={"SECURECHAIN_RATES__PYPI": "1"})
    assert result.exit_code == 0
    assert tomllib.loads(result.stdout) == tomllib.loads(CONFIG_FILE.read_text(encoding="utf-8"))


def test_check_config_prints_where_an_endpoint_without_an_address_lies_as_config_toml_has_it() -> None:
    result = CliRunner().invoke(app, ["check-config", "--defaults"])
    unset = [line for line in result.stdout.splitlines() if re.match(r"# \w+ = ", line)]
    assert [line.split(" = ")[0] for line in unset] == ["# maven_index"]
    assert set(unset) <= set(CONFIG_FILE.read_text(encoding="utf-8").splitlines())


def test_config_toml_says_of_every_key_whether_a_reload_applies_it() -> None:
    table, comment = "", ""
    in_comment = False
    for line in CONFIG_FILE.read_text(encoding="utf-8").splitlines():
        key = re.match(r"(?:# )?(\w+) = ", line)
        if header := re.match(r"\[(\w+)\]", line):
            table = header[1]
        elif key:
            in_comment = False
            assert comment.rstrip(".").endswith("live" if is_live(table, key[1]) else "restart"), (table, key[1])
        elif line.startswith("#"):
            comment = f"{comment} {line[1:].strip()}" if in_comment else line[1:].strip()
            in_comment = True


def test_a_reload_takes_live_keys_and_names_those_that_need_a_restart() -> None:
    running = load(environment={})
    new = load(
        environment={
            "SECURECHAIN_RATES__PYPI": "unlimited",
            "REDIS_STREAM": "other",
            "SECURECHAIN_DAEMON__LOG_LEVEL": "debug",
        }
    )
    reload = merge_reload(running, new)
    assert reload.settings.rates["pypi"] == math.inf
    assert reload.settings.daemon.log_level == "debug"
    assert reload.settings.queue.stream == running.queue.stream
    assert reload.changed == {"rates.pypi": "10.0 -> unlimited", "daemon.log_level": "info -> debug"}
    assert reload.needs_restart == ("queue.stream",)
