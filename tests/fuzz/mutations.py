"""This spoils valid documents and archives: by bytes, by the values of a JSON document, by lines, inside what is
packed.

A mutation is a number; the same number makes the same of the same bytes. Most know the format and so get further into a
reader than random bytes do.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

_MAX_GROWTH_BYTES = 200_000

_RAW = "@@raw{}@@"
# As text of JSON, since Python's own writer refuses some of them.
_RAW_VALUES = [
    "9" * 4301,
    "-" + "9" * 400,
    "1e999",
    "-0",
    "1" + "0" * 25,
    "[" * 500 + "]" * 500,
    '{"a":' * 300 + "1" + "}" * 300,
]
_VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**63,
    1.5,
    "",
    " ",
    "\0",
    "\n",
    "x" * 70_000,
    "é\u202e\U0001f4a9",
    "9" * 4301,
    "1.0.0-" + "9" * 4301,
    "9999-12-31T23:59:59.9999999-14:00",
    "0000-00-00T00:00:00Z",
    "100000000000000000000-01-01T00:00:00Z",
    "http://[",
    "http://[::1",
    "https://a:99999999/b",
    "../../x",
    "@",
    "@/",
    ":",
    "<>=~!,",
    "[1,2),(",
    "^",
    "||",
    "%",
    "%zz",
    "\\",
    [],
    {},
    [None],
    [[]],
    {"": ""},
    {"url": []},
    ["a", 1, None, {}],
]
_TOKENS = [
    b"9" * 4301,
    b"-1",
    b"",
    b"\0",
    b"\xff\xfe",
    b"\r\n",
    b'"',
    b"'",
    b"<!DOCTYPE x>",
    b"&x;",
    b"${a.b}",
    b"${",
    b"---",
    b"|",
    b",",
    b";",
    b":",
    b"@",
    b"(" * 300,
    b"[" * 300,
    b"{" * 300,
    b"<a>" * 300,
    b"x" * 70_000,
    b"\xf0\x9f\x92\xa9",
    b"1e999",
    b"99999999999999999999-01-01T00:00:00Z",
    b"Fri, 99 Foo 99999999999999999999 25:61:61 +9999",
]
_NUMBERS = [b"9" * 4301, b"9" * 25, b"-1", b"0", b"00", b"1e9", b"", "٣²".encode(), b"*", b"1." * 2000 + b"1"]
_NUMBER = re.compile(rb"[0-9]+")
_WORD = re.compile(rb"[A-Za-z0-9_.+-]+|[^\sA-Za-z0-9_.+-]")
_ZIP = b"PK"


def mutated(body: bytes, seeds: Sequence[int]) -> bytes:
    """Return the body after one mutation for each number, but for those that would make much of little."""
    most_bytes = len(body) + _MAX_GROWTH_BYTES
    for seed in seeds:
        mutation = _mutated(body, random.Random(seed))
        if len(mutation) <= most_bytes:
            body = mutation
    return body


def strange_text(seed: int, like: str) -> str:
    """Return a text that resembles another one or nothing at all."""
    dice = random.Random(seed)
    if dice.random() < 0.3:
        value = dice.choice(_VALUES)
        return value if isinstance(value, str) else json.dumps(value)
    return _by_words(like.encode(), dice).decode(errors="replace")


def _mutated(body: bytes, dice: random.Random) -> bytes:
    if dice.random() < 0.15:
        return _by_bytes(body, dice)
    return _knowing(body)(body, dice)


def _knowing(body: bytes) -> Callable[[bytes, random.Random], bytes]:
    """Return the mutation that knows the format, by the first bytes."""
    if body.startswith(b"\x1f\x8b"):
        return _inside_gzip
    if body.startswith(_ZIP):
        return _by_zip_members
    if body[257:262] == b"ustar":
        return _by_tar_members
    if body.lstrip(b"\xef\xbb\xbf \n")[:1] in (b"{", b"["):
        return _by_values
    return _by_words


def _by_bytes(body: bytes, dice: random.Random) -> bytes:
    if not body:
        return dice.choice(_TOKENS)
    at = dice.randrange(len(body))
    end = min(len(body), at + dice.choice([1, 2, 4, 16, 512]))
    match dice.randrange(6):
        case 0:
            return body[:at]
        case 1:
            return body[at:]
        case 2:
            return body[:at] + body[end:]
        case 3:
            return body[:end] + body[at:]
        case 4:
            return body[:at] + dice.choice(_TOKENS) + body[end:]
        case _:
            return body[:at] + dice.randbytes(end - at) + body[end:]


def _by_words(body: bytes, dice: random.Random) -> bytes:
    """Change a text: take another word, a word more or less, a line more or less, or two lines the other way round."""
    if dice.random() < 0.3:
        lines = body.split(b"\n")
        at, other = dice.randrange(len(lines)), dice.randrange(len(lines))
        match dice.randrange(4):
            case 0:
                del lines[at]
            case 1:
                lines[at:at] = [lines[other]] * dice.choice([1, 2, 500])
            case 2:
                lines[at], lines[other] = lines[other], lines[at]
            case _:
                lines[at] = _knowing(lines[at])(lines[at], dice)
        return b"\n".join(lines)
    numbers = list(_NUMBER.finditer(body))
    if numbers and dice.random() < 0.3:
        number = dice.choice(numbers)
        return body[: number.start()] + dice.choice(_NUMBERS) + body[number.end() :]
    words = list(_WORD.finditer(body))
    if not words:
        return _by_bytes(body, dice)
    word, other_word = dice.choice(words), dice.choice(words)
    new = dice.choice([*_TOKENS, other_word[0], word[0] * 2, other_word[0] + word[0]])
    return body[: word.start()] + new + body[word.end() :]


def _by_values(body: bytes, dice: random.Random) -> bytes:
    """Change a value in a JSON document, or in one of many that stand in lines."""
    try:
        document = json.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return _by_words(body, dice)
    raws: list[str] = []
    document = _with_another_value(document, dice, raws)
    try:
        text = json.dumps(document)
    except (ValueError, RecursionError):
        return _by_bytes(body, dice)
    for number, raw in enumerate(raws):
        text = text.replace(json.dumps(_RAW.format(number)), raw)
    return text.encode()


def _with_another_value(document: Any, dice: random.Random, raws: list[str]) -> Any:
    """Walk to a random place, to deep ones as likely as to others, and return the document with another value there."""
    if isinstance(document, dict) and document and dice.random() < 0.85:
        key = dice.choice(list(document))
        match dice.randrange(12):
            case 0:
                return {name: value for name, value in document.items() if name != key}
            case 1:
                return {(dice.choice(["", " ", "x" * 9000, "\0", key * 2]) if name == key else name): value
                        for name, value in document.items()}  # fmt: skip
            case 2:
                return document | {f"{key}{number}": document[key] for number in range(200)}
            case _:
                return document | {key: _with_another_value(document[key], dice, raws)}
    if isinstance(document, list) and document and dice.random() < 0.85:
        at = dice.randrange(len(document))
        match dice.randrange(8):
            case 0:
                return document[:at] + document[at + 1 :]
            case 1:
                return document[:at] + [document[at]] * 50 + document[at:]
            case _:
                return [*document[:at], _with_another_value(document[at], dice, raws), *document[at + 1 :]]
    match dice.randrange(4):
        case 0:
            raws.append(dice.choice(_RAW_VALUES))
            return _RAW.format(len(raws) - 1)
        case 1 if isinstance(document, str) and document:
            return _by_words(document.encode(errors="replace"), dice).decode(errors="replace")
        case 2:
            return dice.choice([[document], {"a": document}, str(document)])
        case _:
            return dice.choice(_VALUES)


def _inside_gzip(body: bytes, dice: random.Random) -> bytes:
    try:
        inside = gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        return _by_bytes(body, dice)
    return gzip.compress(_mutated(inside, dice), 1)


def _by_zip_members(body: bytes, dice: random.Random) -> bytes:
    """Change one member's contents or name, or a field of the directory."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except Exception:  # noqa: BLE001  # an earlier mutation has spoiled it
        return _by_bytes(body, dice)
    at = dice.randrange(len(members)) if members else None
    if at is None or dice.random() < 0.25:
        start = max(body.rfind(b"PK\1\2"), 0)
        where = dice.randrange(start, len(body))
        return body[:where] + dice.choice([b"\0", b"\xff", b"\xff\xff", b"\xff\xff\xff\xff"]) + body[where + 1 :]
    name, contents = members[at]
    if dice.random() < 0.75:
        members[at] = (name, _mutated(contents, dice))
    else:
        # zipfile cuts a name at its first NUL, and stumbles if nothing is left.
        other = _by_words(name.encode(), dice).decode(errors="replace")[:60_000]
        members[at] = (other if other.strip("\0")[:1] == other[:1] != "" else f"x{other}", contents)
    packed = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        warnings.simplefilter("ignore")  # about names that are there twice
        for name, contents in members:
            archive.writestr(name, contents)
    return packed.getvalue()


