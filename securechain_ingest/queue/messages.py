"""This module reads and writes the JSON of one queue message (contract, section 4). It is synchronous."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
import structlog

from securechain_ingest.errors import InvalidName, PoisonMessage
from securechain_ingest.model import ANY, NOT_AVAILABLE, newest_announcement
from securechain_ingest.queue.message_keys import KEYS, MAX_DEPTH
from securechain_ingest.registries import DECLARATIONS, ECOSYSTEMS

_ECOSYSTEMS = {ecosystem.label: ecosystem for ecosystem in ECOSYSTEMS}
NODE_TYPES = frozenset(_ECOSYSTEMS)
_IDENTIFY = {declaration.ecosystem.label: declaration.identify for declaration in DECLARATIONS}

MAX_DATA_BYTES = 1024 * 1024
"""Every real message is far smaller. Larger data is not even parsed, because that would block the event loop."""

_SHOWN_CHARACTERS = 60

_KNOWN_KEYS = frozenset(key.name for key in KEYS)

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """A message is a request for one package.

    Its fields are the keys of contract section 4; those from `depth` on are the daemon's own.
    """

    node_type: str
    package: str
    vendor: str = NOT_AVAILABLE
    repository_url: str = NOT_AVAILABLE
    moment: datetime | None = None
    constraints: str = ANY
    """The edge from the parent gets this: the producer's string, byte for byte, or `any` if there is none."""
    parent_id: str | None = None
    parent_version: str | None = None
    refresh: bool = False
    depth: int | None = None
    """This many levels of requirements are still followed. If it is None, the setting decides."""
    internal: bool = False
    """The daemon itself asks, for a requirement or a refresh. It is no failure if the registry lacks the package."""
    at_least: str | None = None
    """The registry's feed has announced this about the package (`Change.at_least`)."""
    removed: bool = False
    """The package is said to be gone. If the registry confirms this, the package is marked as removed."""
    run: str | None = None
    """This run of a job asks for the package. The result of the message is counted for the run."""
    listed: str | None = None
    """The registry's list gives the package this state, and it differs from the state in the graph (`Listed.revision`).
    Once the registry has been asked about the package, whatever the answer, the same state in a list is no reason to
    ask again."""
    first: bool = False
    """The package is read with the fewest requests, unless somebody has asked for all of it. The rest is read later."""


def package_of(asks: Message | PoisonMessage) -> str | None:
    """Return the purl of the package that a message asks for, as the log names it: the name as it was sent if the
    ecosystem does not allow it, and None for a message that cannot be read."""
    if isinstance(asks, PoisonMessage):
        return None
    try:
        return _IDENTIFY[asks.node_type](asks.package).purl
    except (InvalidName, KeyError):
        return asks.package


def package_key(message: Message) -> str:
    """Return what all spellings of the package's name share within its ecosystem: the purl without its type.

    It is empty for a name that the ecosystem does not allow, which is no package.
    """
    try:
        return _IDENTIFY[message.node_type](message.package).purl.partition("/")[2]
    except InvalidName:
        return ""


def _ignore(_: Iterable[str]) -> None:
    pass


def parse(fields: Mapping[Any, bytes | str], *, unknown: Callable[[Iterable[str]], None] = _ignore) -> Message:
    """Return the message in the fields of a stream entry. The names of the fields are bytes or strings.

    `unknown` is called with the unknown keys of the message, if there are any. This raises PoisonMessage.
    """
    data = fields.get(b"data", fields.get("data"))
    if data is None:
        named = ", ".join(_shown(_text(key)) for key in list(fields)[:5])
        raise PoisonMessage(f"the entry has no field data (its fields: {named or 'none'})", kind="missing_data")
    return parse_data(data, unknown=unknown)


def parse_data(data: bytes | str, *, unknown: Callable[[Iterable[str]], None] = _ignore) -> Message:
    """Return the message in the raw text of the field `data`; see `parse`.

    Whatever the text is, this raises nothing but PoisonMessage.
    """
    try:
        return _parse(data, unknown)
    except PoisonMessage:
        raise
    except Exception as error:
        logger.exception("message_parser_failed", data=_text(data[:_SHOWN_CHARACTERS]))
        raise PoisonMessage(f"data cannot be read ({type(error).__name__})", kind="bad_schema") from error


def _parse(data: bytes | str, unknown: Callable[[Iterable[str]], None]) -> Message:
    if len(data) > MAX_DATA_BYTES:
        raise PoisonMessage(f"data has {len(data)} bytes; at most {MAX_DATA_BYTES} are allowed", kind="bad_schema")
    if not data.strip():
        raise PoisonMessage("the field data is empty; a JSON object is wanted", kind="missing_data")
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise PoisonMessage(f"data is not JSON ({error}): {_shown(_text(data))}", kind="bad_json") from error
    if not isinstance(document, dict):
        raise PoisonMessage(f"data is {_shown(document)}; a JSON object is wanted", kind="bad_schema")
    if strange := document.keys() - _KNOWN_KEYS:
        unknown(sorted(strange))
    node_type = _node_type(document)
    return Message(
        node_type=node_type,
        package=_package(document, node_type),
        vendor=_unread(document, "vendor") or NOT_AVAILABLE,
        repository_url=_unread(document, "repository_url") or NOT_AVAILABLE,
        moment=_moment(document),
        constraints=_constraints(document),
        parent_id=_string(document, "parent_id"),
        parent_version=_unread(document, "parent_version") or _unread(document, "parent_version_name"),
        refresh=_boolean(document, "refresh"),
        depth=_depth(document),
        internal=_boolean(document, "internal"),
        at_least=_string(document, "at_least"),
        removed=_boolean(document, "removed"),
        run=_string(document, "run"),
        listed=_string(document, "listed"),
        first=_boolean(document, "first"),
    )


