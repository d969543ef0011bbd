"""This makes docs/commands.md: the commands with their first sentences, examples and answers, from the command line."""

from __future__ import annotations

import inspect
from typing import Final

from securechain_ingest.cli import __doc__ as exit_codes
from securechain_ingest.cli import app
from securechain_ingest.cli.manual import MANUAL, PROGRAM, commands
from tests.reference.markdown import table

_HEAD: Final = f"""# Commands

`make docs` writes this page from the command line itself. `{PROGRAM} COMMAND --help` tells all options of a command.

With `--json` a command prints one object or one list on standard output, and nothing else there. Whatever else is to be
said, errors and progress included, goes to standard error, and the exit code is the same as without it. Times are in
ISO 8601; null means that something is not known. Tables fit the terminal, or the width in `COLUMNS`; where the output
is no terminal, a row is one line. Progress is shown on standard error, on a terminal only and not if `NO_COLOR` is set.
"""


def page() -> str:
    """Return the whole page."""
    found = dict(commands(app))
    rows = []
    for path in MANUAL:
        sentence = (inspect.getdoc(found[path].callback) or "").split("\n\n")[0].replace("\n", " ")
        entry = MANUAL[path]
        option = "always" if entry.only_json else "`--json`" if entry.answer else "none"
        rows.append((f"`{path}`", sentence, option, entry.answer or ""))
    examples = "\n".join(f"    {PROGRAM} {example}" for entry in MANUAL.values() for example in entry.examples)
    codes = (exit_codes or "").split("\n\n", 1)[1].strip()
    heads = ("command", "what it does", "JSON", "what that is")
    return f"{_HEAD}\n{table(heads, rows)}\n\n## Exit codes\n\n{codes}\n\n## Examples\n\n{examples}\n"
