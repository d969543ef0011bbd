"""What becomes of an exception that a parser did not mean to raise: in one place, wherever the parser runs.

Foreign bytes can provoke anything (a number of 4,301 digits, a date of the year 10^20, brackets without end). To
whoever waits that is a document or an archive that cannot be read, told in a sentence; the traceback goes along for the
log, so that a fault of ours stays visible behind the sentence.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from securechain_ingest.archives.sparse import MissingBytes
from securechain_ingest.errors import ArchiveRefused, IngestError, Malformed, TooLarge

CPU_TIME: Final = "cpu_time"
TIME: Final = "time"
MEMORY: Final = "memory"
LIMIT_REASONS: Final = frozenset({CPU_TIME, TIME, MEMORY})
"""The reasons of an ArchiveRefused that a parse gets which runs into a limit of ours, whenever it is tried."""

_MESSAGE_CHARACTERS: Final = 200
_MAX_NOTES: Final = 20
_TRACEBACK_CHARACTERS: Final = 20_000


logger = structlog.get_logger(__name__)

_notes: ContextVar[list[tuple[str, dict[str, object]]] | None] = ContextVar("notes", default=None)


@dataclass(frozen=True, slots=True)
class ParserCall:
    """A parse that is to be done: `parse(*args)`.

    What has a parameter `url`, or is told to be so, reads a document of a registry; anything else reads an archive.
    """

    parse: Callable[..., object]
    args: tuple[object, ...]
    is_document: bool = False

    def refusal(self, sentence: str, *, reason: str, kind: type[Malformed | TooLarge] = TooLarge) -> IngestError:
        """The error that says of what is read that it cannot be: an ArchiveRefused, or of a document's `kind`."""
        url = self._url()
        if url is None and not self.is_document:
            return ArchiveRefused(sentence, reason=reason)
        return kind(f"{url or 'a document'} cannot be read: {sentence}", url=url or "")

    def _url(self) -> str | None:
        try:
            bound = inspect.signature(self.parse).bind(*self.args)
        except (TypeError, ValueError):
            return None  # What is not written in Python may have no signature.
        bound.apply_defaults()  # Among them what a partial adds.
        url = bound.arguments.get("url")
        return url if isinstance(url, str) else None

    @property
    def name(self) -> str:
        """The parser's, for the log: that of the function which a partial, or a reader of files, wraps."""
        parse: Any = self.parse
        while hasattr(parse, "func"):
            parse = parse.func
        if self.args and callable(self.args[0]):
            return ParserCall(self.args[0], ()).name
        return str(getattr(parse, "__qualname__", type(parse).__name__))


@dataclass(frozen=True, slots=True)
class ParserOutcome:
    """How a parse ended: with a value, or with an error and, if nobody meant that, the traceback behind it."""

    value: Any = None
    error: IngestError | MissingBytes | None = None
    traceback: str | None = None
    notes: tuple[tuple[str, dict[str, object]], ...] = ()
    """Lines for the log: event and fields."""


def attempt(call: ParserCall) -> ParserOutcome:
    """Do it. Raises nothing but what ends a process."""
    notes: list[tuple[str, dict[str, object]]] = []
    token = _notes.set(notes)
    try:
        outcome = ParserOutcome(call.parse(*call.args))
    except (IngestError, MissingBytes) as error:
        outcome = ParserOutcome(error=error)
    except Exception as error:  # noqa: BLE001  # whatever hostile input provokes is that input's result
        outcome = unmeant(call, error)
    finally:
        _notes.reset(token)
    return replace(outcome, notes=tuple(notes))


def tell(event: str, **fields: object) -> None:
    """A warning in the daemon's log, from a parser wherever it runs: plain values, few of them."""
    notes = _notes.get()
    if notes is None:
        logger.warning(event, **fields)
    elif len(notes) < _MAX_NOTES:
        notes.append((event, fields))


def unmeant(call: ParserCall, error: Exception) -> ParserOutcome:
    """The outcome of a parse that ended in an exception of another kind than ours."""
    trace = _traceback_of(error)
    if isinstance(error, MemoryError):
        return ParserOutcome(error=call.refusal("that takes more memory than allowed", reason=MEMORY), traceback=trace)
    told = " ".join(f"{type(error).__name__}: {error}".split())[:_MESSAGE_CHARACTERS]
    refusal = call.refusal(f"the parser failed ({told})", reason="parser_error", kind=Malformed)
    return ParserOutcome(error=refusal, traceback=trace)


def _traceback_of(error: Exception) -> str:
    try:
        return "".join(traceback.format_exception(error))[-_TRACEBACK_CHARACTERS:]
    except Exception as second:  # noqa: BLE001  # out of memory still, or an exception of foreign make
        return f"{type(error).__name__}, of which no traceback can be made ({type(second).__name__})"
