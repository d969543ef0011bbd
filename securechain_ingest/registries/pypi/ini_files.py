"""Files like setup.cfg have sections of keys, whose values may go on in indented lines."""

from __future__ import annotations

from typing import Final

MAX_BYTES: Final = 256 * 1024
"""This is in bytes; a larger file is read as an empty one."""


def read_ini(body: bytes) -> dict[str, dict[str, str]]:
    """Return the values by section and key, in lower case with underscores, as setuptools compares them. The lines of a
    value stay apart."""
    sections: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    value: list[str] = []
    text = body.decode("utf-8-sig", "replace") if len(body) <= MAX_BYTES else ""
    for line in text.splitlines():
        content = line.strip()
        if not content or content[0] in "#;":
            continue
        if line[0] in " \t":
            value.append(content)
        elif content[0] == "[":
            section = sections.setdefault(content.strip("[]").strip(), {})
            value = []
        else:
            separators = [position for position in (content.find("="), content.find(":")) if position >= 0]
            end = min(separators, default=len(content))
            value = section[content[:end].strip().lower().replace("-", "_")] = [content[end + 1 :].strip()]
    return {name: {key: "\n".join(lines) for key, lines in keys.items()} for name, keys in sections.items()}


def listed(value: str) -> list[str]:
    """Return the items of a list in setup.cfg, which has one on each line, or else between commas."""
    parts = value.splitlines() if "\n" in value else value.split(",")
    return [part.strip() for part in parts if part.strip()]


def mapped(value: str) -> dict[str, str]:
    """Return a dictionary of setup.cfg, which has `key = value` on each line or between commas."""
    pairs = (part.partition("=") for part in listed(value))
    return {key.strip(): item.strip() for key, equals, item in pairs if equals}
