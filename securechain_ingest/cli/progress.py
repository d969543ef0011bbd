"""This module shows the progress of a command that takes long: on standard error, and only on a terminal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


@contextmanager
def progress_bar() -> Iterator[tuple[Progress, Console]]:
    """Yield a bar to which tasks are added, and the console on which it is shown. The bar goes when the block ends.

    Nothing is shown if standard error is no terminal, or if NO_COLOR is set, since a bar consists of control codes.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    errors = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    is_shown = errors.is_terminal and not os.environ.get("NO_COLOR")
    with Progress(*columns, console=errors, transient=True, disable=not is_shown) as progress:
        yield progress, errors