def encode(message: Message) -> str:
    """Return the raw text of `data`, which `parse_data` reads back as the same message."""
    document: dict[str, Any] = {
        "node_type": message.node_type,
        "package": message.package,
        "vendor": message.vendor,
        "repository_url": message.repository_url,
        "moment": message.moment and message.moment.isoformat(),
        "constraints": message.constraints,
        "parent_id": message.parent_id,
        "parent_version": message.parent_version,
        "refresh": message.refresh,
    }
    if message.depth is not None:
        document["depth"] = message.depth
    if message.internal:
        document["internal"] = True
    if message.at_least is not None:
        document["at_least"] = message.at_least
    if message.removed:
        document["removed"] = True
    if message.run is not None:
        document["run"] = message.run
    if message.listed is not None:
        document["listed"] = message.listed
    if message.first:
        document["first"] = True
    return orjson.dumps(document).decode()


def merged(earlier: Message, later: Message, announcements: Callable[[str, str], str] = newest_announcement) -> Message:
    """Return one message that says what both messages say.

    `announcements` joins two different announcements of a feed about the package (`Message.at_least`).
    """
    if earlier.at_least and later.at_least and earlier.at_least != later.at_least:
        at_least: str | None = announcements(earlier.at_least, later.at_least)
    else:
        at_least = later.at_least or earlier.at_least
    depths = (earlier.depth, later.depth)
    return replace(
        later,
        refresh=earlier.refresh or later.refresh,
        removed=earlier.removed or later.removed,
        at_least=at_least,
        listed=later.listed or earlier.listed,
        depth=None if None in depths else max(depth for depth in depths if depth is not None),
        run=earlier.run or later.run,
        first=earlier.first and later.first,
    )


def _node_type(document: dict[str, Any]) -> str:
    node_type = _required(document, "node_type")
    if node_type not in NODE_TYPES:
        allowed = ", ".join(sorted(NODE_TYPES))
        raise PoisonMessage(f"node_type is {_shown(node_type)}; allowed are {allowed}", kind="unknown_node_type")
    return node_type


def _package(document: dict[str, Any], node_type: str) -> str:
    package = _required(document, "package")
    ecosystem = _ECOSYSTEMS[node_type]
    if not ecosystem.has_form_of_name(package):
        separator = ecosystem.namespace_separator
        raise PoisonMessage(
            f"package is {_shown(package)}; a {node_type} has two parts with exactly one {separator} between",
            kind="invalid_name",
        )
    if not ecosystem.needs_namespace:
        return package
    # What joins the texts of two elements of a POM may bring their white space along, which Maven trims.
    return ecosystem.namespace_separator.join(part.strip() for part in package.split(ecosystem.namespace_separator))


def _required(document: dict[str, Any], key: str) -> str:
    if key not in document:
        raise PoisonMessage(f"the key {key} is missing; a string that is not empty is wanted", kind="bad_schema")
    value = document[key]
    if not isinstance(value, str) or not value.strip():
        raise PoisonMessage(f"{key} is {_shown(value)}; a string that is not empty is wanted", kind="bad_schema")
    return value.strip()


def _string(document: dict[str, Any], key: str) -> str | None:
    value = document.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise PoisonMessage(f"{key} is {_shown(value)}; a string or null is wanted", kind="bad_schema")
    return value.strip() or None


def _unread(document: dict[str, Any], key: str) -> str | None:
    value = document.get(key)
    return value.strip() or None if isinstance(value, str) else None


def _constraints(document: dict[str, Any]) -> str:
    # This is not trimmed: depex compares the edge's string with the file's on every update (contract, section 2).
    return document["constraints"] if _string(document, "constraints") else ANY


def _boolean(document: dict[str, Any], key: str) -> bool:
    value = document.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise PoisonMessage(f"{key} is {_shown(value)}; true or false is wanted", kind="bad_schema")
    return value


def _depth(document: dict[str, Any]) -> int | None:
    value = document.get("depth")
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # JSON has one kind of number: 1.0 is an integer, as JSON Schema says, too.
    if not is_number or not 0 <= value <= MAX_DEPTH or value != int(value):
        raise PoisonMessage(f"depth is {_shown(value)}; an integer from 0 to {MAX_DEPTH} is wanted", kind="bad_schema")
    return int(value)


def _moment(document: dict[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(_unread(document, "moment") or "")
    except ValueError:
        return None


def _text(raw: bytes | str) -> str:
    return raw if isinstance(raw, str) else raw.decode(errors="replace")


def _shown(value: object) -> str:
    """Return a value for use in a sentence. It is written as JSON with escaped control characters, and shortened."""
    try:
        text = orjson.dumps(value, default=str).decode()
    except orjson.JSONEncodeError:
        return f"a {type(value).__name__} that cannot be shown"  # It is so deep that it can be read, but not written.
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
