"""This module turns an exception that a parser did not mean to raise into an error of ours, in one place, whether the
parser runs in the daemon or in a process of its own.

Foreign bytes can provoke any exception (by a number of 4,301 digits, a date of the year 10^20, or brackets that never
end). The caller gets an error that says in one sentence that the document or the archive cannot be read. The traceback
goes with it to the log, so that a bug in a parser stays visible.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Final

from securechain_ingest.archives.sparse import MissingBytes
from securechain_ingest.errors import ArchiveRefused, IngestError, Malformed, TooLarge

CPU_TIME: Final = "cpu_time"
TIME: Final = "time"
MEMORY: Final = "memory"
LIMIT_REASONS: Final = frozenset({CPU_TIME, TIME, MEMORY})
"""A parse that exceeds one of these limits does so at every attempt. Its ArchiveRefused has one of these reasons."""

_MESSAGE_CHARACTERS: Final = 200
_MAX_NOTES: Final = 20
_TRACEBACK_CHARACTERS: Final = 20_000

_notes: ContextVar[list[tuple[str, dict[str, object]]] | None] = ContextVar("notes", default=None)


@dataclass(frozen=True, slots=True)
class ParserCall:
    """This describes a parse that is to be done: `parse(*args)`.

    It reads a registry's document if `parse` has a parameter `url`, or if `is_document` is true. Otherwise it reads an
    archive.
    """

    parse: Callable[..., object]
    args: tuple[object, ...]
    is_document: bool = False

    def refusal(self, sentence: str, *, reason: str, kind: type[Malformed | TooLarge] = TooLarge) -> IngestError:
        """Return the error that says that the archive or document cannot be read: an ArchiveRefused for an archive, and
        an error of the class `kind` for a document."""
        if not self.reads_document:
            return ArchiveRefused(sentence, reason=reason)
        url = self._url()
        return kind(f"{url or 'a document'} cannot be read: {sentence}", url=url or "")

    @property
    def reads_document(self) -> bool:
        """Return whether it is a document, and not an archive, that the parse reads."""
        return self.is_document or self._url() is not None

    def _url(self) -> str | None:
        try:
            bound = inspect.signature(self.parse).bind(*self.args)
        except (TypeError, ValueError):
            return None  # A function that is not written in Python may have no signature.
        bound.apply_defaults()  # These include the keywords of a partial.
        url = bound.arguments.get("url")
        return url if isinstance(url, str) else None

    @property
    def name(self) -> str:
        """Return the parser's name for the log. If `parse` is a partial, or a function that opens a file for a parser,
        it is the name of the function inside."""
        parse: Any = self.parse
        while hasattr(parse, "func"):
            parse = parse.func
        if self.args and callable(self.args[0]):
            return ParserCall(self.args[0], ()).name
        return str(getattr(parse, "__qualname__", type(parse).__name__))


@dataclass(frozen=True, slots=True)
class ParserOutcome:
    """A parse ends with a value or with an error. If the parser did not mean to raise the error, its traceback is here,
    too."""

    value: Any = None
    error: IngestError | MissingBytes | None = None
    traceback: str | None = None
    notes: tuple[tuple[str, dict[str, object]], ...] = ()
    """Each note is a line for the log, as an event and its fields."""


def attempt(call: ParserCall) -> ParserOutcome:
    """Run the parse, and return its result or its failure. This raises only exceptions that end a process, such as
    KeyboardInterrupt."""
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
    """Write a warning to the daemon's log from code that parser processes import, too, whether it runs in one or in the
    daemon. The fields have to be plain values. A parse in `attempt` has at most 20 such lines; further ones are
    dropped."""
    notes = _notes.get()
    if notes is None:
        import structlog  # A parser process starts sooner without it, and does not come here.

        logger = structlog.get_logger(__name__)
        logger.warning(event, **fields)
    elif len(notes) < _MAX_NOTES:
        notes.append((event, fields))


def unmeant(call: ParserCall, error: Exception) -> ParserOutcome:
    """Return the outcome of a parse that ended in an exception other than IngestError and MissingBytes."""
    trace = _traceback_of(error)
    if isinstance(error, MemoryError):
        return ParserOutcome(error=call.refusal("that takes more memory than allowed", reason=MEMORY), traceback=trace)
    text = " ".join(f"{type(error).__name__}: {error}".split())[:_MESSAGE_CHARACTERS]
    refusal = call.refusal(f"the parser failed ({text})", reason="parser_error", kind=Malformed)
    return ParserOutcome(error=refusal, traceback=trace)


def _traceback_of(error: Exception) -> str:
    try:
        return "".join(traceback.format_exception(error))[-_TRACEBACK_CHARACTERS:]
    except Exception as second:  # noqa: BLE001  # still out of memory, or the exception itself fails to print
        return f"{type(error).__name__}, of which no traceback can be made ({type(second).__name__})"