def _by_tar_members(body: bytes, dice: random.Random) -> bytes:
    """Change one member's contents or name, or a field of a header whose checksum is made right again."""
    if dice.random() < 0.25:
        return _by_tar_header(body, dice)
    try:
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            members = [
                (info, file.read() if (file := archive.extractfile(info)) else b"")
                for info in archive
                if info.isfile() or info.isdir()
            ]
    except Exception:  # noqa: BLE001  # an earlier mutation has spoiled it
        return _by_bytes(body, dice)
    if not members:
        return _by_bytes(body, dice)
    at = dice.randrange(len(members))
    info, contents = members[at]
    if dice.random() < 0.75:
        contents = _mutated(contents, dice)
    else:
        info.name = _by_words(info.name.encode(errors="surrogateescape"), dice).decode(errors="replace") or "x"
    members[at] = (info, contents)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for info, contents in members:
            info.size = len(contents)
            archive.addfile(info, io.BytesIO(contents))
    return packed.getvalue()


def _by_tar_header(body: bytes, dice: random.Random) -> bytes:
    starts = [at for at in range(0, len(body) - 511, 512) if body[at + 257 : at + 262] == b"ustar"]
    if not starts:
        return _by_bytes(body, dice)
    start = dice.choice(starts)
    header = bytearray(body[start : start + 512])
    offset, size = dice.choice([(0, 100), (124, 12), (156, 1), (345, 155)])
    field = dice.choice(
        [b"\xff" * size, b"\x80" + b"\xff" * (size - 1), b"9" * size, b" " * size, dice.randbytes(size)]
    )
    header[offset : offset + size] = field[:size]
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return body[:start] + bytes(header) + body[start + 512 :]
