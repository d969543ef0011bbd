"""This makes one frozen `Settings` of config.toml, the environment and flags, and says what a reload may change.

Programs outside the project configure the daemon by the names in `FIXED_NAMES`; every other key of config.toml has
the twin SECURECHAIN_<TABLE>__<KEY>. Only ConfigError is raised: one line that names the source, the key, the value and
what is allowed.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from securechain_ingest.ecosystem_settings import (
    RETIRED,
    ConnectionSettings,
    EndpointSettings,
    FollowSettings,
    RateSettings,
    ReconcileSettings,
    ScheduleSettings,
    WorkerSettings,
)
from securechain_ingest.errors import ConfigError
from securechain_ingest.settings import (
    ArchiveSettings,
    DaemonSettings,
    EmbeddedSettings,
    FeedSettings,
    GraphSettings,
    HttpSettings,
    PackageSettings,
    QueueSettings,
    RedisSettings,
    RefreshSettings,
    Table,
    VulnerabilitySettings,
    WebSettings,
)

PREFIX = "SECURECHAIN_"
CONFIG_VARIABLE = "SECURECHAIN_CONFIG"
DEFAULT_FILE = Path("config.toml")

FIXED_NAMES = {
    "GRAPH_DB_URI": ("graph", "uri"),
    "GRAPH_DB_USER": ("graph", "user"),
    "GRAPH_DB_PASSWORD": ("graph", "password"),
    "VULN_DB_URI": ("vulnerabilities", "uri"),
    "REDIS_URL": ("redis", "url"),
    "REDIS_HOST": ("redis", "host"),
    "REDIS_PORT": ("redis", "port"),
    "REDIS_DB": ("redis", "db"),
    "REDIS_STREAM": ("queue", "stream"),
    "REDIS_GROUP": ("queue", "group"),
    "REDIS_CONSUMER": ("queue", "consumer"),
    "SECURECHAIN_STATE_DIR": ("daemon", "state_dir"),
}

_LINK: Final = re.compile(
    r"\w+_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_LINKED_ADDRESS: Final = re.compile(r"(?:tcp|udp|sctp)://\S+")
"""Kubernetes puts such variables for each service into every container ("Service", "Environment variables"): beside a
service `redis` there is `REDIS_PORT=tcp://10.0.0.11:6379`."""

Tree = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer has one source's values, and the names by which errors call them."""

    values: Tree
    names: Mapping[tuple[str, str], str]
    origin: str


_layers: ContextVar[tuple[Layer, ...]] = ContextVar("layers")


class _LayerSource(PydanticBaseSettingsSource):
    """This gives one layer to pydantic-settings, which merges the layers key by key."""

    def __init__(self, settings_class: type[BaseSettings], layer: Layer) -> None:
        super().__init__(settings_class)
        self.layer = layer

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        del field
        return self.layer.values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(self.layer.values)


