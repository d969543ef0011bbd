"""An `include!` names a file by a literal, or by what `concat!`, `env!` and the crate's own macros make of some; this
module finds its path.

The rules are in the standard library's documentation of `include!`, `concat!` and `env!`. A path is relative to the
file that includes; what the build writes to `OUT_DIR` is in no archive.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import Final

from securechain_ingest.registries.cargo.rust_tokens import Token, between_commas, is_word, string_value, tokens

Expand = Callable[[str, str], str | None]
"""A call of a macro, given by its name and arguments, stands for this text; it is None if nobody knows."""

MANIFEST_FOLDER: Final = "\0"
"""In a path this stands for the folder of the manifest, which is the archive's root."""

_MAX_DEPTH: Final = 16
_MAX_PATH: Final = 4096


def included_path(arguments: str, folder: str, environment: Mapping[str, str], expand: Expand) -> str | None:
    """Return the file's path in the crate, which is named in a file that lies in `folder`. The result is None if it is
    unknown."""
    text = _value(arguments, {**environment, "CARGO_MANIFEST_DIR": MANIFEST_FOLDER}, expand, 0)
    if not text:
        return None
    path = text.replace("\\", "/")
    below_root = path.removeprefix(f"{MANIFEST_FOLDER}/")
    return posixpath.normpath(below_root if below_root != path else posixpath.join(folder, path))


def _value(source: str, environment: Mapping[str, str], expand: Expand, depth: int) -> str | None:
    """Return the text of the one expression in a macro's arguments. A comma may follow it."""
    parts = list(between_commas(tokens(source, 0, len(source))))
    if len(parts) != 1 or depth > _MAX_DEPTH:
        return None
    return _text(source, parts[0], environment, expand, depth)


def _text(source: str, part: list[Token], environment: Mapping[str, str], expand: Expand, depth: int) -> str | None:
    if len(part) == 1 and part[0].text in "({":
        return _value(source[part[0].start + 1 : part[0].end - 1], environment, expand, depth + 1)
    if len(part) == 1:
        return string_value(part[0].text) if '"' in part[0].text else _plain_literal(part[0])
    if len(part) < 3 or part[-2].text != "!" or not is_word(part[-3].text) or depth > _MAX_DEPTH:
        return None
    name, inside = part[-3].text, source[part[-1].start + 1 : part[-1].end - 1]
    match name:
        case "concat":
            pieces = between_commas(tokens(inside, 0, len(inside)))
            texts = [_text(inside, piece, environment, expand, depth + 1) for piece in pieces]
            joined = None if None in texts else "".join(text for text in texts if text)
            return joined if joined is not None and len(joined) <= _MAX_PATH else None
        case "env":
            variable = next(between_commas(tokens(inside, 0, len(inside))), [])
            return environment.get(string_value(variable[0].text) or "") if variable else None
        case _:
            expanded = expand(name, inside)
            return None if expanded is None else _value(expanded, environment, expand, depth + 1)


def _plain_literal(token: Token) -> str | None:
    """Numbers, characters and truth values are joined as they are written."""
    text = token.text
    if len(text) == 3 and text[0] == text[-1] == "'":
        return text[1]
    return text if text.isalnum() and (token.is_literal or text in ("true", "false")) else None
