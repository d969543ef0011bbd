"""This module says which columns each table has from the start. Columns for other programs' properties are added where
a row needs them (`tables.type_of`)."""

from __future__ import annotations

from typing import Final

from securechain_ingest.snapshot.tables import Column, Columns

NOT_COPIED: Final = frozenset({"queued_at", "writing", "settled"})
"""These properties belong to the queue of one installation, or to a transaction in it."""

PACKAGES: Final[Columns] = (
    Column("purl", "ID", "package"),
    Column("name", "string"),
    Column("vendor", "string"),
    Column("repository_url", "string"),
    Column("moment", "datetime"),
    Column("import_names", "string[]"),
    Column("group_id", "string"),
    Column("artifact_id", "string"),
    Column("license", "string"),
    Column("registry_name", "string"),
    Column("format", "long"),
    Column("validator", "string"),
    Column("revision", "string"),
    Column("listed", "string"),
    Column("tried_at", "datetime"),
    Column("removed_at", "datetime"),
    Column("import_names_parser", "long"),
    Column("import_names_error", "string"),
    Column("import_names_failed_version", "string"),
    Column("import_names_tries", "long"),
    Column("import_names_tried_at", "datetime"),
    Column("import_names_retry_at", "datetime"),
    Column("archive_pending", "boolean"),
    Column("complete_at", "datetime"),
    Column("complete_depth", "long"),
)

VERSIONS: Final[Columns] = (
    Column("purl", "ID", "version"),
    Column("name", "string"),
    Column("serial_number", "long"),
    Column("mean", "double"),
    Column("weighted_mean", "double"),
    Column("vulnerabilities", "string[]"),
    Column("release_date", "string"),
    Column("yanked", "boolean"),
    Column("deprecated", "boolean"),
    Column("removed", "boolean"),
    Column("requirements_pending", "boolean"),
)

ABSENT: Final[Columns] = (
    Column("purl", "ID", "absent"),
    Column("name", "string"),
    Column("ecosystem", "string"),
    Column("tried_at", "datetime"),
    Column("reason", "string"),
    Column("listed", "string"),
    Column("left_out", "string"),
    Column("left_out_depth", "long"),
    Column("left_out_first", "boolean"),
)

HAVE: Final[Columns] = (Column("", "START_ID", "package"), Column("", "END_ID", "version"))

REQUIRE: Final[Columns] = (
    Column("", "START_ID", "version"),
    Column("", "END_ID", "package"),
    Column("constraints", "string"),
    Column("parent_version_name", "string"),
)

AWAITED_BY: Final[Columns] = (
    Column("", "START_ID", "absent"),
    Column("", "END_ID", "version"),
    Column("constraints", "string"),
)
