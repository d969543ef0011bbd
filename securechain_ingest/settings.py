"""These are the tables of config.toml with the same keys whatever ecosystems there are: every key has its type, its
default and its range.

Each is explained in config.toml (unit, default, range, live or restart); a test holds the two together. A field marked
`LIVE` is applied by SIGHUP, any other takes a restart. The tables with a key for each ecosystem, endpoint or job are in
`ecosystem_settings`, so that the rooms on which ecosystems stand (`http/`, `archives/`) need not know of any. How the
values come together is in `configuration`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from securechain_ingest.setting_types import (
    LIVE,
    AnyPort,
    Bytes,
    HostName,
    Seconds,
    address,
    words,
)


class Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


T = TypeVar("T")


class DerivedTable(Table, Generic[T]):
    """In such a table some keys are derived from what ecosystems declare; their values have one type."""

    def __getitem__(self, key: str) -> T:
        """Return the value of a derived key."""
        value: T = getattr(self, key)
        return value


class GraphSettings(Table):
    uri: str | None = Field(default=None, pattern=r"^(bolt|neo4j)(\+s|\+ssc)?://\S+$")
    user: str = "neo4j"
    password: SecretStr | None = None
    database: str | None = None
    max_connections: int = Field(default=16, ge=1, le=1000)
    query_timeout_s: Seconds = 60.0
    batch_packages: int = Field(default=50, ge=1, le=1000)
    batch_rows: int = Field(default=5000, ge=100, le=100_000)
    portion_rows: int = Field(default=10_000, ge=1, le=1_000_000)
    linger_s: float = Field(default=0.1, ge=0, le=10)
    writers: int = Field(default=1, ge=1, le=16)
    parent_version_name: Literal["purl", "name"] = "purl"


class VulnerabilitySettings(Table):
    uri: Annotated[SecretStr, address("mongodb", "mongodb+srv")] | None = None
    database: str = "vulnerabilities"
    collection: str = "vulnerabilities"
    runs_collection: str = "ingest_runs"
    changes_collection: str = "ingest_release_changes"
    timeout_s: Seconds = 30.0
    first_sync_s: float = Field(default=60.0, ge=0, le=86_400)


class RedisSettings(Table):
    url: Annotated[SecretStr, address("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")] | None = None
    host: str | None = None
    port: int = Field(default=6379, ge=1, le=65_535)
    db: int = Field(default=0, ge=0, le=1_000_000)
    timeout_s: Seconds = 10.0


class QueueSettings(Table):
    stream: str = Field(default="package-extraction", min_length=1)
    group: str = Field(default="extractors", min_length=1)
    consumer: str | None = Field(default=None, min_length=1)
    concurrency: int = Field(default=320, ge=1, le=1000, json_schema_extra=LIVE)
    lease_s: Seconds = 60.0
    max_deliveries: int = Field(default=8, ge=1, le=1000, json_schema_extra=LIVE)
    retry_base_s: Seconds = Field(default=2.0, json_schema_extra=LIVE)
    retry_max_s: Seconds = Field(default=900.0, json_schema_extra=LIVE)
    lane_max_length: int = Field(default=100_000, ge=100, le=10_000_000, json_schema_extra=LIVE)
    dead_letters_max: int = Field(default=100_000, ge=100, le=10_000_000)


class HttpSettings(Table):
    contact: str = Field(default="https://github.com/securechaindev", min_length=3)
    timeout_s: Seconds = 30.0
    total_timeout_s: Seconds = 300.0
    retries: int = Field(default=3, ge=0, le=10)
    max_retry_after_s: Seconds = 30.0
    max_pause_s: Seconds = 3600.0
    max_connections: int = Field(default=32, ge=1, le=1000)
    max_document_bytes: Bytes = 256 * 1024 * 1024
    max_artifact_bytes: Bytes = 200 * 1024 * 1024
    max_in_flight_bytes: Bytes = 512 * 1024 * 1024
    not_found_ttl_s: Seconds = 300.0
    kept_documents_bytes: int = Field(default=1024**3, ge=16 * 1024**2, le=1024**4)
    allowed_hosts: Annotated[tuple[HostName, ...], BeforeValidator(words)] = ()


class ArchiveSettings(Table):
    processes: int = Field(default=2, ge=1, le=256)
    timeout_s: Seconds = 60.0
    cpu_s: int = Field(default=10, ge=1, le=86_400)
    max_answer_bytes: Bytes = 16 * 1024 * 1024
    memory_bytes: Bytes = 2 * 1024 * 1024 * 1024
    max_members: int = Field(default=200_000, ge=1, le=10_000_000)
    max_expanded_bytes: Bytes = 2 * 1024 * 1024 * 1024
    max_strikes: int = Field(default=2, ge=1, le=100)
    refused_ttl_s: Seconds = 2_592_000.0


class PackageSettings(Table):
    depth: int | None = Field(default=None, ge=0, le=1000, json_schema_extra=LIVE)
    absent_retry_s: Seconds = 604_800.0
    queued_retry_s: Seconds = 604_800.0
    import_names_ttl_s: Seconds = 604_800.0
    max_versions: int = Field(default=250_000, ge=1, le=10_000_000)


class FeedSettings(Table):
    listing_ttl_s: Seconds = Field(default=3600.0, json_schema_extra=LIVE)
    max_removed_share: float = Field(default=0.05, gt=0, le=1, json_schema_extra=LIVE)
    progress_every: int = Field(default=100_000, ge=1, le=100_000_000, json_schema_extra=LIVE)


class RefreshSettings(Table):
    max_age_s: Seconds = Field(default=604_800.0, json_schema_extra=LIVE)
    batch: int = Field(default=1000, ge=1, le=100_000, json_schema_extra=LIVE)


class WebSettings(Table):
    host: str = Field(default="127.0.0.1", min_length=1)
    port: AnyPort = 3000
    token: SecretStr | None = Field(default=None, min_length=16)
    names: Annotated[tuple[HostName, ...], BeforeValidator(words)] = ()


class EmbeddedSettings(Table):
    enabled: bool = True
    start_timeout_s: Seconds = 60.0
    graph_heap_mb: int = Field(default=1024, ge=128, le=65_536)
    redis_port: AnyPort = 0
    graph_port: AnyPort = 0
    graph_http_port: AnyPort = 0
    vulnerabilities_port: AnyPort = 0


class DaemonSettings(Table):
    state_dir: Path = Path(".state")
    grace_s: Seconds = Field(default=30.0, json_schema_extra=LIVE)
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", json_schema_extra=LIVE)