class Settings(BaseSettings):
    """This is the whole configuration; it is validated and frozen."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    graph: GraphSettings = Field(default_factory=GraphSettings)
    vulnerabilities: VulnerabilitySettings = Field(default_factory=VulnerabilitySettings)
    redis: RedisSettings = Field(default_factory=RedisSettings)
    queue: QueueSettings = Field(default_factory=QueueSettings)
    workers: WorkerSettings = Field(default_factory=WorkerSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    endpoints: EndpointSettings = Field(default_factory=EndpointSettings)
    rates: RateSettings = Field(default_factory=RateSettings)
    connections: ConnectionSettings = Field(default_factory=ConnectionSettings)
    archives: ArchiveSettings = Field(default_factory=ArchiveSettings)
    packages: PackageSettings = Field(default_factory=PackageSettings)
    schedules: ScheduleSettings = Field(default_factory=ScheduleSettings)
    feeds: FeedSettings = Field(default_factory=FeedSettings)
    reconcile: ReconcileSettings = Field(default_factory=ReconcileSettings)
    follow: FollowSettings = Field(default_factory=FollowSettings)
    refresh: RefreshSettings = Field(default_factory=RefreshSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    embedded: EmbeddedSettings = Field(default_factory=EmbeddedSettings)
    daemon: DaemonSettings = Field(default_factory=DaemonSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        *_sources: PydanticBaseSettingsSource,
        **_named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return tuple(_LayerSource(settings_cls, layer) for layer in _layers.get())


TABLES: Final = {name: cast("type[Table]", field.annotation) for name, field in Settings.model_fields.items()}
"""These are the tables of config.toml, by name."""


def load(
    config_file: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[tuple[str, str], tuple[str, Any]] | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Settings:
    """Read and validate the whole configuration, and return it. ConfigError is raised for one that is not valid.

    `config_file` None means SECURECHAIN_CONFIG, else config.toml of the working directory if there is one. `flags` maps
    (table, key) to the flag's name and its value. `warn` gets a line for each key that is ignored because another one
    took its place.
    """
    environment = os.environ if environment is None else environment
    layers = (
        _flag_layer(flags or {}),
        _environment_layer(environment, warn),
        _file_layer(config_file or _default_file(environment), warn),
    )
    return _settings(layers)


def defaults() -> Settings:
    """Return every setting as it is where nothing sets it."""
    return _settings(())


def _settings(layers: tuple[Layer, ...]) -> Settings:
    token = _layers.set(layers)
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigError(_explain(error.errors(include_url=False)[0], layers)) from None
    finally:
        _layers.reset(token)


def _default_file(environment: Mapping[str, str]) -> Path | None:
    if named := environment.get(CONFIG_VARIABLE):
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _flag_layer(flags: Mapping[tuple[str, str], tuple[str, Any]]) -> Layer:
    values: Tree = {}
    for (table, key), (_, value) in flags.items():
        if value is not None:
            values.setdefault(table, {})[key] = value
    return Layer(values, {path: flag for path, (flag, _) in flags.items()}, "the command line")


def _environment_layer(environment: Mapping[str, str], warn: Callable[[str], None]) -> Layer:
    values: Tree = {}
    names: dict[tuple[str, str], str] = {}
    retired = {twin_name(*old): twin_name(*successor) for old, successor in RETIRED.items()}
    for variable, text in environment.items():
        if _is_service_link(variable, text):
            continue
        if variable in retired:
            warn(_ignored("environment", variable, retired[variable]))
            continue
        path = FIXED_NAMES.get(variable)
        if path is None and variable.startswith(PREFIX) and variable != CONFIG_VARIABLE:
            path = _twin(variable)
        if path is not None and text != "":
            values.setdefault(path[0], {})[path[1]] = text
            names[path] = variable
    return Layer(values, names, "the environment")


def _is_service_link(variable: str, text: str) -> bool:
    """Return whether Kubernetes has set the variable; the names of our own have two underscores in a row, if any."""
    is_address = variable.endswith("_PORT") and _LINKED_ADDRESS.fullmatch(text)
    return "__" not in variable and bool(is_address or _LINK.fullmatch(variable))


def _twin(variable: str) -> tuple[str, str]:
    table, _, key = variable.removeprefix(PREFIX).lower().partition("__")
    known = [twin_name(s, k) for s, model in TABLES.items() for k in model.model_fields]
    if table not in TABLES or key not in TABLES[table].model_fields:
        raise ConfigError(f"environment: {variable} is no setting{_near(variable, known)}")
    return table, key


def twin_name(table: str, key: str) -> str:
    """Return the environment variable of a key of config.toml that has no fixed name."""
    return f"{PREFIX}{table}__{key}".upper()


def _ignored(origin: str, name: str, successor: str) -> str:
    return f"{origin}: {name} is ignored, because {successor} took its place; take it away"


def _file_layer(path: Path | None, warn: Callable[[str], None]) -> Layer:
    if path is None:
        return Layer({}, {}, "the defaults")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        # Not only TOMLDecodeError: an integer may have too many digits for Python, and lists may lie too deep.
        raise ConfigError(f"{path}: not valid TOML ({error})") from error
    for table, keys in values.items():
        if table not in TABLES:
            raise ConfigError(f"{path}: [{table}] is no table of the configuration{_near(table, TABLES)}")
        if not isinstance(keys, dict):
            raise ConfigError(f"{path}: {table} must be a table, written [{table}]")
        for key in [key for key in keys if (table, key) in RETIRED]:
            del keys[key]
            successor_table, successor = RETIRED[table, key]
            warn(_ignored(str(path), f"[{table}] {key}", f"[{successor_table}] {successor}"))
    return Layer(values, {}, str(path))


def _near(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _explain(error: ErrorDetails, layers: tuple[Layer, ...]) -> str:
    table, key = str(error["loc"][0]), str(error["loc"][1]) if len(error["loc"]) > 1 else ""
    layer = next((layer for layer in layers if key in layer.values.get(table, {})), layers[-1])
    name = layer.names.get((table, key), f"[{table}] {key}")
    if error["type"] == "extra_forbidden":
        return f"{layer.origin}: {name} is no setting{_near(key, TABLES[table].model_fields)}"
    value = "" if _is_secret(table, key) else f" = {without_credentials(layer.values.get(table, {}).get(key))!r}"
    return f"{layer.origin}: {name}{value} is not allowed: {_allowed(error)}"


def without_credentials(value: Any) -> Any:
    """Return a setting as it may be shown: user and password are masked in every URL, also within lists."""
    if isinstance(value, str):
        # Up to the last @ of the authority: passwords may hold one.
        return re.sub(r"//[^/?#\s]*@", "//***@", value)
    if isinstance(value, dict):
        return {key: without_credentials(inner) for key, inner in value.items()}
    return [without_credentials(inner) for inner in value] if isinstance(value, list | tuple) else value


def _allowed(error: ErrorDetails) -> str:
    reason = error["msg"].removeprefix("Value error, ")
    return reason[0].lower() + reason[1:]


def _is_secret(table: str, key: str) -> bool:
    field = TABLES[table].model_fields.get(key)
    return field is not None and "SecretStr" in str(field.annotation)


def is_live(table: str, key: str) -> bool:
    """Return whether SIGHUP applies a change of this key."""
    extra = TABLES[table].model_fields[key].json_schema_extra
    return isinstance(extra, dict) and extra.get("live") is True


@dataclass(frozen=True, slots=True)
class Reload:
    """This compares a validated new configuration with the running one."""

    settings: Settings
    """These are the running settings with every live key taken from the new ones."""
    changed: Mapping[str, str]
    """Each key that is now in force (`table.key`) is mapped to `old -> new`; secrets are masked."""
    needs_restart: tuple[str, ...]
    """These keys differ and stay as they were until the daemon is started again."""


def merge_reload(running: Settings, new: Settings) -> Reload:
    """Return what a running daemon may take over of `new`."""
    changed: dict[str, str] = {}
    needs_restart: list[str] = []
    tables: dict[str, Any] = {}
    for table in TABLES:
        before, after = getattr(running, table), getattr(new, table)
        shown_before, shown_after = before.model_dump(mode="json"), after.model_dump(mode="json")
        update: dict[str, Any] = {}
        for key in TABLES[table].model_fields:
            old, fresh = getattr(before, key), getattr(after, key)
            if old == fresh:
                continue
            if is_live(table, key):
                update[key] = fresh
                changed[f"{table}.{key}"] = f"{shown_before[key]} -> {shown_after[key]}"
            else:
                needs_restart.append(f"{table}.{key}")
        tables[table] = before.model_copy(update=update)
    return Reload(running.model_copy(update=tables), changed, tuple(needs_restart))
