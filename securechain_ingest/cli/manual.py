"""This module has an example or more of each command, and says what the command prints as JSON.

`--help` shows the examples, docs/commands.md has all of it, and a test tries each example.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import typer

PROGRAM: Final = "securechain-ingest"


@dataclass(frozen=True, slots=True)
class Usage:
    examples: tuple[str, ...]
    """Each is what stands behind the program's name."""
    answer: str | None = None
    """This is what `--json` prints. None means that the command has no such option."""
    only_json: bool = False
    """True means that the command prints JSON in any case, and has no option for it."""


MANUAL: Final[Mapping[str, Usage]] = {
    "run": Usage(("run", "run --config config.toml --log-format json")),
    "ingest": Usage(
        ("ingest pypi:requests", "ingest npm:express maven:org.antlr:ST4 --depth 0"),
        "an object: `stored` (reports as of `show`), `failed` (purl, kind and reason)",
    ),
    "submit": Usage(
        (
            "submit pypi:requests npm:@babel/core",
            "submit --file requirements.txt --wait",
            "submit --sbom bom.json --dry-run",
        ),
        "an object: `run`, `packages` (node_type and package), `queued_on`, `outcomes` (with `--wait`, else null)",
    ),
    "show": Usage(("show pypi:jinja2", "show npm:@babel/core@7.0.0 --json"), "an object: the report on the package"),
    "find import": Usage(("find import requests.api",), "a list of package URLs"),
    "find advisory": Usage(("find advisory CVE-2024-22195",), "a list of package URLs"),
    "status": Usage(("status", "status --json"), "an object: stores, daemons, queue, freshness, graph, advisories"),
    "health": Usage(("health", "health --timeout 2"), "an object: `ok` and `reason`"),
    "pause": Usage(("pause npm",), "an object: `ecosystem`, `paused` and `changed`"),
    "resume": Usage(
        ("resume npm",),
        "an object: `ecosystem`, `paused`, `changed` and `endpoints_away` (endpoint, until and reason)",
    ),
    "queue list": Usage(("queue list", "queue list --lane asked --ecosystem npm"), "a list of messages"),
    "queue cancel": Usage(("queue cancel npm:left-pad",), "an object: `cancelled` and `not_waiting`"),
    "queue purge": Usage(("queue purge --lane listed --ecosystem npm",), "an object: `purged`"),
    "backfill import-names": Usage(
        ("backfill import-names cargo", "backfill import-names pypi --older-than 1 --limit 100"),
        "an object: the counts and times",
    ),
    "dead-letters list": Usage(
        ("dead-letters list", "dead-letters list --kind not_found --limit 10"), "a list of dead letters"
    ),
    "dead-letters show": Usage(("dead-letters show 1767225600000-0",), "an object: the dead letter"),
    "dead-letters replay": Usage(
        ("dead-letters replay 1767225600000-0", "dead-letters replay --kind unavailable"), "an object: `replayed`"
    ),
    "dead-letters drop": Usage(
        ("dead-letters drop 1767225600000-0", "dead-letters drop --all"), "an object: `dropped`"
    ),
    "schedules list": Usage(("schedules list",), "a list of jobs"),
    "schedules enable": Usage(("schedules enable cargo_package_ingestion",), "an object: `job` and `enabled`"),
    "schedules disable": Usage(("schedules disable npm_packages_updates",), "an object: `job` and `enabled`"),
    "schedules run": Usage(
        ("schedules run npm_packages_updates", "schedules run advisory_sync --reconcile"), "an object: `job` and `run`"
    ),
    "runs list": Usage(("runs list", "runs list --job advisory_sync --limit 5"), "a list of runs"),
    "runs show": Usage(("runs show 20260101T000000-1a2b3c4d",), "an object: the run"),
    "snapshot export": Usage(("snapshot export /backup/monday",), "an object: what the snapshot has"),
    "snapshot import": Usage(
        ("snapshot import /backup/monday", "snapshot import /backup/monday --after-offline"),
        "an object: what the snapshot has",
    ),
    "snapshot verify": Usage(("snapshot verify /backup/monday",), "an object: what the snapshot has"),
    "snapshot offline": Usage(("snapshot offline /backup/monday | sh",)),
    "cursors show": Usage(("cursors show",), "an object: the cursor of each feed"),
    "cursors reset": Usage(("cursors reset npm", "cursors reset --all"), "an object: `forgotten` and `missing`"),
    "schema message": Usage(("schema message",), "an object: the JSON Schema of a message", only_json=True),
    "schema graph": Usage(("schema graph",), "an object: what the graph consists of", only_json=True),
    "check-config": Usage(("check-config", "check-config --defaults --json"), "an object: all settings"),
    "import-names": Usage(
        ("import-names pypi dist/made-1.0-py3-none-any.whl",), "a list: `file`, `names` and `error` of each archive"
    ),
    "completion": Usage(("completion bash", "completion zsh", "completion fish")),
}
"""The keys are the commands as they are typed."""

_FIRST: Final = ("run", "submit", "show", "status")
"""These commands are what somebody begins with."""


def with_examples(app: typer.Typer) -> None:
    """Let every help end with examples: those of a command, the first of each command of a group, and some of all."""
    for path, command in commands(app):
        command.epilog = _listed(MANUAL[path].examples) if path in MANUAL else None
    for group in app.registered_groups:
        own = [MANUAL[path].examples[0] for path in MANUAL if path.startswith(f"{group.name} ")]
        group.epilog = _listed(own)
    app.info.epilog = f"{_listed([MANUAL[path].examples[0] for path in _FIRST])}\n\n{app.info.epilog}"


def _listed(examples: Sequence[str]) -> str:
    shown = "\n\n".join(f"  {PROGRAM} {example}" for example in examples)
    return f"{'Examples' if len(examples) > 1 else 'Example'}:\n\n{shown}"


def commands(app: typer.Typer, before: str = "") -> Iterator[tuple[str, typer.models.CommandInfo]]:
    """Yield each command with its name as it is typed."""
    for command in app.registered_commands:
        yield f"{before}{command.name}", command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            yield from commands(group.typer_instance, f"{before}{group.name} ")
