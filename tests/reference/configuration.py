"""This makes docs/configuration.md: types, ranges and defaults from the settings, the sentences from config.toml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from securechain_ingest.configuration import CONFIG_VARIABLE, FIXED_NAMES, TABLES, defaults, is_live, twin_name
from securechain_ingest.ecosystem_settings import ENDPOINTS, INGESTION_JOBS, RETIRED
from securechain_ingest.registries import DECLARATIONS
from tests.reference.markdown import table

ROOT: Final = Path(__file__).resolve().parents[2]

_UNITS_BY_TABLE: Final = {
    "workers": "packages at once",
    "rates": "requests per second",
    "connections": "requests at once",
    "endpoints": "URL",
}
_UNITS_BY_ENDING: Final = {"_s": "seconds", "_bytes": "bytes", "_mb": "MiB", "_days": "days", "_port": "port"}
_WORDS_BESIDE_NUMBERS: Final = {"rates": '`"unlimited"`', "connections": '`"unlimited"`', "follow": '`"off"`'}
_CRON: Final = "cron expression"

_HEAD: Final = f"""# Configuration

`make docs` writes this page from the settings and from the comments of `config.toml`; a test compares it with them.

A value comes from the first of these that has it: a flag of the command line, the environment, the file, the default.
The file is the one of `--config`, else of the variable `{CONFIG_VARIABLE}`, else `config.toml` in the working
directory, if there is one. An empty variable counts as not set. In a variable the entries of a list are separated by
commas. "live" means that SIGHUP applies a change to a running daemon; "restart" means that it takes effect at the
next start. `check-config` prints what is in force, and says in one line what is wrong. The key of an earlier release
is ignored with a warning.
"""


@dataclass(frozen=True, slots=True)
class Explained:
    """This is what config.toml says of a table and of each of its keys."""

    about: str
    keys: Mapping[str, str]


def page() -> str:
    """Return the whole page."""
    explained = explanations((ROOT / "config.toml").read_text(encoding="utf-8"))
    return "\n".join([_HEAD, *(_table(name, explained[name]) for name in TABLES), _endpoints(), _retired()])


def explanations(text: str) -> dict[str, Explained]:
    """Return what the comments of config.toml say, by table.

    A comment is about the table whose line follows, or about the keys that follow up to the next comment; about a key
    that is commented out it is about that key alone.
    """
    found: dict[str, Explained] = {}
    comment: list[str] = []
    keys: dict[str, str] = {}
    is_fresh = True
    for line in text.splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            keys = {}
            found[header[1]] = Explained(_sentence(comment), keys)
            comment = []
        elif key := re.match(r"(# )?([a-z_]+) = ", line):
            keys[key[2]] = _sentence(comment)
            comment, is_fresh = [] if key[1] else comment, True
        elif line.startswith("# "):
            comment = [*([] if is_fresh else comment), line[2:]]
            is_fresh = False
        elif not line:
            comment, is_fresh = [], True
    return found


def _sentence(comment: list[str]) -> str:
    """Return a comment without what other columns say."""
    text = re.sub(r"\s+(?:live|restart)$", "", " ".join(comment).strip())
    for variable in FIXED_NAMES:
        text = re.sub(rf"(^|\s){variable}[.,;]\s*", r"\1", f"{text} ").strip()
    return text[:1].upper() + text[1:]


def _table(name: str, explained: Explained) -> str:
    rows = [_row(name, key, schema, explained.keys[key]) for key, schema in _schemas(name)]
    heads = ("key", "type", "unit", "default", "range", "applied", "environment", "what it is")
    parts = [f"## [{name}]\n"]
    if explained.about:
        parts.append(f"{explained.about}\n")
    return "\n".join([*parts, table(heads, rows), ""])


def _schemas(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, schema in TABLES[name].model_json_schema()["properties"].items():
        kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
        yield key, {**schema, **(kinds[0] if kinds else {})}


def _row(name: str, key: str, schema: dict[str, Any], text: str) -> tuple[str, ...]:
    fixed = [variable for variable, path in FIXED_NAMES.items() if path == (name, key)]
    variable = (fixed or [twin_name(name, key)])[0]
    return (
        f"`{key}`",
        _type(schema),
        _unit(name, key),
        _default(name, key),
        _range(name, key, schema),
        "live" if is_live(name, key) else "restart",
        f"`{variable}`",
        text,
    )


def _type(schema: dict[str, Any]) -> str:
    if schema.get("format") == "password":
        return "secret text"
    if schema.get("format") == "path":
        return "path"
    if schema["type"] == "number" and schema.get("multipleOf") == 1:
        return "whole number"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    return {**words, "array": "list of texts"}[schema["type"]]


def _unit(name: str, key: str) -> str:
    if name == "schedules" and key in _jobs():
        return _CRON
    if name in {"reconcile", "follow"}:
        return "seconds"
    if name in _UNITS_BY_TABLE:
        return _UNITS_BY_TABLE[name]
    return next((unit for ending, unit in _UNITS_BY_ENDING.items() if f"_{key}".endswith(ending)), "")


def _jobs() -> set[str]:
    return set(TABLES["schedules"].model_fields) - {"timezone", "disabled", "grace_s", "keep_runs_days"}


def _default(name: str, key: str) -> str:
    value = defaults().model_dump(mode="json")[name][key]
    if name == "endpoints":
        # Public addresses stand in config.toml alone.
        return "the registry's own" if value else _below(key)
    if (name, key) == ("schedules", "disabled") and value == list(INGESTION_JOBS):
        return "every `…_package_ingestion`"
    return "not set" if value is None else f"`{json.dumps(value)}`"


def _below(key: str) -> str:
    parent, folder = next(endpoint.below for endpoint in ENDPOINTS if endpoint.key == key and endpoint.below)
    return f"the folder `{folder}` of `{parent}`"


def _range(name: str, key: str, schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f'`"{word}"`' for word in schema["enum"])
    words = []
    if "exclusiveMinimum" in schema:
        words.append(f"above {schema['exclusiveMinimum']}")
    if "minimum" in schema:
        words.append(f"from {schema['minimum']}")
    if "maximum" in schema:
        words.append(f"to {schema['maximum']}")
    if "minLength" in schema:
        words.append(f"at least {schema['minLength']} characters" if schema["minLength"] > 1 else "not empty")
    text = " ".join(words)
    if name in _WORDS_BESIDE_NUMBERS:
        return f"{text}, or {_WORDS_BESIDE_NUMBERS[name]}"
    return text or _wanted(name, key)


def _wanted(name: str, key: str) -> str:
    """Return what the settings themselves say when they refuse a text that cannot be right."""
    if name == "endpoints":
        return "starts with `http://` or `https://`"
    if (name, key) == ("graph", "uri"):
        return "starts with `bolt` or `neo4j`, then `://`, `+s://` or `+ssc://`"
    try:
        TABLES[name].model_validate({key: "?"})
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ").removesuffix(" is wanted")
        if "://" in reason:
            return re.sub(r"(\S+://)", r"`\1`", reason.removeprefix("an address that "))
        shown = {_CRON: "five fields", "time zone": "a name of the IANA database", "is no schedule": "names of jobs"}
        return next((words for part, words in shown.items() if part in reason), "")
    return ""


def _endpoints() -> str:
    titles = {endpoint.key: each.title for each in DECLARATIONS for endpoint in each.endpoints}
    ecosystems = {endpoint.key: each.name for each in DECLARATIONS for endpoint in each.endpoints}
    rows = []
    for endpoint in ENDPOINTS:
        slow_down = ", ".join(map(str, sorted(endpoint.slow_down)))
        limits = (f"{endpoint.rate:g}", str(endpoint.connections), slow_down)
        of = ecosystems.get(endpoint.key, "all"), titles.get(endpoint.key, "OSV")
        rows.append((f"`{endpoint.key}`", *of, *limits, f"`{twin_name('endpoints', endpoint.key)}`"))
    heads = ("endpoint", "ecosystem", "of", "requests per second", "at once", "asks for fewer by", "its URL's variable")
    about = (
        "Each is a key of `[endpoints]`, `[rates]` and `[connections]`, and a label of the metrics"
        " ([metrics.md](metrics.md))."
        " The figures are the defaults."
    )
    return "\n".join(["## The endpoints\n", f"{about}\n", table(heads, rows), ""])


def _retired() -> str:
    rows = [(f"`[{old[0]}] {old[1]}`", f"`[{new[0]}] {new[1]}`") for old, new in sorted(RETIRED.items())]
    return "\n".join(["## Keys of earlier releases\n", table(("ignored", "in its place"), rows), ""])
