"""These are the types of settings' values: their ranges, and how they are read from text and shown."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    PlainSerializer,
    SecretStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

LIVE: dict[str, JsonValue] = {"live": True}

Seconds = Annotated[float, Field(gt=0, le=31_536_000)]
Bytes = Annotated[int, Field(ge=1024, le=17_179_869_184)]
AnyPort = Annotated[int, Field(ge=0, le=65_535)]
"""0 has a meaning of its own, which config.toml tells."""


def _base_url(url: str) -> str:
    """Return a URL below which others lie, without a slash at its end."""
    try:
        parts = urlsplit(url)
        well_formed = bool(parts.hostname) and parts.port != 0 and not parts.query and not parts.fragment
    except ValueError:
        well_formed = False
    if not well_formed:
        msg = "a URL with a host, and with neither a query nor a fragment, is wanted, such as https://mirror.example/x"
        raise ValueError(msg)
    return url.rstrip("/")


Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+[^\s]*$"), AfterValidator(_base_url)]


def _cron(expression: str) -> str:
    try:
        CronSim(expression, datetime.now(UTC))
    except CronSimError as error:
        msg = f"not a cron expression of five fields ({error})"
        raise ValueError(msg) from error
    return expression


def timezone_name(name: str) -> str:
    """Return the name of a time zone. It raises ValueError for one that this machine does not know."""
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        msg = "not a time zone of the IANA database, such as UTC or Europe/Madrid"
        raise ValueError(msg) from error
    return name


def words(value: object) -> object:
    """Split a text at its commas, because the environment writes a list so. Other values stay as they are."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def address(*schemes: str) -> AfterValidator:
    """Check an address that carries a password, since pydantic's pattern cannot look into a secret."""

    def check(value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(tuple(f"{scheme}://" for scheme in schemes)):
            msg = f"an address that starts with {' or '.join(f'{scheme}://' for scheme in schemes)} is wanted"
            raise ValueError(msg)
        return value

    return AfterValidator(check)


def _host_name(entry: str) -> str:
    try:
        parts = urlsplit(f"//{entry}")
        well_formed = parts.netloc == entry and parts.hostname and "@" not in entry and parts.port != 0
    except ValueError:
        well_formed = False
    if not well_formed:
        msg = f"{entry!r} is no host name such as files.example or files.example:8443"
        raise ValueError(msg)
    return entry


HostName = Annotated[str, AfterValidator(_host_name)]


def _no_boolean(value: object) -> object:
    """Refuse true and false, which pydantic takes for 1 and 0; other values stay as they are."""
    if isinstance(value, bool):
        msg = "a number is wanted, and no boolean"
        raise ValueError(msg)  # noqa: TRY004 - pydantic lets a TypeError through
    return value


Places = Annotated[int, Field(ge=1, le=1000, json_schema_extra=LIVE), BeforeValidator(_no_boolean)]
Cron = Annotated[str, AfterValidator(_cron), Field(json_schema_extra=LIVE)]
Period = Annotated[Seconds, Field(json_schema_extra=LIVE)]

UNLIMITED: Final = "unlimited"


def _limit(value: object, positive: ValidatorFunctionWrapHandler) -> object:
    """Return a positive number of the field's range, or infinity for the word."""
    if isinstance(value, str) and value.strip().lower() == UNLIMITED:
        return math.inf
    try:
        return positive(_no_boolean(value))
    except ValueError as error:
        reason = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else str(error)
        msg = (
            f'a positive number or "{UNLIMITED}" is wanted ({reason[0].lower()}{reason[1:]});'
            " `pause ECOSYSTEM` stops all requests for an ecosystem"
        )
        raise ValueError(msg) from None


def _shown_rate(rate: float) -> float | str:
    return UNLIMITED if rate == math.inf else rate


def _shown_connections(connections: float) -> int | str:
    return UNLIMITED if connections == math.inf else int(connections)


Rate = Annotated[
    float,
    Field(gt=0, le=100_000, json_schema_extra=LIVE),
    WrapValidator(_limit),
    PlainSerializer(_shown_rate, when_used="json"),
]
Connections = Annotated[
    float,
    Field(ge=1, le=1000, multiple_of=1, json_schema_extra=LIVE),
    WrapValidator(_limit),
    PlainSerializer(_shown_connections, when_used="json"),
]


OFF: Final = "off"


def _off(value: object, positive: ValidatorFunctionWrapHandler) -> object:
    """Return a positive number of seconds, or infinity for the word."""
    return math.inf if isinstance(value, str) and value.strip().lower() == OFF else positive(value)


def _shown_period(period_s: float) -> float | str:
    return OFF if period_s == math.inf else period_s


FollowPeriod = Annotated[
    Seconds,
    Field(json_schema_extra=LIVE),
    WrapValidator(_off),
    PlainSerializer(_shown_period, when_used="json"),
]
