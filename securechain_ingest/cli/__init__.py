"""This is the command line. Every expected failure is one line on standard error and an exit code, never a traceback.

The exit codes mean:

- 0: everything is done.
- 1: a part of the work failed, and the output says which part; or what is answered could not be written.
- 2: the usage or the configuration is wrong.
- 3: a store, a registry or a running daemon cannot be reached, or the registry is paused.
- 70: the program itself has an error, which is described in a file that the message names.
- 130: the user pressed Ctrl-C.
"""

from __future__ import annotations

import errno
import sys
import tempfile
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from securechain_ingest.cli import (
    backfill,
    check_config,
    completion,
    cursors,
    dead_letters,
    find,
    health,
    import_names,
    ingest,
    pauses,
    queue,
    run,
    runs,
    schedules,
    schema,
    show,
    snapshot,
    status,
    submit,
)
from securechain_ingest.cli.manual import PROGRAM, with_examples
from securechain_ingest.cli.options import ConfigOption, remember_config_file
from securechain_ingest.errors import ConfigError, IngestError, InvalidName, PoisonMessage
from securechain_ingest.printable import printable

app = typer.Typer(
    name=PROGRAM,
    help="Keeps a graph of the open-source software supply chain up to date.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog=(
        "Exit codes: 0 done; 1 some of it failed; 2 wrong usage or configuration;"
        " 3 a store, a registry or a daemon cannot be reached; 70 an error of the program itself; 130 Ctrl-C."
    ),
)


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""By these the system says that there is no room for what is written."""


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"{PROGRAM} {version(PROGRAM)}")
        raise typer.Exit


@app.callback()
def _configure(
    config: ConfigOption = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    remember_config_file(config)


app.command("run")(run.command)
app.command("ingest")(ingest.command)
app.command("submit")(submit.command)
app.command("show")(show.command)
app.add_typer(find.app, name="find")
app.command("status")(status.command)
app.command("health")(health.command)
app.command("pause")(pauses.pause_command)
app.command("resume")(pauses.resume_command)
app.add_typer(queue.app, name="queue")
app.add_typer(backfill.app, name="backfill")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(schedules.app, name="schedules")
app.add_typer(runs.app, name="runs")
app.add_typer(cursors.app, name="cursors")
app.add_typer(schema.app, name="schema")
app.add_typer(snapshot.app, name="snapshot")
app.command("check-config")(check_config.command)
app.command("import-names")(import_names.command)
app.command("completion")(completion.command)
with_examples(app)


def main() -> None:
    """Run the command line and exit with its code. The console script calls this."""
    sys.exit(_run())


def _run() -> int:
    completion.prepare()
    try:
        # The name is the one for which shells ask, also if the program was started as `python -m`.
        code = app(standalone_mode=False, prog_name=PROGRAM)
    except typer.Abort:
        return 130
    except TyperException as error:
        # An error without a message has already shown the help.
        return _say(f"{error.format_message()} (--help explains)", 2) if error.format_message() else 2
    except BaseExceptionGroup as group:
        return _report(_first(group))
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the last resort: recorded in a file, not shown
        return _report(error)
    return code if isinstance(code, int) else 0


def _first(group: BaseExceptionGroup) -> BaseException:
    """Return the most useful failure of a task group: the first expected error, or else the first error."""
    leaves = [
        leaf
        for error in group.exceptions
        for leaf in [_first(error) if isinstance(error, BaseExceptionGroup) else error]
    ]
    return next((leaf for leaf in leaves if isinstance(leaf, IngestError)), leaves[0])


def _report(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, ConfigError | InvalidName | PoisonMessage):
        return _say(str(error), 2)
    if isinstance(error, IngestError):
        return _say(str(error), 3 if error.transient else 1)
    if isinstance(error, OSError) and error.errno in _FULL:
        where = error.filename or "standard output or a file"
        return _say(f"{where} cannot be written: {error.strerror}: make room there", 1)
    with tempfile.NamedTemporaryFile("w", prefix="securechain-ingest-", suffix=".txt", delete=False) as file:
        file.writelines(traceback.format_exception(error))
    return _say(f"an error of the program itself: {type(error).__name__}; details are in {Path(file.name)}", 70)


def _say(message: str, code: int) -> int:
    print(f"securechain-ingest: {printable(message)}", file=sys.stderr)  # noqa: T201
    return code
